//! What a tenant believes about kinds of identifier: how strong they are, how many a person may have, how many people may
//! share one.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The rules by which evidence makes people. Part of the configuration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Rules {
    /// Rules of each kind of identifier, by kind.
    pub kinds: BTreeMap<String, KindRule>,
    /// The rule of kinds that `kinds` does not name.
    pub other: KindRule,
    /// An identifier seen with more than this many others, of whatever kind, is a machine and joins nobody.
    pub crowded_above: u32,
    /// ISO 3166-1 alpha-2 country of telephone numbers written without a country code.
    pub default_country: String,
    /// Values that identify nobody, beside the well-known ones, in any kind, lower case.
    pub blocked_values: Vec<String>,
    /// E-mail domains whose addresses identify nobody, lower case.
    pub blocked_email_domains: Vec<String>,
}

/// The rule of one kind of identifier.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KindRule {
    /// How sure it is, 0 to 100: stronger evidence is taken first, and an event belongs to the person of its strongest
    /// identifier.
    pub strength: u8,
    /// How many of them one person may have.
    pub limit: u32,
    /// Seen with more than this many different identifiers of one strong kind, it is shared and joins nobody.
    pub shared_above: u32,
    /// Whether it names a person (an account, a card, an address) and so counts in `shared_above` of others.
    pub strong: bool,
    /// Whether it joins at all; a group's identifier does not.
    pub joins: bool,
}

impl KindRule {
    const fn strong(strength: u8, limit: u32, shared_above: u32) -> Self {
        Self { strength, limit, shared_above, strong: true, joins: true }
    }

    const fn weak(strength: u8, limit: u32, shared_above: u32) -> Self {
        Self { strength, limit, shared_above, strong: false, joins: true }
    }
}

impl Default for Rules {
    fn default() -> Self {
        let kinds = [
            ("user_id", KindRule::strong(60, 1, 10)),
            ("loyalty_card", KindRule::strong(50, 3, 5)),
            ("email", KindRule::strong(40, 5, 5)),
            ("phone", KindRule::strong(30, 5, 5)),
            ("device_id", KindRule::weak(10, 50, 3)),
            ("anonymous_id", KindRule::weak(5, 100, 3)),
            ("group_id", KindRule { joins: false, ..KindRule::weak(0, 0, 0) }),
        ];
        Self {
            kinds: kinds.into_iter().map(|(kind, rule)| (kind.to_owned(), rule)).collect(),
            other: KindRule::weak(20, 10, 5),
            crowded_above: 1_000,
            default_country: "FR".to_owned(),
            blocked_values: Vec::new(),
            blocked_email_domains: Vec::new(),
        }
    }
}

impl Rules {
    /// Returns the rule of `kind`.
    pub fn kind(&self, kind: &str) -> &KindRule {
        self.kinds.get(kind).unwrap_or(&self.other)
    }

    /// Returns the fewest neighbours that could make any identifier shared: below it nothing needs counting.
    pub(crate) fn least_sharing(&self) -> usize {
        let least =
            self.kinds.values().chain([&self.other]).filter(|rule| rule.joins).map(|rule| rule.shared_above).min();
        least.unwrap_or(self.crowded_above).min(self.crowded_above) as usize
    }

    /// Returns what is wrong with the rules: pairs of key and rule.
    pub fn problems(&self) -> Vec<(String, String)> {
        let mut problems = Vec::new();
        let named = self.kinds.iter().map(|(kind, rule)| (format!("rules.kinds.{kind}"), rule));
        for (name, rule) in named.chain([("rules.other".to_owned(), &self.other)]) {
            if rule.joins && (rule.limit == 0 || rule.shared_above == 0) {
                problems.push((name, "needs a limit and a shared_above of at least 1".to_owned()));
            }
        }
        if super::phone::calling_code(&self.default_country).is_none() {
            problems
                .push(("rules.default_country".to_owned(), "must be a country whose calling code is known".to_owned()));
        }
        problems
    }
}

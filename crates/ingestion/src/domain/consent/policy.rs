//! What a tenant asks of the events of a source.

use std::collections::{HashMap, HashSet};

use proto::ingestion::v1::consent_mapping::Vocabulary;
use proto::ingestion::v1::{ConsentDefault, ConsentPolicy};

use super::country::{Country, named};
use super::memory::Memory;
use super::tables::{self, Purpose};
use super::tcf::TcfRules;
use crate::domain::limits::to_kind;

/// What becomes of an event of somebody who said nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Unanswered {
    /// It comes in.
    #[default]
    Grant,
    /// It is not kept.
    Deny,
    /// It waits, sealed.
    Ask,
}

impl From<ConsentDefault> for Unanswered {
    fn from(wire: ConsentDefault) -> Self {
        match wire {
            ConsentDefault::Unspecified | ConsentDefault::Grant => Self::Grant,
            ConsentDefault::Deny => Self::Deny,
            ConsentDefault::Ask => Self::Ask,
        }
    }
}

impl From<Unanswered> for ConsentDefault {
    fn from(unanswered: Unanswered) -> Self {
        match unanswered {
            Unanswered::Grant => Self::Grant,
            Unanswered::Deny => Self::Deny,
            Unanswered::Ask => Self::Ask,
        }
    }
}

/// A policy in force. The default is the one built in: everything is taken.
#[derive(Debug, Default)]
pub(crate) struct Policy {
    pub(crate) version: i64,
    /// Empty when nothing is required.
    pub(crate) required: String,
    pub(crate) default_country: Option<Country>,
    /// How long an event waits, in microseconds.
    pub(crate) hold_us: i64,
    pub(crate) tcf: TcfRules,
    /// Categories that the tenant named: those that a whole answer does not mention are denied.
    pub(crate) categories: Vec<String>,
    exempt: HashSet<String>,
    by_country: HashMap<Country, Unanswered>,
    otherwise: Unanswered,
    mappings: HashMap<(Vocabulary, String), Option<Purpose>>,
    /// What TC strings say by this policy.
    pub(super) tc_strings: Memory,
}

/// How long an event waits when the policy does not say, in seconds.
const HOLD_SECONDS: i64 = 24 * 3_600;

impl Policy {
    /// Takes a policy that was checked.
    pub(crate) fn new(wire: &ConsentPolicy) -> Self {
        let mut policy = Self {
            version: wire.version,
            required: wire.required_purpose.clone(),
            default_country: Country::parse(&wire.default_country),
            hold_us: wire.hold_duration.as_ref().map_or(HOLD_SECONDS, |duration| duration.seconds) * 1_000_000,
            tcf: TcfRules {
                vendor: u16::try_from(wire.tcf_vendor_id).unwrap_or_default(),
                legitimate_interest: wire.tcf_legitimate_interest,
                publisher: wire.tcf_publisher,
            },
            exempt: wire.exempt_events.iter().map(|name| name.trim().to_lowercase()).collect(),
            otherwise: wire.otherwise().into(),
            ..Self::default()
        };
        for default in &wire.defaults {
            let unanswered = default.action().into();
            for country in default.countries.iter().filter_map(|name| named(name)).flatten() {
                policy.by_country.entry(country).or_insert(unanswered);
            }
        }
        for mapping in &wire.mappings {
            let purpose = Purpose { name: mapping.purpose.clone().into(), channel: mapping.channel.clone().into() };
            let purpose = (!purpose.name.is_empty()).then_some(purpose);
            let key = key(mapping.vocabulary(), &mapping.id);
            if mapping.vocabulary() == Vocabulary::Category {
                policy.categories.push(mapping.id.clone());
            }
            policy.mappings.insert(key, purpose);
        }
        policy
    }

    /// Returns our purpose for what a banner asks; `None` when the answer is to be passed over.
    pub(super) fn purpose(&self, vocabulary: Vocabulary, id: &str) -> Option<Purpose> {
        if !self.mappings.is_empty()
            && let Some(purpose) = self.mappings.get(&key(vocabulary, id))
        {
            return purpose.clone();
        }
        tables::built_in(vocabulary, id)
    }

    /// Returns what becomes of somebody who said nothing.
    pub(super) fn unanswered(&self, country: Option<Country>) -> Unanswered {
        country.and_then(|country| self.by_country.get(&country)).copied().unwrap_or(self.otherwise)
    }

    pub(super) fn exempts(&self, event_name: &str) -> bool {
        !self.exempt.is_empty() && self.exempt.contains(&event_name.trim().to_lowercase())
    }

    /// Whether events may have to wait.
    pub(crate) fn asks(&self) -> bool {
        let asks = |unanswered: &Unanswered| *unanswered == Unanswered::Ask;
        !self.required.is_empty() && (asks(&self.otherwise) || self.by_country.values().any(asks))
    }
}

fn key(vocabulary: Vocabulary, id: &str) -> (Vocabulary, String) {
    (vocabulary, to_kind(id))
}

#[cfg(test)]
mod tests {
    use proto::ingestion::v1::{ConsentMapping, CountryDefault};

    use super::*;

    #[test]
    fn the_first_default_that_names_the_country_counts() {
        let default = |countries: &[&str], action: ConsentDefault| CountryDefault {
            countries: countries.iter().map(|&country| country.to_owned()).collect(),
            action: action.into(),
        };
        let policy = Policy::new(&ConsentPolicy {
            required_purpose: "analytics".into(),
            defaults: vec![
                default(&["FR"], ConsentDefault::Ask),
                default(&["EU", "GB"], ConsentDefault::Deny),
                default(&["de"], ConsentDefault::Grant),
            ],
            ..ConsentPolicy::default()
        });
        let unanswered = |code: &str| policy.unanswered(Country::parse(code));

        assert_eq!(["FR", "DE", "uk", "US", ""].map(unanswered), {
            use Unanswered::{Ask, Deny, Grant};
            [Ask, Deny, Deny, Grant, Grant]
        });
        assert!(policy.asks() && !Policy::default().asks());
    }

    #[test]
    fn the_tenants_mappings_go_before_those_built_in() {
        let mapping = |id: &str, purpose: &str| ConsentMapping {
            vocabulary: Vocabulary::Category.into(),
            id: id.into(),
            purpose: purpose.into(),
            channel: String::new(),
        };
        let mappings = vec![mapping("Live Chat", "support"), mapping("Advertising", "")];
        let policy = Policy::new(&ConsentPolicy { mappings, ..ConsentPolicy::default() });
        let purpose = |id: &str| policy.purpose(Vocabulary::Category, id).map(|purpose| purpose.label());

        assert_eq!(purpose("live-chat").as_deref(), Some("support"));
        assert_eq!(purpose("Advertising"), None);
        assert_eq!(purpose("Analytics").as_deref(), Some("analytics"));
    }
}

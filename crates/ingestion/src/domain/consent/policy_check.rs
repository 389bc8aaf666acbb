//! What a policy must be like.

use kit::{Error, Violations};
use proto::ingestion::v1::consent_mapping::Vocabulary;
use proto::ingestion::v1::{ConsentDefault, ConsentMapping, ConsentPolicy};

use super::country::{Country, named};
use crate::domain::limits::{MAX_NAME_CHARS, fits, is_kind};

const MAX_EXEMPT: usize = 100;
const MAX_DEFAULTS: usize = 50;
const MAX_COUNTRIES: usize = 250;
const MAX_MAPPINGS: usize = 500;
const HOLD_SECONDS: std::ops::RangeInclusive<i64> = 60..=30 * 24 * 3_600;

/// Names everything that is wrong with a policy.
pub(crate) fn check(policy: &ConsentPolicy) -> Result<(), Error> {
    let mut violations = Violations::new();
    let is_purpose = |text: &str| text.is_empty() || is_kind(text);
    violations.check(
        is_purpose(&policy.required_purpose),
        "policy.required_purpose",
        "must be empty or at most 64 characters of [a-z0-9_]",
    );
    let is_name = |name: &String| !name.is_empty() && fits(name, MAX_NAME_CHARS) && !name.contains('\0');
    violations.check(
        policy.exempt_events.len() <= MAX_EXEMPT && policy.exempt_events.iter().all(is_name),
        "policy.exempt_events",
        "must be at most 100 names of at most 256 characters",
    );
    violations.check(policy.defaults.len() <= MAX_DEFAULTS, "policy.defaults", "must be at most 50");
    for (index, default) in policy.defaults.iter().enumerate().take(MAX_DEFAULTS) {
        let countries = &default.countries;
        let known =
            (1..=MAX_COUNTRIES).contains(&countries.len()) && countries.iter().all(|name| named(name).is_some());
        let field = format!("policy.defaults[{index}].countries");
        violations.check(known, &field, "must be 1 to 250 codes of ISO 3166-1 alpha-2, EU or EEA");
        let said = !matches!(ConsentDefault::try_from(default.action), Ok(ConsentDefault::Unspecified) | Err(_));
        violations.check(said, format!("policy.defaults[{index}].action"), "must be grant, deny or ask");
    }
    violations.check(ConsentDefault::try_from(policy.otherwise).is_ok(), "policy.otherwise", "must be a known value");
    violations.check(
        policy.default_country.is_empty() || Country::parse(&policy.default_country).is_some(),
        "policy.default_country",
        "must be empty or a code of ISO 3166-1 alpha-2",
    );
    let holds =
        policy.hold_duration.as_ref().is_none_or(|hold| HOLD_SECONDS.contains(&hold.seconds) && hold.nanos == 0);
    violations.check(holds, "policy.hold_duration", "must be 60 seconds to 30 days, in whole seconds");
    violations.check(policy.mappings.len() <= MAX_MAPPINGS, "policy.mappings", "must be at most 500");
    for (index, mapping) in policy.mappings.iter().enumerate().take(MAX_MAPPINGS) {
        let field = format!("policy.mappings[{index}]");
        violations.check(is_mapping(mapping), &field, "must have a vocabulary, an id and purposes of [a-z0-9_]");
    }
    violations.check(u16::try_from(policy.tcf_vendor_id).is_ok(), "policy.tcf_vendor_id", "must be 0 to 65535");
    violations.finish()
}

fn is_mapping(mapping: &ConsentMapping) -> bool {
    let known = !matches!(Vocabulary::try_from(mapping.vocabulary), Ok(Vocabulary::Unspecified) | Err(_));
    let id = !mapping.id.is_empty() && fits(&mapping.id, MAX_NAME_CHARS);
    let purpose = mapping.purpose.is_empty() || is_kind(&mapping.purpose);
    let channel = mapping.channel.is_empty() || is_kind(&mapping.channel) && !mapping.purpose.is_empty();
    known && id && purpose && channel
}

#[cfg(test)]
mod tests {
    use proto::ingestion::v1::CountryDefault;

    use super::*;

    #[test]
    fn every_fault_is_named() {
        let bad = ConsentPolicy {
            required_purpose: "Analytics!".into(),
            exempt_events: vec![String::new()],
            defaults: vec![CountryDefault { countries: vec!["Europe".into()], action: 9 }],
            otherwise: 17,
            default_country: "France".into(),
            hold_duration: Some(prost_types::Duration { seconds: 1, nanos: 0 }),
            mappings: vec![ConsentMapping::default()],
            tcf_vendor_id: 70_000,
            ..ConsentPolicy::default()
        };

        let named: Vec<String> = check(&bad).unwrap_err().violations.into_iter().map(|one| one.field).collect();

        assert_eq!(
            named,
            [
                "policy.required_purpose",
                "policy.exempt_events",
                "policy.defaults[0].countries",
                "policy.defaults[0].action",
                "policy.otherwise",
                "policy.default_country",
                "policy.hold_duration",
                "policy.mappings[0]",
                "policy.tcf_vendor_id"
            ]
        );
        assert!(check(&ConsentPolicy::default()).is_ok());
    }
}

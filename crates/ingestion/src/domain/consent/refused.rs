//! Whether what cannot be taken may be kept as a dead letter: not without the consent that the event itself needs.

use proto::event::v1::ConsentSignals;
use proto::r#type::v1::{Consent, ConsentState};

use super::country::Country;
use super::policy::{Policy, Unanswered};
use super::signals;

/// What can be told of an event that could not be read.
#[derive(Debug, Default)]
pub(crate) struct Unread<'a> {
    pub(crate) signals: Option<&'a ConsentSignals>,
    pub(crate) consents: &'a [Consent],
    pub(crate) country: Option<Country>,
}

impl Policy {
    /// Whether the content of an event that cannot be taken may be kept: its person said yes in it, or who said nothing
    /// is taken. What the person said before is not looked up for an event that may name nobody.
    pub(crate) fn keeps_unread(&self, unread: &Unread<'_>) -> bool {
        if self.required.is_empty() {
            return true;
        }
        let stated = unread.consents.iter().filter(|consent| consent.purpose == self.required);
        let mut answers: Vec<bool> = stated.map(|consent| consent.state() == ConsentState::Granted).collect();
        if let Some(signals) = unread.signals {
            let statements = signals::read(signals, self).statements;
            let of_purpose = statements.iter().filter(|statement| statement.purpose.name == self.required);
            answers.extend(of_purpose.map(|statement| statement.granted));
        }
        match answers.as_slice() {
            [] => self.unanswered(unread.country.or(self.default_country)) == Unanswered::Grant,
            answers => answers.iter().all(|granted| *granted),
        }
    }
}

#[cfg(test)]
mod tests {
    use proto::event::v1::ConsentAnswer;
    use proto::ingestion::v1::{ConsentDefault, ConsentPolicy};

    use super::*;

    #[test]
    fn content_is_kept_only_with_the_consent_that_events_need() {
        let asking = |otherwise: ConsentDefault| {
            let required_purpose = "analytics".into();
            Policy::new(&ConsentPolicy { required_purpose, otherwise: otherwise.into(), ..ConsentPolicy::default() })
        };
        let saying = |state: ConsentState| ConsentSignals {
            categories: vec![ConsentAnswer { id: "Analytics".into(), state: state.into() }],
            ..ConsentSignals::default()
        };
        let (yes, no) = (saying(ConsentState::Granted), saying(ConsentState::Denied));
        for (policy, signals, kept) in [
            (Policy::default(), None, true),
            (asking(ConsentDefault::Grant), None, true),
            (asking(ConsentDefault::Grant), Some(&no), false),
            (asking(ConsentDefault::Ask), None, false),
            (asking(ConsentDefault::Deny), Some(&yes), true),
        ] {
            assert_eq!(policy.keeps_unread(&Unread { signals, ..Unread::default() }), kept);
        }
    }
}

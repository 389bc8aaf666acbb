//! What came of handing a message over.

use super::connection::{Failed, Phase};

/// What came of handing a message over, by what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Handover {
    /// The server has it.
    Accepted,
    /// Not now; nothing was handed over.
    Later(String),
    /// The server refuses the address for good. `unknown` when there is no such mailbox or domain (5.1.x): then it is not
    /// to be written to again.
    AddressRefused { detail: String, unknown: bool },
    /// The server refuses the message for good.
    Refused(String),
    /// The message was on its way and nobody knows whether it arrived.
    Uncertain(String),
}

impl From<Failed> for Handover {
    /// The word of the server counts; without one only a failure before the message leaves no doubt.
    fn from(failed: Failed) -> Self {
        let Failed { phase, code, enhanced, detail } = failed;
        let Some(code) = code else {
            return if phase == Phase::Message { Self::Uncertain(detail) } else { Self::Later(detail) };
        };
        let permanent = (500..600).contains(&code);
        // A connection that is refused or a failed login is about our configuration, not about the message.
        let ours = phase == Phase::Greeting || matches!(code, 530 | 534 | 535 | 538);
        if !permanent || ours {
            return Self::Later(detail);
        }
        let unknown =
            enhanced.as_deref().is_some_and(|enhanced| enhanced.starts_with("5.1.") && phase != Phase::Sender);
        // 5.7.x and the like are about policy or reputation, whatever the step: never blame the person.
        let about_address =
            unknown || (phase == Phase::Recipient && enhanced.is_none() && matches!(code, 550 | 551 | 553));
        if about_address {
            return Self::AddressRefused { detail, unknown };
        }
        Self::Refused(detail)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn came(phase: Phase, code: Option<u16>, enhanced: Option<&str>) -> Handover {
        Failed { phase, code, enhanced: enhanced.map(str::to_owned), detail: String::new() }.into()
    }

    #[test]
    fn each_failure_has_its_consequence() {
        let later = Handover::Later(String::new());
        let refused = Handover::Refused(String::new());
        let address = |unknown| Handover::AddressRefused { detail: String::new(), unknown };

        assert_eq!(came(Phase::Greeting, None, None), later);
        assert_eq!(came(Phase::Greeting, Some(554), Some("5.7.1")), later);
        assert_eq!(came(Phase::Greeting, Some(535), Some("5.7.8")), later);
        assert_eq!(came(Phase::Recipient, None, None), later);
        assert_eq!(came(Phase::Recipient, Some(454), Some("4.7.0")), later);
        assert_eq!(came(Phase::Message, Some(451), None), later);
        assert_eq!(came(Phase::Recipient, Some(550), Some("5.1.1")), address(true));
        assert_eq!(came(Phase::Message, Some(550), Some("5.1.1")), address(true));
        assert_eq!(came(Phase::Recipient, Some(550), None), address(false));
        assert_eq!(came(Phase::Recipient, Some(550), Some("5.7.1")), refused);
        assert_eq!(came(Phase::Sender, Some(550), Some("5.1.8")), refused);
        assert_eq!(came(Phase::Message, Some(554), None), refused);
        assert_eq!(came(Phase::Message, None, None), Handover::Uncertain(String::new()));
    }
}

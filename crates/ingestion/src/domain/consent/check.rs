//! How big consent signals may be.

use proto::event::v1::{ConsentAnswer, ConsentSignals};

use super::bits::MAX_CHARS;
use crate::domain::limits::{MAX_CONSENTS, MAX_NAME_CHARS, fits};
use crate::domain::problem::{Problem, Reason};

const MAX_SECTIONS: usize = 64;
const MAX_IDS: usize = 200;

/// Refuses signals that are too long or too many, or hold a NUL character. What they say is read later, and what cannot
/// be read counts as not said.
pub(crate) fn check_signals(signals: &ConsentSignals) -> Result<(), Problem> {
    let invalid = |message: &'static str| Err(Problem::new(Reason::ConsentInvalid, message));
    let is_long = |text: &String| text.len() > MAX_CHARS;
    if [&signals.tc_string, &signals.gpp_string].into_iter().any(is_long) {
        return invalid("a consent string is at most 8,192 characters");
    }
    let mut answers = signals.categories.len();
    let mut texts = vec![&signals.us_privacy];
    if let Some(google) = &signals.google {
        answers = answers.max(google.types.len());
        texts.extend([&google.gcs, &google.gcd]);
        texts.extend(google.types.iter().map(id));
    }
    texts.extend(signals.categories.iter().map(id));
    if answers > MAX_CONSENTS || signals.gpp_section_ids.len() > MAX_SECTIONS {
        return invalid("consent signals hold at most 50 answers and 64 sections");
    }
    if let Some(management) = &signals.management {
        if management.allowed_ids.len() > MAX_IDS || management.denied_ids.len() > MAX_IDS {
            return invalid("consent management names at most 200 identifiers");
        }
        texts.extend([&management.provider, &management.resolution_strategy]);
        texts.extend(management.allowed_ids.iter().chain(&management.denied_ids));
    }
    texts.extend([&signals.tc_string, &signals.gpp_string]);
    let has_nul = texts.iter().any(|text| text.contains('\0'));
    texts.truncate(texts.len() - 2);
    if has_nul || texts.iter().any(|text| !fits(text, MAX_NAME_CHARS)) {
        return invalid("what consent signals name is at most 256 characters, without NUL");
    }
    Ok(())
}

fn id(answer: &ConsentAnswer) -> &String {
    &answer.id
}

#[cfg(test)]
mod tests {
    use proto::event::v1::ConsentManagement;

    use super::*;

    #[test]
    fn signals_have_bounds() {
        let answer = |id: &str| ConsentAnswer { id: id.into(), state: 1 };
        for bad in [
            ConsentSignals { tc_string: "A".repeat(9_000), ..ConsentSignals::default() },
            ConsentSignals { gpp_string: "A\0".into(), ..ConsentSignals::default() },
            ConsentSignals { categories: vec![answer("a"); 51], ..ConsentSignals::default() },
            ConsentSignals { categories: vec![answer(&"a".repeat(300))], ..ConsentSignals::default() },
            ConsentSignals {
                management: Some(ConsentManagement { denied_ids: vec![String::new(); 201], ..Default::default() }),
                ..ConsentSignals::default()
            },
        ] {
            assert_eq!(check_signals(&bad).unwrap_err().reason, Reason::ConsentInvalid);
        }
        let good = ConsentSignals { tc_string: "A".repeat(8_192), ..ConsentSignals::default() };
        assert!(check_signals(&good).is_ok());
    }
}

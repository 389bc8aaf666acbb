use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use prost::Message;
use proto::event::v1::{ConsentSignals, GoogleConsent};
use proto::ingestion::v1::ConsentPolicy;

use crate::domain::consent::{self, Policy};

/// Most statements of one string: TCF has 24 purposes and 12 special features, GPP at most 64 sections.
const MOST_STATEMENTS: usize = 64 * 36;

/// A TC string as text; and any bytes as the bits of one.
pub fn tcf(data: &[u8]) {
    for tc_string in strings(data) {
        read(&ConsentSignals { tc_string, ..ConsentSignals::default() });
    }
}

/// A GPP string as text; and any bytes as the bits of its header, before the sections in the text.
pub fn gpp(data: &[u8]) {
    for gpp_string in strings(data) {
        read(&ConsentSignals { gpp_string, ..ConsentSignals::default() });
    }
}

/// A serialised `ConsentSignals`; and a text as each of the short signals.
pub fn consent_signals(data: &[u8]) {
    if let Ok(signals) = ConsentSignals::decode(data) {
        read(&signals);
    }
    let text = String::from_utf8_lossy(data).into_owned();
    let google = GoogleConsent { gcs: text.clone(), gcd: text.clone(), ..GoogleConsent::default() };
    read(&ConsentSignals { us_privacy: text, google: Some(google), ..ConsentSignals::default() });
}

fn strings(data: &[u8]) -> [String; 2] {
    let (bits, rest) = data.split_at(data.iter().position(|byte| *byte == b'~').unwrap_or(data.len()));
    let encoded = URL_SAFE_NO_PAD.encode(bits);
    let text = String::from_utf8_lossy(data).into_owned();
    [text, encoded + &String::from_utf8_lossy(rest)]
}

fn read(signals: &ConsentSignals) {
    let checked = consent::check_signals(signals).is_ok();
    let policies = [
        ConsentPolicy::default(),
        ConsentPolicy { tcf_vendor_id: 10, tcf_legitimate_interest: true, ..ConsentPolicy::default() },
        ConsentPolicy { tcf_publisher: true, tcf_legitimate_interest: true, ..ConsentPolicy::default() },
    ];
    for policy in policies {
        let policy = Policy::new(&policy);
        let first = consent::read(signals, &policy);
        let named = |one: &consent::Statement| !one.purpose.name.is_empty();
        assert!(first.statements.iter().all(named), "an answer to nothing");
        assert!(!checked || first.statements.len() <= MOST_STATEMENTS);
        let again = consent::read(signals, &policy);
        assert_eq!((first.statements, first.problems), (again.statements, again.problems), "read twice");
    }
}

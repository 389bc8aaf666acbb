//! What banners say in the context of an event, in the spellings that SDKs and banners use.

use proto::event::v1::{ConsentAnswer, ConsentManagement, ConsentSignals, GoogleConsent};
use proto::r#type::v1::ConsentState;

use crate::domain::consent::MAX_STRING_CHARS;
use crate::domain::json::{Json, Members};
use crate::domain::limits::{MAX_CONSENTS, MAX_NAME_CHARS, fits};

const GOOGLE_TYPES: &[&str] = &[
    "ad_storage",
    "analytics_storage",
    "ad_user_data",
    "ad_personalization",
    "functionality_storage",
    "personalization_storage",
    "security_storage",
];
const MAX_IDS: usize = 200;

/// Takes `consent` and `consentManagement`. What is not understood of them stays.
pub(crate) fn take_signals(context: &mut Members<'_>) -> Option<ConsentSignals> {
    let mut signals = ConsentSignals::default();
    if let Some(mut consent) = context.get("consent").and_then(Json::members) {
        take_consent(&mut consent, &mut signals);
        if consent.nothing_left() {
            context.take("consent");
        }
    }
    signals.management = context.take_if("consentManagement", management);
    (signals != ConsentSignals::default()).then_some(signals)
}

fn take_consent(consent: &mut Members<'_>, signals: &mut ConsentSignals) {
    signals.tc_string = take_string(consent, &["tcString", "tcfString", "tcf", "tc_string", "gdpr_consent"]);
    signals.gpp_string = take_string(consent, &["gppString", "gpp", "gpp_string"]);
    if !signals.gpp_string.is_empty() {
        let ids = ["gppSid", "gpp_sid"].into_iter().find_map(|key| consent.take_if(key, section_ids));
        signals.gpp_section_ids = ids.unwrap_or_default();
    }
    signals.us_privacy = take_string(consent, &["usPrivacy", "us_privacy", "uspString"]);
    if let Some(categories) = consent.get("categoryPreferences").and_then(Json::members).and_then(answers) {
        consent.take("categoryPreferences");
        signals.categories = categories;
    }
    let mut google =
        GoogleConsent { gcs: take_string(consent, &["gcs"]), gcd: take_string(consent, &["gcd"]), types: Vec::new() };
    for key in ["googleConsentMode", "consentMode", "google"] {
        if let Some(types) = consent.get(key).and_then(Json::members).and_then(answers) {
            consent.take(key);
            google.types = types;
        }
    }
    for key in GOOGLE_TYPES {
        if let Some(state) = consent.take_if(key, state) {
            google.types.push(ConsentAnswer { id: (*key).to_owned(), state: state.into() });
        }
    }
    signals.google = (google != GoogleConsent::default()).then_some(google);
}

/// Takes a string that can be one of those sought; a longer one stays where it is.
fn take_string(members: &mut Members<'_>, keys: &[&str]) -> String {
    let usable =
        |json: Json<'_>| json.string().filter(|text| text.len() <= MAX_STRING_CHARS).map(|text| text.into_owned());
    keys.iter().find_map(|key| members.take_if(key, usable)).unwrap_or_default()
}

/// Reads the answers that an object states by name: all of them, or it is not understood.
fn answers(members: Members<'_>) -> Option<Vec<ConsentAnswer>> {
    let mut answers = Vec::new();
    for (id, answer) in members.left() {
        let named = !id.is_empty() && fits(id, MAX_NAME_CHARS) && !id.contains('\0');
        let state = state(answer).filter(|_| named && answers.len() < MAX_CONSENTS)?;
        answers.push(ConsentAnswer { id: id.to_owned(), state: state.into() });
    }
    Some(answers)
}

fn state(answer: Json<'_>) -> Option<ConsentState> {
    match (answer.boolean(), answer.string().as_deref()) {
        (Some(true), _) | (_, Some("granted")) => Some(ConsentState::Granted),
        (Some(false), _) | (_, Some("denied")) => Some(ConsentState::Denied),
        _ => None,
    }
}

/// Reads section ids: an array of numbers, or text with commas or underscores between.
fn section_ids(json: Json<'_>) -> Option<Vec<i32>> {
    if let Some(items) = json.items() {
        return items.iter().map(|item| item.number()?.parse().ok()).collect();
    }
    json.scalar()?.split([',', '_']).map(|id| id.trim().parse().ok()).collect()
}

/// Reads RudderStack's consent management. Ketch sends its identifiers as the keys of an object.
fn management(json: Json<'_>) -> Option<ConsentManagement> {
    let mut members = json.members()?;
    let allowed_ids = members.take_if("allowedConsentIds", ids).unwrap_or_default();
    let denied_ids = members.take_if("deniedConsentIds", ids).unwrap_or_default();
    let provider = members.take_text(&["provider"]);
    let resolution_strategy = members.take_text(&["resolutionStrategy"]);
    let understood = members.nothing_left() && [&provider, &resolution_strategy].iter().all(|text| is_name(text));
    understood.then_some(ConsentManagement { allowed_ids, denied_ids, provider, resolution_strategy })
}

fn ids(json: Json<'_>) -> Option<Vec<String>> {
    let ids: Vec<String> = match json.members() {
        Some(members) => members.left().map(|(id, _)| id.to_owned()).collect(),
        None => json.items()?.into_iter().map(|item| item.scalar().map(|id| id.into_owned())).collect::<Option<_>>()?,
    };
    (ids.len() <= MAX_IDS && ids.iter().all(|id| is_name(id))).then_some(ids)
}

fn is_name(text: &str) -> bool {
    fits(text, MAX_NAME_CHARS) && !text.contains('\0')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(text: &str) -> (Option<ConsentSignals>, bool) {
        let mut context = Members::parse(text).unwrap();
        let signals = take_signals(&mut context);
        (signals, context.nothing_left())
    }

    #[test]
    fn every_spelling_is_taken() {
        let text = r#"{"consent":{"categoryPreferences":{"Advertising":true,"Live Chat":false},"tcString":"CO","gpp":"DB~1",
            "gppSid":[2,6],"us_privacy":"1YNN","gcs":"G111","ad_storage":"denied","googleConsentMode":{"ad_user_data":"granted"}},
            "consentManagement":{"allowedConsentIds":["C0001"],"deniedConsentIds":[],"provider":"oneTrust","resolutionStrategy":"and"}}"#;

        let (signals, nothing_left) = take(text);

        let signals = signals.unwrap();
        assert!(nothing_left);
        assert_eq!((signals.tc_string.as_str(), signals.gpp_string.as_str()), ("CO", "DB~1"));
        assert_eq!((signals.gpp_section_ids.as_slice(), signals.us_privacy.as_str()), (&[2, 6][..], "1YNN"));
        assert_eq!(signals.categories.len(), 2);
        let google = signals.google.unwrap();
        assert_eq!((google.gcs.as_str(), google.types.len()), ("G111", 2));
        assert_eq!(signals.management.unwrap().allowed_ids, ["C0001"]);
        let sid = |text: &str| section_ids(Json::parse(text).unwrap());
        assert_eq!(
            (sid("\"2_6\""), sid("\"2,6\""), sid("7"), sid("\"x\"")),
            (Some(vec![2, 6]), Some(vec![2, 6]), Some(vec![7]), None)
        );
    }

    #[test]
    fn what_is_not_understood_stays() {
        for text in [
            r#"{"consent":{"categoryPreferences":{"a":"yes"},"gpc":true}}"#,
            r#"{"consent":true}"#,
            r#"{"consentManagement":{"allowedConsentIds":"all"}}"#,
        ] {
            assert_eq!(take(text), (None, false), "{text}");
        }
        let long = format!(r#"{{"consent":{{"tcString":"{}"}}}}"#, "A".repeat(9_000));
        assert_eq!(take(&long), (None, false));
    }
}

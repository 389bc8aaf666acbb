//! Consents that the context of an event states.

use proto::r#type::v1::{Consent, ConsentState};

use crate::domain::json::{Json, Members};
use crate::domain::limits::to_kind;

/// Takes `consent.categoryPreferences` (`{"Advertising": true, …}`). Of two categories with one purpose the refusal
/// counts. When the person decided is not said: the time of the event stands in.
pub(crate) fn take_consents(context: &mut Members<'_>) -> Vec<Consent> {
    let Some(mut consent) = context.get("consent").and_then(Json::members) else { return Vec::new() };
    let Some(categories) = consent.get("categoryPreferences").and_then(Json::members) else { return Vec::new() };

    let mut consents: Vec<Consent> = Vec::new();
    let mut all_read = true;
    for (category, answer) in categories.left() {
        let purpose = purpose(category);
        let Some(granted) = answer.boolean().filter(|_| !purpose.is_empty()) else {
            all_read = false;
            continue;
        };
        let state = if granted { ConsentState::Granted } else { ConsentState::Denied };
        match consents.iter_mut().find(|known| known.purpose == purpose) {
            Some(known) if !granted => known.set_state(ConsentState::Denied),
            Some(_) => {}
            None => consents.push(Consent {
                purpose,
                channel: String::new(),
                state: state.into(),
                decided_time: None,
                proof: "context.consent.categoryPreferences".to_owned(),
            }),
        }
    }
    consent.take("categoryPreferences");
    if all_read && consent.nothing_left() {
        context.take("consent");
    }
    consents.sort_by(|one, other| one.purpose.cmp(&other.purpose));
    consents
}

/// Returns our purpose for a category of a consent banner.
fn purpose(category: &str) -> String {
    let kind = to_kind(category);
    match kind.as_str() {
        "marketing" | "advertising" | "targeting" => "marketing".to_owned(),
        "analytics" | "performance" => "analytics".to_owned(),
        "functional" | "personalization" | "personalisation" => "personalisation".to_owned(),
        _ => kind,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn categories_become_purposes_and_a_refusal_wins() {
        let text = r#"{"consent":{"categoryPreferences":
            {"Advertising":true,"Marketing":false,"Analytics":true,"Functional":true,"Live Chat":false}}}"#;
        let mut context = Members::parse(text).unwrap();

        let consents = take_consents(&mut context);

        let answers: Vec<_> =
            consents.iter().map(|one| (one.purpose.as_str(), one.state() == ConsentState::Granted)).collect();
        assert_eq!(
            answers,
            [("analytics", true), ("live_chat", false), ("marketing", false), ("personalisation", true)]
        );
        assert!(context.nothing_left());
    }

    #[test]
    fn what_is_not_understood_stays() {
        let mut context = Members::parse(r#"{"consent":{"categoryPreferences":{"a":"yes"},"gpc":true}}"#).unwrap();

        assert!(take_consents(&mut context).is_empty());
        assert!(!context.nothing_left());
    }
}

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
        let (purpose, channel) = purpose_and_channel(category);
        let Some(granted) = answer.boolean().filter(|_| !purpose.is_empty()) else {
            all_read = false;
            continue;
        };
        let state = if granted { ConsentState::Granted } else { ConsentState::Denied };
        match consents.iter_mut().find(|known| known.purpose == purpose && known.channel == channel) {
            Some(known) if !granted => known.set_state(ConsentState::Denied),
            Some(_) => {}
            None => consents.push(Consent {
                purpose,
                channel: channel.to_owned(),
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
    consents.sort_by(|one, other| (&one.purpose, &one.channel).cmp(&(&other.purpose, &other.channel)));
    consents
}

/// Returns our purpose, and the channel it is limited to, for a category of a consent banner: `marketing_email` is
/// marketing by e-mail. To be shown adverts elsewhere is another thing than to be written to, so `advertising` stays a
/// purpose of its own.
fn purpose_and_channel(category: &str) -> (String, &'static str) {
    let kind = to_kind(category);
    let purpose = match kind.as_str() {
        "marketing_email" => return ("marketing".to_owned(), "email"),
        "marketing_sms" => return ("marketing".to_owned(), "sms"),
        "marketing_push" => return ("marketing".to_owned(), "push"),
        "marketing" => "marketing",
        "advertising" | "targeting" => "advertising",
        "analytics" | "performance" => "analytics",
        "functional" | "personalization" | "personalisation" => "personalisation",
        _ => return (kind, ""),
    };
    (purpose.to_owned(), "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn categories_become_purposes_and_a_refusal_wins() {
        let text = r#"{"consent":{"categoryPreferences":
            {"Advertising":true,"Targeting":false,"Analytics":true,"Functional":true,"Live Chat":false,
             "marketing_email":false,"Marketing SMS":true}}}"#;
        let mut context = Members::parse(text).unwrap();

        let consents = take_consents(&mut context);

        let answers: Vec<_> = consents
            .iter()
            .map(|one| (one.purpose.as_str(), one.channel.as_str(), one.state() == ConsentState::Granted))
            .collect();
        assert_eq!(
            answers,
            [
                ("advertising", "", false),
                ("analytics", "", true),
                ("live_chat", "", false),
                ("marketing", "email", false),
                ("marketing", "sms", true),
                ("personalisation", "", true)
            ]
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

//! The rules of the envelope, the same for every door: who, what consents, which bytes.

use std::borrow::Cow;

use bytes::Bytes;
use proto::event::v1::Event;
use proto::event::v1::event::Body;
use proto::r#type::v1::{Consent, ConsentState, Identifier};

use super::json::Json;
use super::json_scan;
use super::limits::{
    MAX_CONSENTS, MAX_IDENTIFIER_CHARS, MAX_IDENTIFIERS, MAX_JSON_DEPTH, MAX_MESSAGE_ID_CHARS, fits, is_kind,
};
use super::problem::{Problem, Reason, field_invalid};

/// Checks the identifiers: 1 to 20, well-formed, each once. Only a signal about a place needs none.
pub(crate) fn check_identifiers(event: &mut Event) -> Result<(), Problem> {
    let needs_none = matches!(event.body, Some(Body::ContextSignal(_)));
    if event.identifiers.is_empty() && !needs_none {
        return Err(Problem::new(Reason::IdentifierMissing, "an event must name at least one identifier"));
    }
    keep_first_of_each(&mut event.identifiers);
    if event.identifiers.len() > MAX_IDENTIFIERS {
        let message = format!("an event names at most {MAX_IDENTIFIERS} identifiers");
        return Err(Problem::new(Reason::TooManyIdentifiers, message));
    }
    event.identifiers.iter().try_for_each(check_identifier)
}

/// Checks one identifier.
pub(crate) fn check_identifier(identifier: &Identifier) -> Result<(), Problem> {
    if !is_kind(&identifier.kind) {
        return Err(invalid_identifier("the kind of an identifier must be 1 to 64 characters of [a-z0-9_]"));
    }
    if identifier.value.is_empty() || !fits(&identifier.value, MAX_IDENTIFIER_CHARS) {
        return Err(invalid_identifier("the value of an identifier must be 1 to 512 characters"));
    }
    Ok(())
}

pub(crate) fn invalid_identifier(message: impl Into<Cow<'static, str>>) -> Problem {
    Problem::new(Reason::IdentifierInvalid, message)
}

/// Compares each with those before it: twenty at most are worth keeping, so more than that need no full comparison.
fn keep_first_of_each(identifiers: &mut Vec<Identifier>) {
    let mut kept: usize = 0;
    for index in 0..identifiers.len() {
        let known = identifiers[..kept].contains(&identifiers[index]);
        if !known {
            identifiers.swap(kept, index);
            kept += 1;
        }
        if kept > MAX_IDENTIFIERS {
            // Refused, and kept whole.
            return;
        }
    }
    identifiers.truncate(kept);
}

/// Checks the message id.
pub(crate) fn check_message_id(message_id: &str) -> Result<(), Problem> {
    if fits(message_id, MAX_MESSAGE_ID_CHARS) {
        return Ok(());
    }
    let message = format!("a message id must be at most {MAX_MESSAGE_ID_CHARS} characters");
    Err(Problem::new(Reason::MessageIdInvalid, message))
}

/// Checks the consents.
pub(crate) fn check_consents(consents: &[Consent]) -> Result<(), Problem> {
    let invalid = |message: &'static str| Err(Problem::new(Reason::ConsentInvalid, message));
    if consents.len() > MAX_CONSENTS {
        return invalid("an event states at most 50 consents");
    }
    for consent in consents {
        if !is_kind(&consent.purpose) {
            return invalid("the purpose of a consent must be 1 to 64 characters of [a-z0-9_]");
        }
        if !consent.channel.is_empty() && !is_kind(&consent.channel) {
            return invalid("the channel of a consent must be empty or 1 to 64 characters of [a-z0-9_]");
        }
        if consent.state() == ConsentState::Unspecified {
            return invalid("a consent must be granted or denied");
        }
    }
    Ok(())
}

/// Checks bytes that must be empty or a JSON object, and mends escapes that stand for no character.
pub(crate) fn check_json(field: &'static str, json: &mut Bytes) -> Result<(), Problem> {
    if json.is_empty() {
        return Ok(());
    }
    if json_scan::is_deeper_than(json, MAX_JSON_DEPTH) {
        return Err(Problem::new(Reason::TooDeep, format!("{field} nests deeper than {MAX_JSON_DEPTH} levels")));
    }
    let is_object = std::str::from_utf8(json).ok().and_then(Json::parse).is_some_and(Json::is_object);
    if !is_object {
        return Err(field_invalid(field, "must be a JSON object in UTF-8"));
    }
    if json.windows(2).any(|pair| pair == b"\\u") {
        let mut mended = json.to_vec();
        json_scan::mend_escapes(&mut mended);
        *json = mended.into();
    }
    Ok(())
}

/// Checks the JSON that an event carries in typed fields; what came as JSON as a whole was checked before.
pub(crate) fn check_carried_json(event: &mut Event) -> Result<(), Problem> {
    check_json("properties_json", &mut event.properties_json)?;
    if let Some(context) = &mut event.context {
        check_json("context.extra_json", &mut context.extra_json)?;
    }
    match &mut event.body {
        Some(Body::Identified(identified)) => check_json("traits_json", &mut identified.traits_json),
        Some(Body::Grouped(grouped)) => check_json("traits_json", &mut grouped.traits_json),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(values: impl IntoIterator<Item = String>) -> Event {
        let identifiers =
            values.into_iter().map(|value| Identifier { kind: "user_id".into(), value }).collect::<Vec<_>>();
        Event { identifiers, ..Event::default() }
    }

    #[test]
    fn identifiers_are_counted_once_each() {
        let mut repeated = event((0..60).map(|index| format!("u-{}", index % 20)));
        check_identifiers(&mut repeated).unwrap();
        assert_eq!(repeated.identifiers.len(), 20);
        assert_eq!(repeated.identifiers[0].value, "u-0");

        let mut many = event((0..100_000).map(|index| format!("u-{index}")));
        assert_eq!(check_identifiers(&mut many).unwrap_err().reason, Reason::TooManyIdentifiers);
        assert_eq!(check_identifiers(&mut event([])).unwrap_err().reason, Reason::IdentifierMissing);
        assert_eq!(check_identifiers(&mut event([String::new()])).unwrap_err().reason, Reason::IdentifierInvalid);
    }

    #[test]
    fn carried_json_is_an_object_within_the_depth() {
        let mut deep = Bytes::from(format!("{{\"a\":{}{}}}", "[".repeat(10_000), "]".repeat(10_000)));
        let mut list = Bytes::from_static(b"[1]");
        let mut nul = Bytes::from_static(br#"{"a":"\u0000"}"#);

        assert_eq!(check_json("properties_json", &mut deep).unwrap_err().reason, Reason::TooDeep);
        assert_eq!(check_json("properties_json", &mut list).unwrap_err().reason, Reason::FieldInvalid);
        check_json("properties_json", &mut nul).unwrap();
        assert_eq!(nul, &br#"{"a":"\ufffd"}"#[..]);
    }
}

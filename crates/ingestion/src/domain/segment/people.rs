//! Who an event is about: ids, external ids, e-mail and telephone among the traits; and what the traits say.

use chrono::NaiveDate;
use proto::event::v1::{Identified, Location};
use proto::r#type::v1::Identifier;

use crate::domain::check::invalid_identifier;
use crate::domain::json::{Json, Members};
use crate::domain::limits::{MAX_IDENTIFIER_CHARS, fits, to_kind};
use crate::domain::problem::Problem;

/// Takes an id that may be a string or a number. Null and empty count as absent.
pub(crate) fn take_id(members: &mut Members<'_>, key: &'static str) -> Result<Option<String>, Problem> {
    let Some(json) = members.take(key) else { return Ok(None) };
    let Some(text) = json.scalar() else {
        return Err(invalid_identifier(format!("{key} must be a string or a number")));
    };
    let text = text.trim();
    Ok((!text.is_empty()).then(|| text.to_owned()))
}

/// Adds an identifier, if there is one.
pub(crate) fn add(identifiers: &mut Vec<Identifier>, kind: &str, value: Option<String>) {
    if let Some(value) = value {
        identifiers.push(Identifier { kind: kind.to_owned(), value });
    }
}

/// Takes e-mail and telephone out of traits. What is no address at all stays among the traits.
pub(crate) fn take_contacts(traits: &mut Members<'_>, identifiers: &mut Vec<Identifier>) {
    add(identifiers, "email", traits.take_if("email", contact));
    add(identifiers, "phone", traits.take_if("phone", contact));
}

/// Reads e-mail and telephone among traits that the context repeats, and leaves them there.
pub(crate) fn peek_contacts(traits: &Members<'_>, identifiers: &mut Vec<Identifier>) {
    add(identifiers, "email", traits.get("email").and_then(contact));
    add(identifiers, "phone", traits.get("phone").and_then(contact));
}

fn contact(json: Json<'_>) -> Option<String> {
    let text = json.scalar()?;
    let text = text.trim();
    let usable = !text.is_empty() && fits(text, MAX_IDENTIFIER_CHARS);
    usable.then(|| text.to_owned())
}

/// Takes `externalIds` (`[{id, type, collection, encoding}]`) as identifiers. A list that holds anything else as well
/// is read as far as it goes, and left in its place.
pub(crate) fn take_external_ids(context: &mut Members<'_>, identifiers: &mut Vec<Identifier>) {
    let Some(items) = context.get("externalIds").and_then(Json::items) else { return };
    let mut all_read = true;
    for item in items {
        match external_id(item) {
            Some(identifier) => identifiers.push(identifier),
            None => all_read = false,
        }
    }
    if all_read {
        context.take("externalIds");
    }
}

fn external_id(item: Json<'_>) -> Option<Identifier> {
    let members = item.members()?;
    let value = contact(members.get("id")?)?;
    let kind = to_kind(&members.get("type")?.string()?);
    (!kind.is_empty()).then_some(Identifier { kind, value })
}

/// Returns what was used as an id before. SDKs do not say which kind it was: their anonymous ids are UUIDs.
pub(crate) fn previous_identifier(value: String, anonymous_id: Option<&str>) -> Identifier {
    let anonymous = anonymous_id == Some(value.as_str()) || uuid::Uuid::parse_str(&value).is_ok();
    let kind = if anonymous { "anonymous_id" } else { "user_id" };
    Identifier { kind: kind.to_owned(), value }
}

/// Reads the traits of an identify call; e-mail and telephone have been taken before.
pub(crate) fn identified(traits: &mut Members<'_>) -> Identified {
    let first_name = traits.take_text(&["firstName", "first_name", "firstname"]);
    let last_name = traits.take_text(&["lastName", "last_name", "lastname"]);
    let gender = traits.take_text(&["gender"]);
    let birth_date = ["birthday", "birthDate", "birth_date", "dateOfBirth"]
        .into_iter()
        .find_map(|key| traits.take_if(key, birth_date))
        .unwrap_or_default();
    let (address, street) = address(traits).unzip();
    Identified {
        first_name,
        last_name,
        birth_date,
        gender,
        address,
        street: street.unwrap_or_default(),
        traits_json: traits.rest(),
    }
}

/// Returns the date of an ISO 8601 date or time.
fn birth_date(json: Json<'_>) -> Option<String> {
    let text = json.string()?;
    let date = text.trim().get(..10)?;
    NaiveDate::parse_from_str(date, "%Y-%m-%d").ok()?;
    Some(date.to_owned())
}

/// Takes the address if all of it is understood; otherwise it is read and left in its place.
fn address(traits: &mut Members<'_>) -> Option<(Location, String)> {
    let mut members = traits.get("address")?.members()?;
    let street = members.take_text(&["street"]);
    let location = Location {
        country: members.take_text(&["country"]),
        region: members.take_text(&["state", "region"]),
        city: members.take_text(&["city"]),
        postal_code: members.take_text(&["postalCode", "postal_code", "zip"]),
    };
    if members.nothing_left() {
        traits.take("address");
    }
    Some((location, street))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn traits_become_facts_and_the_rest_stays() {
        let text = r#"{"email":" a@b.fr ","phone":33612345678,"firstName":"Ada","birthday":"1990-02-03T00:00:00Z",
            "address":{"street":"1 rue X","city":"Lyon","state":"Rhône","postalCode":69001,"country":"FR"},"vip":true}"#;
        let mut traits = Members::parse(text).unwrap();
        let mut identifiers = Vec::new();

        take_contacts(&mut traits, &mut identifiers);
        let facts = identified(&mut traits);

        let found: Vec<_> = identifiers.iter().map(|one| (one.kind.as_str(), one.value.as_str())).collect();
        assert_eq!(found, [("email", "a@b.fr"), ("phone", "33612345678")]);
        assert_eq!((facts.first_name.as_str(), facts.birth_date.as_str()), ("Ada", "1990-02-03"));
        assert_eq!(facts.street, "1 rue X");
        assert_eq!(facts.address.unwrap().postal_code, "69001");
        assert_eq!(facts.traits_json, &br#"{"vip":true}"#[..]);
    }

    #[test]
    fn external_ids_bring_kinds_of_their_own() {
        let text = r#"{"externalIds":[{"id":"c-1","type":"Loyalty Card","collection":"users","encoding":"none"}]}"#;
        let mut context = Members::parse(text).unwrap();
        let mut identifiers = Vec::new();

        take_external_ids(&mut context, &mut identifiers);

        assert_eq!(identifiers, [Identifier { kind: "loyalty_card".into(), value: "c-1".into() }]);
        assert!(context.nothing_left());
    }

    #[test]
    fn ids_may_be_numbers_but_not_objects() {
        let mut members = Members::parse(r#"{"userId":12345678901234567890,"anonymousId":null,"groupId":{}}"#).unwrap();

        assert_eq!(take_id(&mut members, "userId").unwrap().as_deref(), Some("12345678901234567890"));
        assert_eq!(take_id(&mut members, "anonymousId"), Ok(None));
        assert!(take_id(&mut members, "groupId").is_err());
    }
}

//! Reading an event: what it says about who somebody is, and what is known of them.

use std::sync::Arc;

use kit::time::valid_micros;
use proto::event::v1::{Event, Location, event::Body};
use proto::r#type::v1::{ConsentState, Identifier};
use serde_json::Value;
use uuid::Uuid;

use crate::domain::{
    component::Sighted,
    graph::Sighting,
    identifier::{Ident, Reading},
    person::{Answer, Told},
    policy::Policy,
};

/// Longest value of a trait, in bytes; longer ones are cut.
const LONGEST_VALUE: usize = 1_024;
/// Most traits that one event may tell.
const MOST_TRAITS: usize = 100;

/// Reads what `event` says. Fails with a reason, free of personal data, when it is no event that ingestion could have kept.
pub(crate) fn read_event(event: &Event, policy: &Policy) -> Result<Sighting, &'static str> {
    let event_id = Uuid::try_parse(&event.event_id).map_err(|_| "its event_id is not a UUID")?;
    let time = event.event_time.as_ref().ok_or("it has no event_time")?;
    let time_us = valid_micros(time).ok_or("its event_time is out of range")?;
    let sighted = Sighted { time_us, event_id, source: Arc::from(event.source_id.as_str()) };

    let mut sighting = Sighting {
        useful: Vec::with_capacity(event.identifiers.len() + 1),
        worthless: Vec::new(),
        declared: None,
        told: told(event),
        answers: answers(event, time_us),
        sighted,
    };
    for identifier in &event.identifiers {
        sort_in(identifier, policy, &mut sighting);
    }
    if let Some(Body::Aliased(aliased)) = &event.body
        && let Some(previous) = &aliased.previous
    {
        sighting.declared = sort_in(previous, policy, &mut sighting);
    }
    Ok(sighting)
}

/// Puts an identifier where it belongs, once, and returns its key if it points to somebody.
fn sort_in(identifier: &Identifier, policy: &Policy, sighting: &mut Sighting) -> Option<u128> {
    let add = |list: &mut Vec<Ident>, ident: Ident| {
        if !list.iter().any(|known| known.key == ident.key) {
            list.push(ident);
        }
    };
    match policy.read(&identifier.kind, &identifier.value) {
        Reading::Useful(ident) => {
            let key = ident.key;
            add(&mut sighting.useful, ident);
            Some(key)
        }
        Reading::Worthless(ident, _) => {
            add(&mut sighting.worthless, ident);
            None
        }
        Reading::Aside => None,
    }
}

fn told(event: &Event) -> Vec<Told> {
    let mut told = Vec::new();
    if let Some(context) = &event.context {
        tell(&mut told, "locale", &context.locale, false);
        tell(&mut told, "timezone", &context.timezone, false);
        if let Some(location) = &context.location {
            tell_place(&mut told, location, false);
        }
    }
    if let Some(Body::Identified(facts)) = &event.body {
        tell(&mut told, "first_name", &facts.first_name, true);
        tell(&mut told, "last_name", &facts.last_name, true);
        tell(&mut told, "birth_date", &facts.birth_date, true);
        tell(&mut told, "gender", &facts.gender, true);
        tell(&mut told, "street", &facts.street, true);
        if let Some(address) = &facts.address {
            tell_place(&mut told, address, true);
        }
        tell_others(&mut told, &facts.traits_json);
    }
    told
}

fn tell_place(told: &mut Vec<Told>, place: &Location, said: bool) {
    tell(told, "country", &place.country, said);
    tell(told, "region", &place.region, said);
    tell(told, "city", &place.city, said);
    tell(told, "postal_code", &place.postal_code, said);
}

fn tell(told: &mut Vec<Told>, name: &str, value: &str, said: bool) {
    let value = value.trim();
    if !value.is_empty() {
        told.push(Told { name: name.into(), value: cut(value).into(), said });
    }
}

/// The sender's own traits. Ingestion has checked that they are a JSON object; what is not is left out.
fn tell_others(told: &mut Vec<Told>, json: &[u8]) {
    let Ok(Value::Object(traits)) = serde_json::from_slice::<Value>(json) else { return };
    for (name, value) in traits.into_iter().take(MOST_TRAITS) {
        let name = snake_case(&name);
        // These are identifiers, and have their own way into the golden record.
        let is_contact = matches!(name.as_str(), "email" | "phone");
        let text = match value {
            Value::Null => continue,
            Value::String(text) => text,
            other => other.to_string(),
        };
        if !name.is_empty() && !is_contact && !told.iter().any(|known| *known.name == *name && known.said) {
            tell(told, &name, &text, true);
        }
    }
}

fn cut(value: &str) -> &str {
    let mut end = value.len().min(LONGEST_VALUE);
    while !value.is_char_boundary(end) {
        end -= 1;
    }
    &value[..end]
}

/// "favouriteShop", "Favourite shop" and "favourite-shop" are one trait.
fn snake_case(name: &str) -> String {
    const LONGEST_NAME: usize = 64;

    let mut snake = String::with_capacity(name.len() + 4);
    let mut after_lower = false;
    for character in name.chars() {
        if character.is_alphanumeric() {
            if character.is_uppercase() && after_lower {
                snake.push('_');
            }
            snake.extend(character.to_lowercase());
            after_lower = character.is_lowercase() || character.is_ascii_digit();
        } else if !snake.is_empty() && !snake.ends_with('_') {
            snake.push('_');
            after_lower = false;
        }
    }
    snake.trim_end_matches('_').chars().take(LONGEST_NAME).collect()
}

fn answers(event: &Event, event_time_us: i64) -> Vec<Answer> {
    let answer = |consent: &proto::r#type::v1::Consent| {
        let granted = match consent.state() {
            ConsentState::Granted => true,
            ConsentState::Denied => false,
            ConsentState::Unspecified => return None,
        };
        let decided_us = consent.decided_time.as_ref().and_then(valid_micros);
        Some(Answer {
            purpose: consent.purpose.as_str().into(),
            channel: consent.channel.as_str().into(),
            granted,
            decided_us: decided_us.unwrap_or(event_time_us),
            proof: consent.proof.as_str().into(),
        })
    };
    event.consents.iter().filter_map(answer).collect()
}

#[cfg(test)]
mod tests {
    use proto::event::v1::Identified;

    use super::*;

    #[test]
    fn names_of_traits_are_in_snake_case() {
        for written in ["favouriteShop", "Favourite shop", "favourite-shop", " favourite_shop "] {
            assert_eq!(snake_case(written), "favourite_shop");
        }
        assert_eq!(snake_case("VIP"), "vip");
        assert_eq!(snake_case("--"), "");
    }

    #[test]
    fn own_traits_are_told_as_text_and_contacts_are_not() {
        let facts = Identified {
            first_name: "Zoé".into(),
            traits_json: br#"{"firstName":"other","shoeSize":42,"vip":true,"email":"a@b.fr","tags":["a"],"none":null}"#
                [..]
                .into(),
            ..Identified::default()
        };
        let event = Event { body: Some(Body::Identified(facts)), ..Event::default() };

        let told: Vec<(String, String)> =
            told(&event).into_iter().map(|fact| (fact.name.to_string(), fact.value.to_string())).collect();

        let expected = [("first_name", "Zoé"), ("shoe_size", "42"), ("tags", "[\"a\"]"), ("vip", "true")];
        assert_eq!(told, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    }

    #[test]
    fn an_event_without_time_or_id_is_refused() {
        let policy = Policy::default();

        assert!(read_event(&Event::default(), &policy).is_err());
        let no_time = Event { event_id: Uuid::now_v7().to_string(), ..Event::default() };
        assert!(read_event(&no_time, &policy).is_err());
    }
}

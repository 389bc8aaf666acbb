//! Events without what may tell of a person, for those who may see how a source is doing but not who uses it.

use proto::event::v1::event::Body;
use proto::event::v1::{
    AdCampaign, Aliased, Context, CouponActivity, Device, Event, Grouped, Identified, Location, MessageActivity,
    PageViewed, ProductListActivity, ProductReviewed,
};
use proto::r#type::v1::{Consent, Identifier};
use serde_json::{Map, Value};

use super::plan::is_plain;

/// Stands for a value.
const HIDDEN: &str = "***";

/// Returns an event without what may tell of a person: values of identifiers and of unknown properties, the message id,
/// the address, texts that people write. What is not known to be harmless is left out.
pub(crate) fn mask(event: Event) -> Event {
    let hide = |identifier: Identifier| Identifier { value: HIDDEN.to_owned(), ..identifier };
    Event {
        message_id: String::new(),
        identifiers: event.identifiers.into_iter().map(hide).collect(),
        consents: event.consents.into_iter().map(|consent| Consent { proof: String::new(), ..consent }).collect(),
        context: event.context.map(context),
        properties_json: types_of(&event.properties_json).into(),
        body: event.body.map(body),
        // The others are ours, or name no person.
        event_id: event.event_id,
        source_id: event.source_id,
        event_time: event.event_time,
        original_time: event.original_time,
        sent_time: event.sent_time,
        received_time: event.received_time,
        provenance: event.provenance,
        name: event.name,
    }
}

fn context(context: Context) -> Context {
    Context {
        locale: context.locale,
        timezone: context.timezone,
        location: context.location.map(place),
        campaign: context.campaign.map(|campaign| AdCampaign {
            source: campaign.source,
            medium: campaign.medium,
            ..AdCampaign::default()
        }),
        device: context.device.map(|device| Device { id: String::new(), ..device }),
        ..Context::default()
    }
}

/// The country alone.
fn place(place: Location) -> Location {
    Location { country: place.country, ..Location::default() }
}

fn body(body: Body) -> Body {
    match body {
        Body::PageViewed(page) => Body::PageViewed(PageViewed { title: String::new(), ..page }),
        Body::Identified(_) => Body::Identified(Identified::default()),
        Body::Grouped(_) => Body::Grouped(Grouped::default()),
        Body::Aliased(_) => Body::Aliased(Aliased::default()),
        // People search for people, and for what ails them.
        Body::ProductListActivity(list) => {
            Body::ProductListActivity(ProductListActivity { query: String::new(), ..list })
        }
        Body::ProductReviewed(review) => Body::ProductReviewed(ProductReviewed { text: String::new(), ..review }),
        Body::CouponActivity(coupon) => Body::CouponActivity(CouponActivity { reason: String::new(), ..coupon }),
        Body::MessageActivity(message) => Body::MessageActivity(MessageActivity { url: String::new(), ..message }),
        harmless @ (Body::ProductActivity(_)
        | Body::CartActivity(_)
        | Body::CheckoutActivity(_)
        | Body::OrderActivity(_)
        | Body::PromotionActivity(_)
        | Body::ConsentChanged(_)
        | Body::StoreVisited(_)
        | Body::ContextSignal(_)
        | Body::Custom(_)) => harmless,
    }
}

/// Returns an object with the types of its values in their place; nothing for what is no object.
fn types_of(json: &[u8]) -> Vec<u8> {
    match serde_json::from_slice(json) {
        Ok(Value::Object(members)) if !members.is_empty() => {
            serde_json::to_vec(&types(&members)).expect("a value is JSON")
        }
        _ => Vec::new(),
    }
}

fn types(members: &Map<String, Value>) -> Value {
    let named = members.iter().filter(|(name, _)| is_plain(name));
    let typed = named.map(|(name, value)| {
        let shown = match value {
            Value::Object(members) => types(members),
            Value::Null => Value::from("null"),
            Value::Bool(_) => Value::from("boolean"),
            Value::Number(_) => Value::from("number"),
            Value::String(_) => Value::from("string"),
            Value::Array(_) => Value::from("array"),
        };
        (name.clone(), shown)
    });
    Value::Object(typed.collect())
}

#[cfg(test)]
mod tests {
    use prost::Message;
    use proto::event::v1::{CartActivity, Page};

    use super::*;

    #[test]
    fn nothing_of_a_person_is_left() {
        let secret = "ada@example.org";
        let text = || secret.to_owned();
        let address = Location { country: "FR".into(), city: text(), postal_code: text(), region: text() };
        let properties = format!(r#"{{"gift":{{"to":"{secret}"}},"{secret}":1,"size":43}}"#);
        for body in [
            Body::Identified(Identified { first_name: text(), traits_json: text().into(), ..Identified::default() }),
            Body::Aliased(Aliased { previous: Some(Identifier { kind: "user_id".into(), value: text() }) }),
            Body::Grouped(Grouped { group_id: text(), traits_json: text().into() }),
            Body::PageViewed(PageViewed { title: text(), ..PageViewed::default() }),
            Body::ProductReviewed(ProductReviewed { text: text(), ..ProductReviewed::default() }),
            Body::CartActivity(CartActivity { cart_id: "c-1".into(), ..CartActivity::default() }),
        ] {
            let event = Event {
                event_id: "e-1".into(),
                name: "Something".into(),
                message_id: text(),
                identifiers: vec![Identifier { kind: "email".into(), value: text() }],
                consents: vec![Consent { proof: text(), ..Consent::default() }],
                context: Some(Context {
                    ip: text(),
                    user_agent: text(),
                    page: Some(Page { url: text(), ..Page::default() }),
                    location: Some(address.clone()),
                    device: Some(Device { id: text(), r#type: "mobile".into(), ..Device::default() }),
                    session_id: text(),
                    extra_json: text().into(),
                    ..Context::default()
                }),
                properties_json: properties.clone().into(),
                body: Some(body),
                ..Event::default()
            };

            let masked = mask(event);

            let bytes = masked.encode_to_vec();
            let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
            assert!(!found, "{masked:?}");
            assert_eq!(masked.properties_json, &br#"{"gift":{"to":"string"},"size":"number"}"#[..]);
            assert_eq!((masked.event_id.as_str(), masked.identifiers[0].kind.as_str()), ("e-1", "email"));
        }
    }
}

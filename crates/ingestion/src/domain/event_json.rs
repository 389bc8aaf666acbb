//! Typed events as JSON, to be edited, and back.

use std::sync::LazyLock;

use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor};
use proto::event::v1::Event;

use super::json::{Json, Members, ObjectWriter};

/// Member under which the properties stand as an object.
const PROPERTIES: &str = "properties";

/// The contract of events, for reading and writing JSON. Parsed at first use; it never changes.
static EVENT: LazyLock<MessageDescriptor> = LazyLock::new(|| {
    let pool = DescriptorPool::decode(proto::FILE_DESCRIPTOR_SET).expect("the descriptors are compiled in");
    pool.get_message_by_name("comptoir.event.v1.Event").expect("the contract of events is among them")
});

/// Returns a serialised event as JSON; `None` when it is none.
pub(crate) fn to_json(payload: &[u8]) -> Option<String> {
    let mut event = Event::decode(payload).ok()?;
    let properties = std::mem::take(&mut event.properties_json);
    let message = DynamicMessage::decode(EVENT.clone(), event.encode_to_vec().as_slice()).ok()?;
    let text = serde_json::to_string(&message).ok()?;
    if properties.is_empty() {
        return Some(text);
    }
    let members = Members::parse(&text)?;
    let mut object = ObjectWriter::default();
    for (key, value) in members.left() {
        object.put(key, value.raw());
    }
    let properties = String::from_utf8_lossy(&properties);
    match Json::parse(&properties) {
        Some(json) => object.put(PROPERTIES, json.raw()),
        // As text, it can be set to something better.
        None => object.put_text(PROPERTIES, &properties),
    }
    String::from_utf8(object.finish().into()).ok()
}

/// Returns the serialised event of a JSON text; `None` when it is none.
pub(crate) fn from_json(text: &str) -> Option<Vec<u8>> {
    let mut members = Members::parse(text)?;
    let properties = members.take(PROPERTIES);
    let rest = members.rest_text();
    let mut deserializer = serde_json::Deserializer::from_str(&rest);
    let message = DynamicMessage::deserialize(EVENT.clone(), &mut deserializer).ok()?;
    deserializer.end().ok()?;
    let mut event = Event::decode(message.encode_to_vec().as_slice()).ok()?;
    if let Some(properties) = properties {
        event.properties_json = match properties.string() {
            Some(text) => text.into_owned().into_bytes().into(),
            None => properties.raw().to_owned().into_bytes().into(),
        };
    }
    Some(event.encode_to_vec())
}

#[cfg(test)]
mod tests {
    use proto::event::v1::event::Body;
    use proto::event::v1::{OrderActivity, order_activity};
    use proto::r#type::v1::Identifier;

    use super::*;

    #[test]
    fn an_event_survives_the_way_to_json_and_back() {
        let order = OrderActivity {
            action: order_activity::Action::Completed.into(),
            order_id: "o-1".into(),
            ..OrderActivity::default()
        };
        for properties in ["", r#"{"a":1e400,"b":12345678901234567890123}"#, "[1"] {
            let event = Event {
                message_id: "m-1".into(),
                identifiers: vec![Identifier { kind: "user_id".into(), value: "u".into() }],
                body: Some(Body::OrderActivity(order.clone())),
                properties_json: properties.to_owned().into_bytes().into(),
                ..Event::default()
            };

            let json = to_json(&event.encode_to_vec()).unwrap();

            assert!(json.contains(r#""orderActivity":{"#), "{json}");
            assert_eq!(Event::decode(from_json(&json).unwrap().as_slice()).unwrap(), event);
        }
        assert!(to_json(b"\xff").is_none());
        assert!(from_json("{\"colour\":1}").is_none() && from_json("[]").is_none());
    }
}

//! Looking at a serialised event without decoding it: most events change nothing here, and decoding is most of the cost.

/// First field number of `Event.body`; everything below is envelope.
const FIRST_BODY: u64 = 20;

/// Returns the field number of the body that a serialised `comptoir.event.v1.Event` holds; none when it holds none or is
/// damaged.
pub(crate) fn body_number(mut event: &[u8]) -> Option<u64> {
    let mut found = None;
    while !event.is_empty() {
        let key = varint(&mut event)?;
        let (number, wire_type) = (key >> 3, key & 7);
        let skipped = match wire_type {
            0 => {
                varint(&mut event)?;
                0
            }
            1 => 8,
            2 => usize::try_from(varint(&mut event)?).ok()?,
            5 => 4,
            _ => return None,
        };
        event = event.get(skipped..)?;
        if number >= FIRST_BODY {
            found = Some(number);
        }
    }
    found
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use prost::Message;
    use proto::event::v1::{CartActivity, Event, OrderActivity, PageViewed, event::Body};

    use super::*;

    fn event(body: Option<Body>) -> Vec<u8> {
        Event {
            event_id: "e".into(),
            name: "n".repeat(300),
            properties_json: vec![1; 5_000].into(),
            event_time: Some(prost_types::Timestamp { seconds: 1_700_000_000, nanos: 5 }),
            body,
            ..Event::default()
        }
        .encode_to_vec()
    }

    #[test]
    fn the_body_is_known_by_its_number() {
        assert_eq!(body_number(&event(None)), None);
        assert_eq!(body_number(&event(Some(Body::PageViewed(PageViewed::default())))), Some(20));
        assert_eq!(body_number(&event(Some(Body::CartActivity(CartActivity::default())))), Some(26));
        let order = OrderActivity { order_id: "o".into(), ..OrderActivity::default() };
        assert_eq!(body_number(&event(Some(Body::OrderActivity(order)))), Some(28));
    }

    proptest! {
        #[test]
        fn damaged_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            body_number(&bytes);
        }
    }
}

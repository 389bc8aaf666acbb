//! The door for events that come typed already.

use proto::event::v1::Event;
use proto::event::v1::event::Body;
use proto::r#type::v1::LineItem;

use super::finish::{Arrival, Ready, finish};
use super::limits::MAX_EVENT_BYTES;
use super::problem::{Problem, Reason};
use super::{check, edge};

/// Checks and completes an event of a gRPC caller, of `bytes` when serialised. Fields that ingestion sets are ignored.
pub(crate) fn read(
    event: &mut Event,
    bytes: usize,
    arrival: Arrival<'_>,
    message_id: impl FnOnce() -> String,
) -> Result<Ready, Problem> {
    edge::cut(event);
    if bytes > MAX_EVENT_BYTES {
        return Err(too_large());
    }
    check::check_carried_json(event)?;
    if let Some(body) = &mut event.body {
        count_pieces(body);
    }
    finish(event, arrival, message_id)
}

pub(crate) fn too_large() -> Problem {
    Problem::new(Reason::EventTooLarge, format!("an event is at most {MAX_EVENT_BYTES} bytes"))
}

/// Pieces that nobody counted are one; protobuf cannot tell "none" from "not said".
fn count_pieces(body: &mut Body) {
    let products: &mut [LineItem] = match body {
        Body::ProductListActivity(list) => &mut list.products,
        Body::ProductActivity(activity) => activity.product.as_mut_slice(),
        Body::CartActivity(cart) => &mut cart.products,
        Body::CheckoutActivity(checkout) => &mut checkout.products,
        Body::OrderActivity(order) => &mut order.products,
        _ => return,
    };
    for product in products {
        if product.quantity == 0 {
            product.quantity = 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use prost::Message;
    use proto::event::v1::{Custom, Medium, Party, Provenance};
    use proto::r#type::v1::Identifier;

    use super::*;
    use crate::domain::source::{Edge, SourceProfile};
    use kit::time::timestamp;

    const NOON_US: i64 = 1_748_779_200_000_000;

    fn source() -> SourceProfile {
        SourceProfile {
            tenant: "shop".try_into().unwrap(),
            source_id: "s-1".into(),
            name: "site".into(),
            party: Party::Second,
            medium: Medium::Offline,
            default_currency: None,
            edge: Edge::default(),
            controls: Default::default(),
        }
    }

    fn event() -> Event {
        Event {
            message_id: "m-1".into(),
            event_time: Some(timestamp(NOON_US - 1_000_000)),
            identifiers: vec![Identifier { kind: "loyalty_card".into(), value: "7".into() }],
            body: Some(Body::Custom(Custom {})),
            ..Event::default()
        }
    }

    fn read_at_noon(mut event: Event) -> Result<Ready, Problem> {
        let bytes = event.encoded_len();
        read(&mut event, bytes, Arrival { source: &source(), received_us: NOON_US }, || "drawn".into())
    }

    #[test]
    fn what_ingestion_sets_is_set() {
        let forged = Event {
            event_id: "mine".into(),
            source_id: "other".into(),
            received_time: Some(timestamp(1)),
            provenance: Some(Provenance { bot: true, medium: Medium::Online.into(), ..Provenance::default() }),
            ..event()
        };

        let ready = read_at_noon(forged).unwrap();

        let kept = Event::decode(ready.payload).unwrap();
        assert_eq!(kept.event_id, ready.event_id.to_string());
        assert_eq!((kept.source_id.as_str(), kept.name.as_str()), ("s-1", "Custom"));
        assert_eq!(kept.received_time, Some(timestamp(NOON_US)));
        assert_eq!(kept.original_time, Some(timestamp(NOON_US - 1_000_000)));
        let provenance = kept.provenance.unwrap();
        assert_eq!((provenance.party(), provenance.medium(), provenance.bot), (Party::Second, Medium::Online, false));
        assert_eq!(ready.key, &b"loyalty_card\x007"[..]);
    }

    #[test]
    fn the_same_event_gets_the_same_id_and_another_message_another() {
        let first = read_at_noon(event()).unwrap();
        let again = read_at_noon(event()).unwrap();
        let other = read_at_noon(Event { message_id: "m-2".into(), ..event() }).unwrap();

        assert_eq!((first.event_id, first.message_hash), (again.event_id, again.message_hash));
        assert_ne!(first.message_hash, other.message_hash);
        assert_eq!(first.event_id.get_version_num(), 7);
    }

    #[test]
    fn each_fault_has_its_reason() {
        let ahead = Some(timestamp(NOON_US + 90_000_000_000));
        for (bad, reason) in [
            (Event { identifiers: Vec::new(), ..event() }, Reason::IdentifierMissing),
            (Event { body: None, ..event() }, Reason::BodyMissing),
            (Event { message_id: "x".repeat(101), ..event() }, Reason::MessageIdInvalid),
            (Event { properties_json: vec![b' '; 200_000].into(), ..event() }, Reason::EventTooLarge),
            (Event { properties_json: "nope".into(), ..event() }, Reason::FieldInvalid),
            (Event { event_time: ahead, ..event() }, Reason::TimeInFuture),
            (Event { name: "a\0b".into(), ..event() }, Reason::FieldInvalid),
        ] {
            assert_eq!(read_at_noon(bad).unwrap_err().reason, reason);
        }
    }
}

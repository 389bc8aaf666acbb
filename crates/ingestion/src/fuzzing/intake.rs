use std::sync::Arc;

use bytes::Bytes;
use futures::executor::block_on;
use prost::Message;
use proto::event::v1::{Event, Medium, Party};
use proto::ingestion::v1::tracking_plan::{Mode, Rule};
use proto::ingestion::v1::{
    CollectHttpRequest, CollectRequest, ConsentDefault, ConsentPolicy, TrackingPlan, dead_letter::Encoding,
};

use super::first_line;
use crate::domain::consent::Policy;
use crate::domain::event_json;
use crate::domain::limits::{MAX_EVENT_BYTES, MAX_REQUEST_BYTES};
use crate::domain::plan::Plan;
use crate::domain::problem::Reason;
use crate::domain::source::{Controls, Edge, SourceProfile};
use crate::door::{http, replay, typed};
use crate::intake::{Arrived, Item, Source};
use crate::store::dead_letters::DeadLetterRow;

const NOON_US: i64 = 1_748_779_200_000_000;
/// How much longer than what was sent the events of a request may be: what is told of each at the door.
const ADDED_BYTES: usize = 8 << 10;

/// One HTTP request. The first line is route, content encoding, address and user agent, each empty if it is missing;
/// what follows is the body.
pub fn http_body(data: &[u8]) {
    let (head, body) = first_line(data);
    let head = String::from_utf8_lossy(head);
    let mut words = head.splitn(4, ' ').map(str::to_owned);
    let mut word = || words.next().unwrap_or_default();
    let request = CollectHttpRequest {
        route: word(),
        content_encoding: word(),
        client_ip: word(),
        user_agent: word(),
        ..CollectHttpRequest::default()
    };
    for source in sources() {
        let request = CollectHttpRequest { body: Bytes::copy_from_slice(body), ..request.clone() };
        let Some(read) = block_on(http::read_request(&source, NOON_US, request)) else { continue };
        let bytes = read.text_bytes;
        assert_eq!(read.items.len(), read.events, "an event has no verdict");
        check(&source, read.items, bytes);
    }
}

/// A serialised `CollectRequest`.
pub fn protobuf_intake(data: &[u8]) {
    let Ok(request) = CollectRequest::decode(data) else { return };
    for source in sources() {
        let sent: Vec<Event> = request.events.clone();
        let (events, bytes) = (sent.len(), sent.iter().map(Message::encoded_len).sum());
        match block_on(typed::read_all(&source, NOON_US, sent)) {
            Ok(items) => {
                assert_eq!(items.len(), events, "an event has no verdict");
                check(&source, items, bytes);
            }
            Err(_) => assert!(bytes > MAX_REQUEST_BYTES, "a request is refused whole"),
        }
    }
}

/// A source that takes everything, and one with a plan and a policy.
fn sources() -> [Source; 2] {
    let open = SourceProfile {
        tenant: "shop".try_into().expect("a tenant's name"),
        source_id: "s-1".to_owned(),
        name: "site".to_owned(),
        party: Party::First,
        medium: Medium::Online,
        default_currency: None,
        edge: Edge::default(),
        controls: Controls::default(),
    };
    let policy = ConsentPolicy {
        required_purpose: "analytics".to_owned(),
        otherwise: ConsentDefault::Ask.into(),
        tcf_vendor_id: 755,
        tcf_legitimate_interest: true,
        ..ConsentPolicy::default()
    };
    let schema = r#"{"required":["product_id"],"properties":{"product_id":{"type":"string","maxLength":20},
        "price":{"type":"number","minimum":0},"products":{"type":"array","items":{"type":"object"}}}}"#;
    let plan = TrackingPlan {
        mode: Mode::Quarantine.into(),
        unplanned_mode: Mode::Warn.into(),
        rules: vec![Rule { event_name: "Product Viewed".to_owned(), schema_json: schema.into() }],
        ..TrackingPlan::default()
    };
    let guarded = SourceProfile {
        edge: Edge { policy: Arc::new(Policy::new(&policy)), ..Edge::default() },
        controls: Controls { plan: Plan::compile(&plan).ok().map(Arc::new), ..Controls::default() },
        ..open.clone()
    };
    [Arc::new(open), Arc::new(guarded)]
}

fn check(source: &Source, items: Vec<Item>, sent_bytes: usize) {
    // What a batch shares stands in each of its events.
    let most = (sent_bytes + ADDED_BYTES) * items.len().max(1);
    let mut kept_bytes = 0;
    for item in items {
        match item.arrived {
            Arrived::Ready(ready) => {
                kept_bytes += ready.payload.len();
                let event = Event::decode(ready.payload.clone()).expect("an accepted event decodes");
                assert_eq!(event.event_id, ready.event_id.to_string());
                assert!(!event.message_id.is_empty() && !event.name.is_empty() && event.body.is_some());
                assert!(event.event_time.is_some() && event.received_time.is_some());
                check_json(&event, &ready.payload);
            }
            Arrived::Refused(letter, problem) => {
                kept_bytes += letter.payload.len();
                assert_eq!(letter.reason, problem.reason.as_str());
                check_letter(source, letter);
            }
        }
    }
    assert!(kept_bytes <= most, "{sent_bytes} bytes became {kept_bytes}");
}

/// An event goes into JSON to be mended and comes back what it was.
fn check_json(event: &Event, payload: &[u8]) {
    let json = event_json::to_json(payload).expect("an accepted event can be shown");
    let back = event_json::from_json(&json).expect("what was shown can be taken back");
    assert_eq!(Event::decode(back.as_slice()).as_ref(), Ok(event), "mending changed what it did not name");
}

/// A refused event is kept, and alone it is refused for the same reason.
fn check_letter(source: &Source, letter: DeadLetterRow) {
    let is_typed = letter.encoding == i64::from(i32::from(Encoding::Event));
    if letter.payload.is_empty() {
        // An empty typed event is no bytes.
        assert!(is_typed || !source.edge.policy.required.is_empty(), "a refused event is not kept");
        return;
    }
    let reason = letter.reason.clone();
    // A member that stands twice counts once, and once it is kept: what is left need not be too large.
    let was_larger = reason == Reason::EventTooLarge.as_str() && letter.payload.len() <= MAX_EVENT_BYTES;
    if was_larger && !is_typed {
        return;
    }
    let again = replay::resubmission(Source::clone(source), letter, Vec::new());
    match again.items.into_iter().next().map(|item| item.arrived) {
        Some(Arrived::Refused(_, problem)) => assert_eq!(problem.reason.as_str(), reason, "replayed"),
        Some(Arrived::Ready(_)) => panic!("{reason}, but taken when it is replayed"),
        None => panic!("nothing is replayed"),
    }
}

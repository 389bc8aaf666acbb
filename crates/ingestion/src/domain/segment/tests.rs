//! What becomes of calls as SDKs make them.

use proptest::prelude::*;
use prost::Message;
use proto::event::v1::event::Body;
use proto::event::v1::{Event, Medium, Party};
use proto::google::r#type::Money;
use proto::r#type::v1::ConsentState;

use super::*;
use crate::domain::finish::{Arrival, Ready};
use crate::domain::json::Json;
use crate::domain::json_scan::mend_escapes;
use crate::domain::problem::{Problem, Reason};
use crate::domain::source::{Edge, SourceProfile};
use kit::Currency;
use kit::time::timestamp;

const NOON_US: i64 = 1_748_779_200_000_000;

fn source() -> SourceProfile {
    SourceProfile {
        tenant: "shop".try_into().unwrap(),
        source_id: "s-1".into(),
        name: "site".into(),
        party: Party::First,
        medium: Medium::Online,
        default_currency: Currency::parse("GBP"),
        edge: Edge::default(),
        controls: Default::default(),
    }
}

fn read_ready(text: &str, source: &SourceProfile) -> Result<Ready, Problem> {
    let arrival = Arrival { source, received_us: NOON_US };
    let from = HttpArrival::new(arrival, "9.9.9.9", "Firefox", false);
    let shared = Shared { maybe_too_deep: true, ..Shared::default() };
    read(Json::parse(text).unwrap(), &shared, from, || "drawn".into())
}

pub(super) fn event(text: &str) -> Event {
    Event::decode(read_ready(text, &source()).unwrap().payload).unwrap()
}

fn refusal(text: &str) -> Reason {
    read_ready(text, &source()).unwrap_err().reason
}

fn track(name: &str, properties: &str) -> String {
    format!(r#"{{"type":"track","userId":"u","event":"{name}","properties":{properties}}}"#)
}

pub(super) fn money(currency: &str, units: i64, nanos: i32) -> Option<Money> {
    Some(Money { currency_code: currency.into(), units, nanos })
}

fn text(json: &[u8]) -> &str {
    std::str::from_utf8(json).unwrap()
}

#[test]
fn an_order_becomes_typed_and_the_unknown_stays() {
    let event = event(&track(
        "Order Completed",
        r#"{"order_id":50314325,"total":"27.50","revenue":25.00,"shipping":3,"tax":2,"discount":-2.5,"coupon":"hasbros",
           "currency":"usd","gift":{"wrap":true},
           "products":[{"product_id":"p1","sku":"45790-32","name":"Monopoly","price":"19.00","quantity":"2","position":1}]}"#,
    ));

    let Some(Body::OrderActivity(order)) = event.body else { panic!("an order") };
    assert_eq!(order.order_id, "50314325");
    assert_eq!(order.total, money("USD", 27, 500_000_000));
    assert_eq!(order.discount, money("USD", 2, 500_000_000));
    assert_eq!(order.products.len(), 1);
    assert_eq!((order.products[0].quantity, order.products[0].position), (2, 1));
    assert_eq!(order.products[0].price, money("USD", 19, 0));
    assert_eq!(text(&event.properties_json), r#"{"gift":{"wrap":true}}"#);
}

#[test]
fn a_total_that_the_shop_did_not_tell_is_added_up() {
    let total = |properties: &str| {
        let Some(Body::OrderActivity(order)) = event(&track("Completed Order", properties)).body else {
            panic!("an order")
        };
        order.total
    };

    assert_eq!(total(r#"{"orderId":"1","revenue":10,"shipping":2,"tax":1}"#), money("GBP", 13, 0));
    assert_eq!(
        total(r#"{"orderId":"1","products":[{"id":"a","price":1.5,"quantity":3},{"id":"b","price":1}],"discount":1}"#),
        money("GBP", 4, 500_000_000)
    );
    assert_eq!(total(r#"{"orderId":"1","value":0.1}"#), money("GBP", 0, 100_000_000));
    assert_eq!(refusal(&track("Order Completed", r#"{"order_id":"1"}"#)), Reason::AmountMissing);
}

#[test]
fn lines_that_are_not_all_understood_stay_among_the_properties() {
    let event =
        event(&track("Cart Viewed", r#"{"cart_id":"c","products":[{"product_id":"a","size":"XL"},{"name":"?"}]}"#));

    let Some(Body::CartActivity(cart)) = event.body else { panic!("a cart") };
    assert_eq!(cart.products.len(), 1);
    assert_eq!(text(&event.properties_json), r#"{"products":[{"product_id":"a","size":"XL"},{"name":"?"}]}"#);
}

#[test]
fn an_unknown_event_keeps_its_properties_to_the_byte() {
    let properties = r#"{ "a" : 1.50, "b":[ 123456789012345678901234567890 ],"currency":"nope"}"#;

    let event = event(&track("Wheel Spun", properties));

    assert_eq!(event.body, Some(Body::Custom(proto::event::v1::Custom {})));
    assert_eq!(text(&event.properties_json), properties);
    assert_eq!(event.name, "Wheel Spun");
}

#[test]
fn people_are_named_by_all_that_names_them() {
    let event = event(
        r#"{"type":"identify","userId":42,"anonymousId":"a-1","messageId":"m","traits":{"email":"a@b.fr","plan":"gold"},
            "context":{"traits":{"phone":"+331"},"externalIds":[{"id":"x","type":"ios.idfa"}],"groupId":"g"}}"#,
    );

    let found: Vec<_> = event.identifiers.iter().map(|one| (one.kind.as_str(), one.value.as_str())).collect();
    assert_eq!(
        found,
        [("user_id", "42"), ("anonymous_id", "a-1"), ("email", "a@b.fr"), ("ios_idfa", "x"), ("phone", "+331")]
    );
    let Some(Body::Identified(identified)) = event.body else { panic!("facts") };
    assert_eq!(text(&identified.traits_json), r#"{"plan":"gold"}"#);
    assert_eq!(text(&event.context.unwrap().extra_json), r#"{"traits":{"phone":"+331"},"groupId":"g"}"#);
}

#[test]
fn pages_groups_and_aliases_are_typed() {
    let page = event(
        r#"{"type":"page","anonymousId":"a","name":"Home","properties":{"name":"Home","url":"https://x/","title":"T","ab":1}}"#,
    );
    assert_eq!(page.name, "Page Viewed");
    assert_eq!(text(&page.properties_json), r#"{"ab":1}"#);
    assert_eq!(page.context.unwrap().page.unwrap().url, "https://x/");

    let group = event(r#"{"type":"group","userId":"u","groupId":7,"traits":{"size":3}}"#);
    assert_eq!(group.identifiers.last().unwrap().kind, "group_id");

    let alias = event(r#"{"type":"alias","userId":"u","previousId":"0196f2f0-0000-7000-8000-000000000000"}"#);
    let Some(Body::Aliased(aliased)) = alias.body else { panic!("an alias") };
    assert_eq!(aliased.previous.unwrap().kind, "anonymous_id");
}

#[test]
fn what_a_batch_shares_lies_under_each_event() {
    let body = r#"{"batch":[{"type":"track","event":"x","userId":"u","context":{"ip":"1.1.1.1"}}],
        "context":{"ip":"2.2.2.2","locale":"fr-FR"},"integrations":{"All":true},
        "timestamp":"2025-06-01T08:00:00Z","sentAt":"2025-06-01T09:00:00Z"}"#;
    let request = split(Route::Batch, body).unwrap();
    let source = source();
    let from = HttpArrival::new(Arrival { source: &source, received_us: NOON_US }, "", "", false);

    let ready = read(request.events[0], &request.shared, from, || "drawn".into()).unwrap();

    let event = Event::decode(ready.payload).unwrap();
    let context = event.context.unwrap();
    assert_eq!((context.ip.as_str(), context.locale.as_str()), ("1.1.1.0", "fr-FR"));
    assert_eq!(text(&context.extra_json), r#"{"integrations":{"All":true}}"#);
    let hour_us = 3_600_000_000;
    assert_eq!(event.original_time, Some(timestamp(NOON_US - 4 * hour_us)));
    assert_eq!(event.event_time, Some(timestamp(NOON_US - hour_us)), "the clock was three hours slow");
    assert_eq!(event.message_id, "drawn");
}

#[test]
fn a_kept_payload_stands_for_itself() {
    let body = r#"{"batch":[{"type":"track","event":"x","context":{"library":{"name":"analytics.js"}}}],
        "context":{"locale":"fr"},"sentAt":"2025-06-01T09:00:00Z","writeKey":"secret"}"#;
    let request = split(Route::Batch, body).unwrap();
    let source = source();
    let from = HttpArrival::new(Arrival { source: &source, received_us: NOON_US }, "9.9.9.9", "", false);

    let kept = kept_payload(request.events[0], &request.shared, from.sender);

    let expected = r#"{"context":{"library":{"name":"analytics.js"},"locale":"fr","ip":"9.9.9.0"},"sentAt":"2025-06-01T09:00:00Z","type":"track","event":"x"}"#;
    assert_eq!(text(&kept), expected);
}

#[test]
fn consents_are_stated_by_context_and_by_event() {
    let event = event(
        r#"{"type":"track","event":"Segment Consent Preference Updated","userId":"u",
            "context":{"consent":{"categoryPreferences":{"Advertising":false}}}}"#,
    );

    assert!(matches!(event.body, Some(Body::ConsentChanged(_))));
    assert_eq!((event.consents[0].purpose.as_str(), event.consents[0].state()), ("advertising", ConsentState::Denied));
    assert_eq!(event.consents[0].decided_time, event.event_time);
}

#[test]
fn each_fault_has_its_reason() {
    let deep = format!(
        r#"{{"type":"track","userId":"u","event":"x","properties":{{"a":{}{}}}}}"#,
        "[".repeat(10_000),
        "]".repeat(10_000)
    );
    for (text, reason) in [
        ("7", Reason::Malformed),
        (deep.as_str(), Reason::TooDeep),
        (&track("x", &format!("{{\"a\":\"{}\"}}", "x".repeat(200_000))), Reason::EventTooLarge),
        (r#"{"type":"buy","userId":"u"}"#, Reason::TypeUnknown),
        (r#"{"userId":"u"}"#, Reason::TypeUnknown),
        (r#"{"type":"track","userId":"u","event":" "}"#, Reason::NameMissing),
        (r#"{"type":"track","event":"x","userId":null}"#, Reason::IdentifierMissing),
        (r#"{"type":"track","event":"x","userId":{}}"#, Reason::IdentifierInvalid),
        (r#"{"type":"track","event":"x","userId":"u","messageId":[]}"#, Reason::MessageIdInvalid),
        (r#"{"type":"track","event":"x","userId":"u","timestamp":"soon"}"#, Reason::TimeInvalid),
        (r#"{"type":"track","event":"x","userId":"u","timestamp":"2099-01-01T00:00:00Z"}"#, Reason::TimeInFuture),
        (r#"{"type":"group","userId":"u"}"#, Reason::FieldInvalid),
        (r#"{"type":"alias","userId":"u"}"#, Reason::FieldInvalid),
        (&track("x", "[1]"), Reason::FieldInvalid),
        (&track("Product Viewed", r#"{"name":"?"}"#), Reason::ProductIdMissing),
        (&track("Product Viewed", r#"{"product_id":"p","price":"N/A"}"#), Reason::AmountInvalid),
        (&track("Product Viewed", r#"{"product_id":"p","price":1,"currency":"XYZ"}"#), Reason::CurrencyUnknown),
        (&track("Product Added", r#"{"product_id":"p","quantity":1.5}"#), Reason::QuantityInvalid),
        (&track("Product Added", r#"{"product_id":"p","quantity":-1}"#), Reason::QuantityInvalid),
        (&track("Order Completed", r#"{"total":3}"#), Reason::OrderIdMissing),
        (&track("Order Completed", r#"{"order_id":"1","total":-3}"#), Reason::AmountInvalid),
    ] {
        assert_eq!(refusal(text), reason, "{}", &text[..text.len().min(120)]);
    }
}

#[test]
fn an_amount_without_any_currency_is_refused() {
    let source = SourceProfile { default_currency: None, ..source() };

    let refused = read_ready(&track("Product Viewed", r#"{"product_id":"p","price":1}"#), &source).unwrap_err();

    assert_eq!(refused.reason, Reason::CurrencyMissing);
}

fn json() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<f64>().prop_map(Into::into),
        "\\PC{0,12}".prop_map(Into::into),
        Just("Order Completed".into()),
        Just("2025-06-01T08:00:00Z".into()),
    ];
    let key = prop_oneof![
        "[a-z]{1,6}",
        prop::sample::select(vec![
            "type",
            "event",
            "userId",
            "anonymousId",
            "messageId",
            "properties",
            "traits",
            "context",
            "products",
            "price",
            "quantity",
            "currency",
            "order_id",
            "product_id",
            "total",
            "timestamp",
            "sentAt",
            "consent",
            "externalIds",
            "categoryPreferences",
            "address",
            "email",
            "page",
            "library",
            "groupId",
            "previousId",
            "id",
        ])
        .prop_map(str::to_owned),
    ];
    leaf.prop_recursive(5, 64, 8, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(serde_json::Value::Array),
            prop::collection::hash_map(key.clone(), inner, 0..8)
                .prop_map(|members| serde_json::Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn no_json_makes_the_reader_panic(value in json(), call in "track|identify|page|screen|group|alias", name in "Order Completed|Product Viewed|Cart Viewed|Checkout Started|x") {
        let mut value = value;
        if let Some(members) = value.as_object_mut() {
            members.insert("type".into(), call.into());
            members.entry("event").or_insert_with(|| name.into());
        }
        let text = value.to_string();
        if let Ok(ready) = read_ready(&text, &source()) {
            let event = Event::decode(ready.payload).unwrap();
            for json in [&event.properties_json, &event.context.unwrap().extra_json] {
                prop_assert!(json.is_empty() || serde_json::from_slice::<serde_json::Value>(json).is_ok());
            }
        }
    }

    #[test]
    fn no_bytes_make_the_splitter_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), route in "batch|track|x") {
        let mut bytes = bytes;
        mend_escapes(&mut bytes);
        if let (Ok(body), Some(route)) = (std::str::from_utf8(&bytes), Route::parse(&route)) {
            let _ = split(route, body);
        }
    }
}

//! The e-commerce spec v2 and the fields of the context, name by name: each is typed or passes through, and none is lost.

use proto::event::v1::Event;
use proto::event::v1::event::Body;
use serde_json::{Map, Value, json};

use super::tests::{event, money};
use crate::domain::plan::document;

/// A product as the spec has it. Numbers come as text, as some SDKs send them.
fn product() -> Value {
    json!({
        "product_id": "507f1f77", "sku": "G-32", "category": "Games", "name": "Monopoly: 3rd Edition", "brand": "Hasbro",
        "variant": "200 pieces", "price": "18.99", "quantity": "2", "coupon": "MAYDEALS", "position": "3",
        "url": "https://shop.example/p/1", "image_url": "https://shop.example/p/1.jpg",
    })
}

fn and(mut one: Value, other: Value) -> Value {
    let Value::Object(other) = other else { panic!("an object") };
    one.as_object_mut().expect("an object").extend(other);
    one
}

fn of_product(other: Value) -> Value {
    and(product(), and(json!({ "currency": "USD" }), other))
}

/// Properties of orders, all amounts as text.
fn order() -> Value {
    json!({
        "checkout_id": "c-1", "order_id": "o-1", "affiliation": "Google Store", "subtotal": "22", "total": "27.50",
        "revenue": "25.00", "shipping": "3", "tax": "2", "discount": "2.5", "coupon": "hasbros", "currency": "USD",
        "products": [product()],
    })
}

/// Every event of the spec, with its name in version 1 and all its properties.
fn spec() -> Vec<(&'static str, Option<&'static str>, Value)> {
    let list = json!({ "list_id": "hot", "category": "Games", "products": [product()], "currency": "USD" });
    let filtered = and(
        list.clone(),
        json!({ "filters": [{ "type": "department", "value": "beauty" }], "sorts": [{ "type": "price", "value": "desc" }] }),
    );
    let promotion =
        json!({ "promotion_id": "promo_1", "creative": "top_banner_2", "name": "75% off", "position": "home_top" });
    let cart = json!({ "cart_id": "cart-1" });
    let step = json!({ "checkout_id": "c-1", "step": "2", "shipping_method": "Fedex", "payment_method": "Visa" });
    let coupon = json!({ "order_id": "o-1", "cart_id": "cart-1", "coupon_id": "may_deals_2016" });
    let named_coupon = and(coupon.clone(), json!({ "coupon_name": "May Deals 2016" }));
    let discount = and(named_coupon.clone(), json!({ "discount": "23.32", "currency": "USD" }));
    let wishlist = json!({ "wishlist_id": "skynet", "wishlist_name": "Loved Games" });
    let share = json!({ "share_via": "email", "share_message": "Hey", "recipient": "friend@example.com" });
    vec![
        ("Products Searched", None, json!({ "query": "blue roses" })),
        ("Product List Viewed", Some("Viewed Product Category"), list),
        ("Product List Filtered", None, filtered),
        ("Promotion Viewed", Some("Viewed Promotion"), promotion.clone()),
        ("Promotion Clicked", Some("Clicked Promotion"), promotion),
        ("Product Clicked", Some("Clicked Product"), of_product(json!({}))),
        ("Product Viewed", Some("Viewed Product"), of_product(json!({ "value": "18.99" }))),
        ("Product Added", Some("Added Product"), of_product(cart.clone())),
        ("Product Removed", Some("Removed Product"), of_product(cart.clone())),
        ("Cart Viewed", None, and(cart.clone(), json!({ "products": [product()], "currency": "USD" }))),
        ("Checkout Started", Some("Started Order"), and(order(), json!({ "value": "30" }))),
        ("Checkout Step Viewed", Some("Viewed Checkout Step"), step.clone()),
        ("Checkout Step Completed", Some("Completed Checkout Step"), step.clone()),
        ("Payment Info Entered", None, and(step, json!({ "order_id": "o-1" }))),
        ("Order Completed", Some("Completed Order"), order()),
        ("Order Updated", Some("Updated Order"), order()),
        ("Order Refunded", None, json!({ "order_id": "o-1", "products": [product()], "currency": "USD" })),
        ("Order Cancelled", None, order()),
        ("Coupon Entered", None, coupon),
        ("Coupon Applied", None, discount.clone()),
        ("Coupon Removed", None, discount),
        ("Coupon Denied", None, and(named_coupon, json!({ "reason": "Expired" }))),
        ("Product Added to Wishlist", None, of_product(wishlist.clone())),
        ("Product Removed from Wishlist", None, of_product(wishlist.clone())),
        ("Wishlist Product Added to Cart", None, of_product(and(wishlist, cart.clone()))),
        ("Product Shared", None, of_product(share.clone())),
        ("Cart Shared", None, and(share, and(cart, json!({ "products": [{ "product_id": "p1" }] })))),
        (
            "Product Reviewed",
            None,
            json!({ "product_id": "p1", "review_id": "kdfjrj39", "review_body": "I love it", "rating": "4.5" }),
        ),
    ]
}

/// What stays a property because no typed field holds it.
const PASSES_THROUGH: &[&str] = &[
    "filters",
    "sorts",
    "value",
    "wishlist_id",
    "wishlist_name",
    "share_via",
    "share_message",
    "recipient",
    "checkout_id",
    "affiliation",
    "subtotal",
    "total",
    "revenue",
    "shipping",
    "tax",
    "discount",
    "coupon",
    "own",
];

fn track(name: &str, properties: &Value) -> Event {
    event(&json!({ "type": "track", "userId": "u", "event": name, "properties": properties }).to_string())
}

/// Numbers that came as text, and numbers, as one.
fn plain(value: &Value) -> Value {
    match value {
        Value::String(text) => text.parse::<f64>().map_or_else(|_| value.clone(), |number| json!(number)),
        Value::Number(number) => json!(number.as_f64()),
        Value::Array(items) => items.iter().map(plain).collect(),
        Value::Object(members) => {
            Value::Object(members.iter().map(|(key, value)| (key.clone(), plain(value))).collect::<Map<_, _>>())
        }
        other => other.clone(),
    }
}

#[test]
fn every_event_of_the_spec_is_typed_and_no_property_is_lost() {
    assert_eq!(spec().len(), 28);
    for (name, alias, properties) in spec() {
        let properties = and(properties, json!({ "own": { "wrap": [1.50, null] } }));
        for name in [Some(name), alias].into_iter().flatten() {
            let event = track(name, &properties);

            assert!(!matches!(event.body, Some(Body::Custom(_)) | None), "{name}");
            assert_eq!(event.name, name);
            let told = document(&event);
            for (key, sent) in properties.as_object().unwrap() {
                let (told, sent) = (plain(&told[key]), plain(sent));
                match (&told, &sent) {
                    // A product that says only its id is one piece.
                    (Value::Array(told), Value::Array(sent)) if key == "products" => {
                        for (told, sent) in told.iter().zip(sent) {
                            assert!(
                                sent.as_object().unwrap().iter().all(|(key, value)| told[key] == *value),
                                "{name}: {key}"
                            );
                        }
                        assert_eq!(told.len(), sent.len());
                    }
                    _ => assert_eq!(told, sent, "{name}: {key}"),
                }
            }
            let left: Map<String, Value> = serde_json::from_slice(&event.properties_json).unwrap();
            let strange: Vec<&String> = left.keys().filter(|key| !PASSES_THROUGH.contains(&key.as_str())).collect();
            assert!(strange.is_empty(), "{name} leaves untyped: {strange:?}");
        }
    }
}

#[test]
fn what_passes_through_is_what_was_sent() {
    let event =
        track("Product Shared", &of_product(json!({ "share_message": "Hi\u{1f600}", "own": 1.50, "position": 0 })));

    let left = std::str::from_utf8(&event.properties_json).unwrap();
    assert_eq!(
        serde_json::from_str::<Value>(left).unwrap(),
        json!({ "share_message": "Hi\u{1f600}", "own": 1.5, "position": 0 })
    );
}

#[test]
fn a_refund_without_products_is_of_the_whole_order() {
    let event = track("Order Refunded", &json!({ "order_id": "o-1" }));

    let Some(Body::OrderActivity(order)) = event.body else { panic!("an order") };
    assert_eq!((order.total, order.products.len()), (None, 0));
    assert!(event.properties_json.is_empty());
}

#[test]
fn ratings_are_numbers_where_they_are_and_words_where_not() {
    for (rating, milli, left) in [
        (json!("5"), 5_000, ""),
        (json!(4.5), 4_500, ""),
        (json!("five stars"), 0, r#"{"rating":"five stars"}"#),
        (json!("4.66667"), 0, r#"{"rating":"4.66667"}"#),
    ] {
        let event = track("Product Reviewed", &json!({ "product_id": "p1", "rating": rating }));

        let Some(Body::ProductReviewed(review)) = event.body else { panic!("a review") };
        assert_eq!((review.rating_milli, std::str::from_utf8(&event.properties_json).unwrap()), (milli, left));
    }
}

#[test]
fn money_is_exact_however_it_is_written() {
    for (written, units, nanos) in [
        (json!("0.1"), 0, 100_000_000),
        (json!(0.1), 0, 100_000_000),
        (json!("1e2"), 100, 0),
        // A float would make it .929688.
        (json!("9007199254740.93"), 9_007_199_254_740, 930_000_000),
        (json!(" 19.99 "), 19, 990_000_000),
    ] {
        let properties = json!({ "order_id": "1", "total": written, "currency": "eur" });
        let Some(Body::OrderActivity(order)) = track("Order Completed", &properties).body else { panic!("an order") };
        assert_eq!(order.total, money("EUR", units, nanos), "{properties}");
    }
}

#[test]
fn every_field_of_the_context_is_typed_or_passes_through() {
    let context = json!({
        "active": true,
        "app": { "name": "Shop", "version": "545", "build": "3.0.1", "namespace": "com.shop" },
        "campaign": { "name": "TPS", "source": "Newsletter", "medium": "email", "term": "t", "content": "c", "id": "own" },
        "device": { "id": "d-1", "advertisingId": "A", "adTrackingEnabled": true, "manufacturer": "Apple", "model": "iPhone7,2",
                    "name": "maguro", "type": "ios", "token": "ff15" },
        "ip": "8.8.8.8", "library": { "name": "analytics.js", "version": "2.11.1", "flavour": "own" }, "locale": "en-US",
        "network": { "cellular": true }, "os": { "name": "iOS", "version": "8.1.3", "kernel": "own" },
        "page": { "path": "/a", "referrer": "https://r/", "search": "?q", "title": "A", "url": "https://s/a", "tab": 2 },
        "referrer": { "id": "ABCD", "type": "dataxu" }, "screen": { "width": 320 }, "timezone": "Europe/Amsterdam",
        "groupId": "12345", "traits": { "plan": "gold" }, "userAgent": "Mozilla/5.0",
        "userAgentData": { "mobile": false }, "channel": "browser",
        "consent": { "categoryPreferences": { "Advertising": false } },
        "externalIds": [{ "id": "x", "type": "loyalty", "collection": "users", "encoding": "none" }],
        "sessionId": 1700000000123_u64, "sessionStart": true, "own": [1],
    });
    let sent = json!({ "type": "track", "event": "x", "userId": "u", "context": context, "channel": "web", "version": "1.0",
        "_metadata": { "bundled": ["Segment.io"] }, "integrations": { "All": true } });

    let event = event(&sent.to_string());

    let typed = event.context.as_ref().unwrap();
    assert_eq!(
        (typed.ip.as_str(), typed.locale.as_str(), typed.timezone.as_str()),
        ("8.8.8.0", "en-US", "Europe/Amsterdam")
    );
    assert_eq!((typed.user_agent.as_str(), typed.session_id.as_str()), ("Mozilla/5.0", "1700000000123"));
    let page = typed.page.as_ref().unwrap();
    assert_eq!(
        [&page.path, &page.referrer, &page.search, &page.title, &page.url],
        ["/a", "https://r/", "?q", "A", "https://s/a"]
    );
    let campaign = typed.campaign.as_ref().unwrap();
    assert_eq!(
        [&campaign.name, &campaign.source, &campaign.medium, &campaign.term, &campaign.content],
        ["TPS", "Newsletter", "email", "t", "c"]
    );
    let device = typed.device.as_ref().unwrap();
    assert_eq!(
        [&device.id, &device.manufacturer, &device.model, &device.r#type, &device.os],
        ["d-1", "Apple", "iPhone7,2", "ios", "iOS 8.1.3"]
    );
    assert_eq!(event.provenance.unwrap().library, "analytics.js/2.11.1");
    assert!(event.identifiers.iter().any(|one| (one.kind.as_str(), one.value.as_str()) == ("loyalty", "x")));
    assert_eq!(event.consents[0].purpose, "advertising");
    let extra: Value = serde_json::from_slice(&typed.extra_json).unwrap();
    assert_eq!(
        extra,
        json!({
            "active": true, "app": context["app"], "campaign": { "id": "own" }, "library": { "flavour": "own" },
            "device": { "advertisingId": "A", "adTrackingEnabled": true, "name": "maguro", "token": "ff15" },
            "network": { "cellular": true }, "os": { "kernel": "own" }, "page": { "tab": 2 }, "referrer": context["referrer"],
            "screen": { "width": 320 }, "groupId": "12345", "traits": { "plan": "gold" }, "userAgentData": { "mobile": false },
            "channel": "browser", "sessionStart": true, "own": [1], "version": "1.0", "integrations": { "All": true },
        }),
        "of what the circumstances say twice, the context's own word stays"
    );
}

#[test]
fn a_visitors_address_is_taken_where_a_visitor_is() {
    let ip = |context: Value| {
        let sent = json!({ "type": "track", "event": "x", "userId": "u", "context": context });
        event(&sent.to_string()).context.unwrap().ip
    };

    // The request came from 9.9.9.9, and from no page.
    assert_eq!(ip(json!({ "library": { "name": "analytics.js" } })), "9.9.9.0");
    assert_eq!(ip(json!({ "library": { "name": "analytics-kotlin" } })), "9.9.9.0");
    assert_eq!(ip(json!({ "library": { "name": "@segment/analytics-node" }, "direct": true })), "9.9.9.0");
    for server in ["@segment/analytics-node", "analytics-python", "analytics-go", "unknown"] {
        assert_eq!(ip(json!({ "library": { "name": server } })), "", "{server}");
        assert_eq!(ip(json!({ "library": { "name": server }, "direct": false })), "", "{server}");
    }
}

#[test]
fn what_names_no_person_is_kept_under_what_it_names() {
    let only_group = event(r#"{"type":"group","groupId":"household","anonymousId":null}"#);
    let only_previous = event(r#"{"type":"alias","previousId":"before"}"#);

    let named =
        |event: &Event| event.identifiers.iter().map(|one| format!("{}:{}", one.kind, one.value)).collect::<Vec<_>>();
    assert_eq!(named(&only_group), ["group_id:household"]);
    assert_eq!(named(&only_previous), ["user_id:before"]);
}

#[test]
fn all_four_times_are_kept() {
    let event = event(
        r#"{"type":"track","event":"x","userId":"u","originalTimestamp":"2025-06-01T08:59:00Z","timestamp":"2025-06-01T11:00:00Z",
            "sentAt":"2025-06-01T09:00:00Z","receivedAt":"1999-01-01T00:00:00Z"}"#,
    );

    let seconds = |time: Option<prost_types::Timestamp>| time.unwrap().seconds % 86_400;
    assert_eq!(seconds(event.original_time), 9 * 3_600 - 60, "as the sender's clock had it");
    assert_eq!(seconds(event.sent_time), 9 * 3_600);
    assert_eq!(seconds(event.received_time), 12 * 3_600);
    assert_eq!(seconds(event.event_time), 12 * 3_600 - 60, "the clock is three hours slow");
}

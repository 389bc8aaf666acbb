//! How fast one core reads events. Run with
//! `cargo test --release -p comptoir-ingestion --lib -- --ignored --nocapture speed`.

use std::time::Instant;

use prost::Message;
use proto::event::v1::{Event, Medium, Party};

use super::currency::Currency;
use super::finish::Arrival;
use super::json_scan::mend_escapes;
use super::segment::{HttpArrival, Route, read, split};
use super::source::{Edge, SourceProfile};
use super::typed;

const NOON_US: i64 = 1_748_779_200_000_000;
const BATCH: usize = 100;
const ROUNDS: usize = 500;

/// A page's product view as the browser SDK sends it, about 900 bytes.
const PRODUCT_VIEWED: &str = r#"{"timestamp":"2025-06-01T11:59:58.123Z","integrations":{},"userId":"user-004711","anonymousId":"6f1b0a52-5a3e-4c43-a1d8-6a2c5d5b8a10","type":"track","event":"Product Viewed","properties":{"product_id":"507f1f77bcf86cd799439011","sku":"G-32","category":"Games","name":"Monopoly: 3rd Edition","brand":"Hasbro","variant":"200 pieces","price":18.99,"quantity":1,"coupon":"MAYDEALS","currency":"usd","position":3,"value":18.99,"url":"https://www.example.com/product/path","image_url":"https://www.example.com/product/path.jpg"},"context":{"page":{"path":"/product/path","referrer":"","search":"","title":"Monopoly","url":"https://www.example.com/product/path"},"userAgent":"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36","locale":"en-US","library":{"name":"analytics.js","version":"next-1.84.3"},"timezone":"Europe/Paris"},"messageId":"ajs-next-1748779198123-6f1b0a52-5a3e-4c43-a1d8-NUMBER"}"#;

/// A server's small event, about 250 bytes.
const SMALL: &str = r#"{"type":"track","event":"Wheel Spun","userId":"user-004711","timestamp":"2025-06-01T11:59:58.123Z","messageId":"node-next-1748779198123-NUMBER","properties":{"wheel":"spring","prize":12},"context":{"library":{"name":"@segment/analytics-node","version":"3.1.0"}}}"#;

fn source() -> SourceProfile {
    SourceProfile {
        tenant: "shop".try_into().unwrap(),
        source_id: "0196f2f0-0000-7000-8000-000000000000".into(),
        party: Party::First,
        medium: Medium::Online,
        default_currency: Currency::parse("EUR"),
        edge: Edge::default(),
    }
}

fn body(event: &str) -> Vec<u8> {
    let events: Vec<String> = (0..BATCH).map(|number| event.replace("NUMBER", &number.to_string())).collect();
    format!(r#"{{"batch":[{}],"sentAt":"2025-06-01T12:00:00.000Z"}}"#, events.join(",")).into_bytes()
}

fn read_body(body: &[u8], source: &SourceProfile) -> Vec<bytes::Bytes> {
    let mut body = body.to_vec();
    mend_escapes(&mut body);
    let text = std::str::from_utf8(&body).unwrap();
    let request = split(Route::Batch, text).unwrap();
    let from = HttpArrival::new(Arrival { source, received_us: NOON_US }, "", "", "");
    let read = |event| read(event, &request.shared, from, String::new).unwrap().payload;
    request.events.iter().copied().map(read).collect()
}

fn report(what: &str, events: usize, started: Instant) {
    let seconds = started.elapsed().as_secs_f64();
    println!("{what}: {:.0} events/s, {:.2} us each", events as f64 / seconds, seconds * 1e6 / events as f64);
}

#[test]
#[ignore = "a measurement"]
fn json_speed() {
    let source = source();
    for (what, event) in [("JSON, product view of 1.2 kB", PRODUCT_VIEWED), ("JSON, small event of 250 B", SMALL)] {
        let body = body(event);
        let started = Instant::now();
        for _ in 0..ROUNDS {
            assert_eq!(read_body(&body, &source).len(), BATCH);
        }
        report(&format!("{what} ({} B/event)", body.len() / BATCH), BATCH * ROUNDS, started);
    }
}

#[test]
#[ignore = "a measurement"]
fn typed_speed() {
    let source = source();
    for (what, event) in [("gRPC, product view", PRODUCT_VIEWED), ("gRPC, small event", SMALL)] {
        let payloads = read_body(&body(event), &source);
        let started = Instant::now();
        for payload in payloads.iter().cycle().take(BATCH * ROUNDS) {
            let mut event = Event::decode(payload.clone()).unwrap();
            let bytes = event.encoded_len();
            let ready = typed::read(&mut event, bytes, Arrival { source: &source, received_us: NOON_US }, String::new);
            assert!(!ready.unwrap().payload.is_empty());
        }
        report(&format!("{what} ({} B/event), decoding included", payloads[0].len()), BATCH * ROUNDS, started);
    }
}

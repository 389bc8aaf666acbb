//! How fast one core reads events. Run with
//! `cargo test --release -p comptoir-ingestion --lib -- --ignored --nocapture speed`.

use std::sync::Arc;
use std::time::Instant;

use prost::Message;
use proto::event::v1::{Event, Medium, Party};
use proto::ingestion::v1::ConsentPolicy;

use super::consent::Policy;
use super::edge::{Enricher, GeoTable};
use super::finish::Arrival;
use super::json_scan::mend_escapes;
use super::segment::{HttpArrival, Route, read, split};
use super::source::{Edge, SourceProfile};
use super::typed;
use crate::mmdb;
use kit::Currency;

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
        name: "site".into(),
        party: Party::First,
        medium: Medium::Online,
        default_currency: Currency::parse("EUR"),
        edge: Edge::default(),
        controls: Default::default(),
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
    let from = HttpArrival::new(Arrival { source, received_us: NOON_US }, "", "", false);
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

/// A string with 772 vendors, as banners of large publishers write it.
const TC_STRING: &str = "CPi8wgAPi8wgAAOACBENCuCoAP_AAEfAACiQJHNd_H__bX9n-f7_6ft0eY1f9_r37uQzDhfNk-8F3L_W_LwX_2E7NF36tq4KmR4ku1LBIUNtHMnUDUmxaokVrzHsak2cpzNKJ_BkknsZe2dYGF9vm5tj-QKZ7_5_d3f52T_9_9v-39z33913v3d93-_13LjdV5_9H_v9fR_b8_Kf9_5-_4v8_____3_e______8AEEggCTDVuIAuxLHAm0DCKBECMKwkKoFABBQDC0QGADg4KdlYBPrCBAAgFAEYEQIcAUYEAgAAAgCQiACQIsEAAAIgEAAIAEQiEABAwCCgAsDAIAAQDQMUQoABAkIMiAiKUwICIEggJbKhBKC6Q0wgCrLACgkRsFAAiAAAUgACAsHAMESAlYsECTFG-QAjBCgFEqFaAGGgAwABBI4RABgACCRwqADAAEEjgA";

#[test]
#[ignore = "a measurement"]
fn consent_speed() {
    let mut source = source();
    let policy = ConsentPolicy { required_purpose: "analytics".into(), ..ConsentPolicy::default() };
    let banner = format!(r#""context":{{"consent":{{"tcString":"{TC_STRING}"}},"#);
    let with_banner = PRODUCT_VIEWED.replacen(r#""context":{"#, &banner, 1);
    for (what, policy, event) in [
        ("without a policy", Policy::default(), PRODUCT_VIEWED),
        ("with a policy, nothing said", Policy::new(&policy), PRODUCT_VIEWED),
        ("with a policy and a TC string of 772 vendors", Policy::new(&policy), &with_banner),
    ] {
        source.edge.policy = Arc::new(policy);
        let body = body(event);
        let started = Instant::now();
        for _ in 0..ROUNDS {
            assert_eq!(read_body(&body, &source).len(), BATCH);
        }
        report(&format!("JSON, product view, {what}"), BATCH * ROUNDS, started);
    }
}

#[test]
#[ignore = "a measurement"]
fn enrichment_speed() {
    let place = mmdb::Value::place("FR", "Île-de-France", "Paris", 48.8534, 2.3488, "Europe/Paris");
    let enricher = Enricher::default();
    let kept = Event::decode(read_body(&body(PRODUCT_VIEWED), &source())[0].clone()).unwrap();
    let events = BATCH * ROUNDS;
    for what in ["without places", "with places"] {
        let started = Instant::now();
        for number in 0..events {
            let mut event = kept.clone();
            event.context.as_mut().unwrap().ip = format!("203.0.113.{}", number % 256);
            assert!(!enricher.enrich(&mut event));
        }
        report(&format!("enrichment {what}, the copy of the event included"), events, started);
        enricher.use_places(GeoTable::open(mmdb::database(&[("203.0.113.0/24", place.clone())])).unwrap());
    }
    let started = Instant::now();
    for _ in 0..events {
        assert_eq!(kept.clone().identifiers.len(), 2);
    }
    report("the copy alone", events, started);
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

//! Requests made in advance. Only the message ids change from one sending to the next, in place.

use chrono::{Duration, Utc};
use prost::Message;
use proto::{
    event::v1::{Context, Event, Page, PageViewed, ProductActivity, event::Body, product_activity::Action},
    google::r#type::Money,
    ingestion::v1::CollectRequest,
    r#type::v1::{Identifier, LineItem},
};
use simulator::bench_bodies;

use crate::commands::bench::http::find;

/// Different requests; each comes again with fresh message ids.
const TEMPLATES: usize = 64;
/// Digits of a message id that are written for each sending.
const DIGITS: usize = 16;

/// A request and where the digits of its message ids stand.
#[derive(Debug, Clone)]
pub(super) struct Template {
    pub(super) bytes: Vec<u8>,
    places: Vec<usize>,
}

impl Template {
    /// Returns the number of events.
    pub(super) fn events(&self) -> usize {
        self.places.len()
    }

    /// Writes message ids that nobody sent before, as long as `next` goes on from where it was.
    pub(super) fn renew(&mut self, next: &mut u64) {
        for place in &self.places {
            write_digits(*next, &mut self.bytes[*place..*place + DIGITS]);
            *next += 1;
        }
    }
}

/// Returns the first number that a lane counts its message ids from.
pub(super) fn first_id(run: u16, lane: usize) -> u64 {
    (u64::from(run) << 48) | ((lane as u64 & 0xff) << 40)
}

fn write_digits(number: u64, place: &mut [u8]) {
    for (index, digit) in place.iter_mut().enumerate() {
        let nibble = (number >> (4 * (DIGITS - 1 - index))) & 0xf;
        *digit = b"0123456789abcdef"[nibble as usize];
    }
}

/// Returns whole HTTP requests to `/v1/batch` with `batch` events each, or to `/v1/track` with one each when `batch` is 1.
pub(super) fn http(host: &str, authorization: &str, batch: usize, seed: u64) -> Vec<Template> {
    let start = Utc::now() - Duration::hours(1);
    let bodies = bench_bodies(seed, TEMPLATES * batch * 2, batch, start);
    let single = |body: String| {
        let event = body.strip_prefix(r#"{"batch":["#)?.rsplit_once("],\"sentAt\"")?.0.to_owned();
        event.contains(r#""type":"track""#).then_some(event)
    };
    let bodies: Vec<String> = match batch {
        1 => bodies.filter_map(single).take(TEMPLATES).collect(),
        _ => bodies.take(TEMPLATES).collect(),
    };
    let route = if batch == 1 { "track" } else { "batch" };
    bodies
        .into_iter()
        .map(|body| {
            let head = format!(
                "POST /v1/{route} HTTP/1.1\r\nhost: {host}\r\ncontent-type: application/json\r\n\
                 authorization: {authorization}\r\ncontent-length: {}\r\n\r\n",
                body.len()
            );
            template(format!("{head}{body}").into_bytes(), br#""messageId":""#, b'"')
        })
        .collect()
}

/// Returns serialised `CollectRequest`s with `batch` events each, of the same kinds and sizes as a shop's visitors make.
pub(super) fn grpc(source_id: &str, batch: usize, seed: u64) -> Vec<Template> {
    (0..TEMPLATES)
        .map(|number| {
            let events = (0..batch).map(|place| event(seed, number * batch + place)).collect();
            let request = CollectRequest { events, source_id: source_id.to_owned() };
            template(request.encode_to_vec(), b"bench-message-", b'.')
        })
        .collect()
}

/// An event as a typed sender writes it: one page view in four, product views else. What JSON needs 500 bytes for.
fn event(seed: u64, number: usize) -> Event {
    let product = number % 1_000;
    let page = Page {
        url: format!("https://shop.example/category/c{}/product/P{product:05}", product % 12),
        path: format!("/category/c{}/product/P{product:05}", product % 12),
        title: format!("Product {product} of our winter collection"),
        referrer: "https://shop.example/".into(),
        ..Page::default()
    };
    let activity = ProductActivity {
        action: Action::Viewed.into(),
        product: Some(LineItem {
            product_id: format!("P{product:05}"),
            name: format!("Product {product} of our winter collection"),
            category: format!("c{}", product % 12),
            price: Some(Money { currency_code: "EUR".into(), units: 18, nanos: 990_000_000 }),
            quantity: 1,
            ..LineItem::default()
        }),
        ..ProductActivity::default()
    };
    let body = match number % 4 {
        0 => Body::PageViewed(PageViewed { title: page.title.clone(), ..PageViewed::default() }),
        _ => Body::ProductActivity(activity),
    };
    let user_agent = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";
    let visitor = (number / 8) as u64 ^ seed;
    Event {
        message_id: format!("bench-message-{:0DIGITS$}.", 0),
        identifiers: vec![Identifier { kind: "anonymous_id".into(), value: format!("visitor-{visitor:028}") }],
        context: Some(Context {
            user_agent: user_agent.into(),
            locale: "fr-FR".into(),
            page: Some(page),
            ..Context::default()
        }),
        body: Some(body),
        ..Event::default()
    }
}

/// Finds the message ids: behind `mark`, up to `end`. Their last digits are those that change.
fn template(bytes: Vec<u8>, mark: &[u8], end: u8) -> Template {
    let mut places = Vec::new();
    let mut from = 0;
    while let Some(found) = find(&bytes[from..], mark) {
        let begin = from + found + mark.len();
        let length = bytes[begin..].iter().position(|byte| *byte == end).expect("an id ends");
        places.push(begin + length - DIGITS);
        from = begin + length;
    }
    Template { bytes, places }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_sending_has_its_own_message_ids_and_is_whole() {
        let mut next = first_id(3, 1);
        let mut ids = BTreeSet::new();
        for mut template in http("h", "Basic x", 100, 1).into_iter().take(3) {
            for _ in 0..2 {
                template.renew(&mut next);
                let body = template.bytes.split_at(find(&template.bytes, b"\r\n\r\n").unwrap() + 4).1;
                let body: serde_json::Value = serde_json::from_slice(body).unwrap();
                let events = body["batch"].as_array().unwrap();
                assert_eq!(events.len(), template.events());
                ids.extend(events.iter().map(|event| event["messageId"].as_str().unwrap().to_owned()));
            }
        }
        assert_eq!(ids.len(), 600);

        let mut template = grpc("source", 50, 1).swap_remove(0);
        template.renew(&mut next);
        let request = CollectRequest::decode(template.bytes.as_slice()).unwrap();
        let ids: BTreeSet<_> = request.events.into_iter().map(|event| event.message_id).collect();
        assert_eq!((ids.len(), template.events()), (50, 50));
    }

    #[test]
    fn single_events_are_tracked() {
        let templates = http("h", "Basic x", 1, 1);

        assert_eq!(templates.len(), TEMPLATES);
        assert!(templates.iter().all(|template| template.events() == 1));
        assert!(templates[0].bytes.starts_with(b"POST /v1/track HTTP/1.1\r\n"));
    }
}

//! An endless-looking stream of shop traffic for benchmarks: cheap to make, realistic in mix, size and repetition.
//!
//! The bodies are written straight as text, because building and freeing a tree of values for each would cost the load
//! generator several times as much. Nothing written here needs escaping.

use std::fmt::{self, Write};

use chrono::{DateTime, TimeZone, Utc};
use serde_json::Value;

use crate::dice::{Dice, mix, uuid_from};
use crate::render::rfc3339;

/// Sessions going on at the same time.
const CROWD: usize = 256;
/// Mean events per session.
const SESSION: i64 = 8;
/// One visitor per so many events; some come back, few come often.
const EVENTS_PER_VISITOR: usize = 24;
/// Share of sessions with an account.
const SIGNED_IN: f64 = 0.3;
const PRODUCTS: usize = 1_000;
const CONTEXT: &str = r#"{"library":{"name":"analytics.js","version":"npm:next-1.84.3"},"page":{"path":"/p/x","url":"https://shop.example/p/x"},"userAgent":"Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0","locale":"fr-FR"}"#;

/// `/v1/batch` bodies with `n` events in all, `batch` in each (the last may hold fewer), starting on 2025-06-01. See
/// [`bench_bodies`], of which this is the parsed form.
pub fn bench_events(seed: u64, n: usize, batch: usize) -> impl Iterator<Item = Value> {
    let start = Utc.with_ymd_and_hms(2025, 6, 1, 0, 0, 0).single().expect("a valid date");
    bench_bodies(seed, n, batch, start).map(|body| serde_json::from_str(&body).expect("a body is written as JSON"))
}

/// `/v1/batch` bodies as JSON text, with `n` events in all and `batch` in each (the last may hold fewer). An event is
/// about 500 bytes; they come in interleaved sessions of about 8 events, 30 % of them signed in; one event in 33 or so is
/// an order. Times rise by 10 ms an event from `start`.
pub fn bench_bodies(seed: u64, n: usize, batch: usize, start: DateTime<Utc>) -> impl Iterator<Item = String> {
    let batch = batch.max(1);
    let mut traffic = Traffic {
        seed,
        dice: Dice::new(seed, "bench", 0),
        visitors: (n / EVENTS_PER_VISITOR).max(1),
        sessions: Vec::new(),
        made: 0,
        clock: start.timestamp_millis(),
    };
    traffic.sessions = (0..CROWD.min(traffic.visitors)).map(|_| traffic.open()).collect();
    (0..n).step_by(batch).map(move |first| traffic.body(batch.min(n - first)))
}

struct Traffic {
    seed: u64,
    dice: Dice,
    visitors: usize,
    sessions: Vec<Session>,
    made: u64,
    clock: i64,
}

struct Session {
    visitor: usize,
    anonymous_id: String,
    signed_in: bool,
    step: i64,
    length: i64,
    product: usize,
    cart: u64,
}

impl Traffic {
    fn open(&mut self) -> Session {
        // The square favours low numbers: a few visitors come back often.
        let visitor = (self.dice.unit().powi(2) * self.visitors as f64) as usize;
        let high = mix(self.seed ^ mix(visitor as u64));
        Session {
            visitor,
            anonymous_id: uuid_from(high, mix(high)).to_string(),
            signed_in: self.dice.chance(SIGNED_IN),
            step: 0,
            length: self.dice.between(SESSION / 2, SESSION * 3 / 2),
            product: self.dice.index(PRODUCTS),
            cart: mix(high ^ self.made),
        }
    }

    fn body(&mut self, events: usize) -> String {
        let mut body = String::with_capacity(events * 640 + 64);
        body.push_str(r#"{"batch":["#);
        for number in 0..events {
            if number > 0 {
                body.push(',');
            }
            let place = self.advance();
            self.write_event(&self.sessions[place], &mut body).expect("writing to a string cannot fail");
        }
        body.push_str(r#"],"sentAt":""#);
        body.push_str(&rfc3339(self.clock));
        body.push_str(r#""}"#);
        body
    }

    /// Lets somebody take the next step and says who.
    fn advance(&mut self) -> usize {
        let place = self.dice.index(self.sessions.len());
        if self.sessions[place].step == self.sessions[place].length {
            self.sessions[place] = self.open();
        }
        self.clock += 10;
        self.made += 1;
        let moves_on = self.dice.chance(0.5);
        let other = self.dice.index(PRODUCTS);
        let session = &mut self.sessions[place];
        session.step += 1;
        if moves_on {
            session.product = other;
        }
        place
    }

    fn write_event(&self, session: &Session, out: &mut String) -> fmt::Result {
        let id = uuid_from(mix(self.seed ^ self.made), mix(self.made));
        let (clock, time) = (self.clock, rfc3339(self.clock));
        write!(out, r#"{{"messageId":"ajs-next-{clock}-{id}","timestamp":"{time}","#)?;
        write!(out, r#""anonymousId":"{}","#, session.anonymous_id)?;
        if session.signed_in && session.step > 1 {
            write!(out, r#""userId":"b{}","#, session.visitor)?;
        }
        write!(out, r#""context":{CONTEXT},"#)?;
        self.write_act(session, out)?;
        out.write_char('}')
    }

    fn write_act(&self, session: &Session, out: &mut String) -> fmt::Result {
        let (step, product, visitor) = (session.step, session.product, session.visitor);
        match step {
            1 => {
                write!(out, r#""type":"page","name":"Home","properties":{{"path":"/","url":"https://shop.example/"}}"#)
            }
            2 if session.signed_in => {
                out.write_str(r#""type":"identify","traits":{"firstName":"Camille","#)?;
                write!(out, r#""lastName":"Martin {}","#, visitor % 500)?;
                write!(out, r#""email":"customer{visitor}@courrier.example","#)?;
                out.write_str(r#""address":{"country":"FR"}}"#)
            }
            2 => {
                let category = product % 12;
                write!(out, r#""type":"track","event":"Product List Viewed","properties":{{"#)?;
                write!(out, r#""list_id":"c{category}","category":"c{category}","products":[{{"#)?;
                write_line(product, 1, out)?;
                out.write_str("}]}")
            }
            3 => {
                out.write_str(r#""type":"track","event":"Products Searched","#)?;
                write!(out, r#""properties":{{"query":"item {}"}}"#, product % 50)
            }
            _ if step == session.length && visitor.is_multiple_of(4) => self.write_order(product, out),
            _ if step % 3 == 0 => {
                out.write_str(r#""type":"track","event":"Product Added","properties":{"#)?;
                write!(out, r#""cart_id":"cart-{:016x}","currency":"EUR","#, session.cart)?;
                write_line(product, 1, out)?;
                out.write_char('}')
            }
            _ => {
                out.write_str(r#""type":"track","event":"Product Viewed","properties":{"#)?;
                out.write_str(r#""currency":"EUR","#)?;
                write_line(product, 1, out)?;
                out.write_char('}')
            }
        }
    }

    fn write_order(&self, product: usize, out: &mut String) -> fmt::Result {
        let quantity = 1 + (product % 2) as i64;
        let total = Cents(price_cents(product) * quantity);
        out.write_str(r#""type":"track","event":"Order Completed","properties":{"#)?;
        write!(out, r#""order_id":"B{}","total":{total},"currency":"EUR","products":[{{"#, self.made)?;
        write_line(product, quantity, out)?;
        out.write_str("}]}")
    }
}

/// The fields of a product, without the braces.
fn write_line(product: usize, quantity: i64, out: &mut String) -> fmt::Result {
    let (category, price) = (product % 12, Cents(price_cents(product)));
    write!(out, r#""product_id":"P{product:05}","category":"c{category}","price":{price},"quantity":{quantity}"#)
}

fn price_cents(product: usize) -> i64 {
    290 + (product as i64 * 7_919) % 9_000
}

struct Cents(i64);

impl fmt::Display for Cents {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}.{:02}", self.0 / 100, self.0 % 100)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn the_stream_has_the_size_and_the_mix_it_promises() {
        let bodies: Vec<Value> = bench_events(1, 20_000, 64).collect();
        let events: Vec<&Value> = bodies.iter().flat_map(|body| body["batch"].as_array().expect("a batch")).collect();
        let bytes: usize = events.iter().map(|event| event.to_string().len()).sum();
        let ids: HashSet<&str> = events.iter().filter_map(|event| event["messageId"].as_str()).collect();
        let visitors: HashSet<&str> = events.iter().filter_map(|event| event["anonymousId"].as_str()).collect();
        let signed_in = events.iter().filter(|event| event["userId"].is_string()).count();
        let orders = events.iter().filter(|event| event["event"] == "Order Completed").count();

        assert_eq!(events.len(), 20_000);
        assert_eq!(bodies.len(), 20_000usize.div_ceil(64));
        assert_eq!(ids.len(), events.len());
        assert!((430..=580).contains(&(bytes / events.len())), "{} bytes an event", bytes / events.len());
        assert!((20..=40).contains(&(events.len() / visitors.len())), "{} visitors", visitors.len());
        assert!((4_400..=6_400).contains(&signed_in), "{signed_in} signed in");
        assert!((300..=1_000).contains(&orders), "{orders} orders");
    }

    #[test]
    fn the_same_seed_gives_the_same_stream() {
        assert!(bench_events(7, 1_000, 100).eq(bench_events(7, 1_000, 100)));
        assert!(bench_events(7, 1_000, 100).ne(bench_events(8, 1_000, 100)));
    }
}

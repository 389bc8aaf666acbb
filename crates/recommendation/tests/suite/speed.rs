//! How fast it folds and answers: `cargo test -p comptoir-recommendation --release --test suite speed -- --ignored --nocapture`.

use std::time::Instant;

use proto::{identity::v1::ProfileRecord, recommendation::v1::RecommendRequest};

use crate::harness::{Publisher, Replica, SHOP, carted, databases, did, ordered, product, viewed};

const PRODUCTS: u64 = 1_000;
const PEOPLE: u64 = 5_000;
const EVENTS: u64 = 60_000;
const QUESTIONS: usize = 3_000;

/// Numbers that look drawn and are the same every time (SplitMix64).
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % end
    }

    /// Some products are far more popular than others.
    fn product(&mut self) -> String {
        let end = self.below(PRODUCTS) + 1;
        format!("SKU-{:06}", self.below(end))
    }
}

/// A year of sessions: a person looks at products for some minutes, and may put some into the basket, and order.
fn year(dice: &mut Dice) -> Vec<ProfileRecord> {
    let mut records = Vec::new();
    while records.len() < EVENTS as usize {
        let person = format!("0190-0000-0000-0000-{:012}", dice.below(PEOPLE));
        let minutes_ago = 525_600 - records.len() as i64 * 525_600 / EVENTS as i64;
        for step in 0..(2 + dice.below(9) as i64) {
            let body = match dice.below(10) {
                0 => {
                    let products: Vec<String> = (0..1 + dice.below(5)).map(|_| dice.product()).collect();
                    let products: Vec<&str> = products.iter().map(String::as_str).collect();
                    ordered(&records.len().to_string(), &products)
                }
                1 | 2 => carted(&dice.product()),
                _ => viewed(&dice.product()),
            };
            records.push(did(&person, minutes_ago - step, body));
        }
    }
    records
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "measures; run it alone and with --release"]
async fn speed() {
    for db in databases().await {
        let publisher = Publisher::start().await;
        let mut dice = Dice(7);
        let records = year(&mut dice);
        for batch in records.chunks(10_000) {
            publisher.publish(SHOP, batch.to_vec()).await;
        }

        let begun = Instant::now();
        let replica = Replica::start(db.handle(), &publisher).await;
        replica.caught_up(&publisher).await;
        let rate = EVENTS as f64 / begun.elapsed().as_secs_f64();
        println!("{}: {EVENTS} events in {:?}: {rate:.0} a second", db.engine(), begun.elapsed());
        replica.upsert((0..PRODUCTS).map(|number| product(&format!("SKU-{number:06}"), "Home")).collect()).await;

        let mut client = replica.recommendation(SHOP);
        let mut times = Vec::new();
        for _ in 0..QUESTIONS {
            let profile_id = format!("0190-0000-0000-0000-{:012}", dice.below(PEOPLE));
            let request = RecommendRequest { profile_id, product_ids: vec![dice.product()], ..Default::default() };
            let begun = Instant::now();
            client.recommend(request).await.expect("an answer");
            times.push(begun.elapsed());
        }
        times.sort_unstable();
        let (median, p99) = (times[QUESTIONS / 2], times[QUESTIONS * 99 / 100]);
        println!("{}: recommend p50 {median:?}, p99 {p99:?}, worst {:?}", db.engine(), times[QUESTIONS - 1]);
        replica.stop().await;
    }
}

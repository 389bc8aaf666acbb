//! How much an event and a message cost. Prints; `cargo test -p comptoir-campaign speed -- --ignored --nocapture`.

use std::time::Instant;

use crate::{
    harness::{Replica, World, databases, minutes, noon},
    shop::*,
};

const EVENTS: usize = 100_000;
const PEOPLE: usize = 5_000;
const MESSAGES: usize = 3_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement"]
async fn speed_of_following() {
    for db in databases().await {
        let world = World::new().await;
        let replica = Replica::start(db.handle(), &world).await;
        replica.put_template(template()).await;
        replica.put_campaign(abandoned_basket()).await;
        let mut records = Vec::new();
        for number in 0..EVENTS {
            let profile_id = format!("0190aaaa-0000-7000-8000-{:012}", number * 7_919 % PEOPLE);
            let time = noon() + chrono::Duration::milliseconds(number as i64 * 10);
            // Of twenty events: seventeen pages, one change of the profile, one of the basket, one order.
            records.push(match number % 20 {
                0 => customer(&profile_id),
                1 => did(&profile_id, &format!("e{number}"), time, carted("a")),
                2 => did(&profile_id, &format!("e{number}"), time, ordered(&format!("o{number}"))),
                _ => did(&profile_id, &format!("e{number}"), time, viewed()),
            });
        }
        replica.stop().await;
        for chunk in records.chunks(5_000) {
            world.tell(chunk.to_vec()).await;
        }

        let replica = Replica::start(db.handle(), &world).await;
        let begun = (Instant::now(), cpu_seconds());
        replica.folded(&world).await;
        println!(
            "{}: {} records folded in {:?}; {:.1} µs of CPU each, reading the log included",
            db.engine(),
            EVENTS,
            begun.0.elapsed(),
            (cpu_seconds() - begun.1) * 1e6 / EVENTS as f64
        );
        replica.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement"]
async fn speed_of_sending() {
    for db in databases().await {
        let world = World::new().await;
        let replica = Replica::start(db.handle(), &world).await;
        replica.put_template(template()).await;
        replica.put_campaign(abandoned_basket()).await;
        replica.set_policy(no_limits()).await;
        for person in 0..MESSAGES {
            let profile_id = format!("p{person}");
            world.tell(vec![customer(&profile_id), did(&profile_id, &profile_id, noon(), carted("a"))]).await;
        }
        replica.folded(&world).await;
        let begun = (Instant::now(), cpu_seconds());
        world.clock.advance(minutes(61).to_std().unwrap());
        world.sink.reached(MESSAGES).await;
        println!(
            "{}: {} messages decided and sent in {:?}; {:.0} µs of CPU each, mail server and neighbours included",
            db.engine(),
            MESSAGES,
            begun.0.elapsed(),
            (cpu_seconds() - begun.1) * 1e6 / MESSAGES as f64
        );
        replica.settled(&world).await;
        replica.stop().await;
    }
}

/// CPU time of this process so far, in seconds.
fn cpu_seconds() -> f64 {
    const TICKS_PER_SECOND: f64 = 100.0;
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let fields: Vec<&str> = after_name.split_whitespace().collect();
    let ticks = |index: usize| fields.get(index).and_then(|field| field.parse::<f64>().ok()).unwrap_or(0.0);
    (ticks(11) + ticks(12)) / TICKS_PER_SECOND
}

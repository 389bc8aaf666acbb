//! A measurement, not a test: `cargo test -p comptoir-scoring --test throughput -- --ignored --nocapture`.

mod shop;

use std::time::Instant;

use proto::event::v1::order_activity::Action;
use shop::{START, Shop, at, engines, ordered, updated};

const PEOPLE: usize = 20_000;
const RECORDS: usize = 200_000;

/// Processor time of this process so far, in seconds.
fn processor_seconds() -> f64 {
    const TICKS_PER_SECOND: f64 = 100.0;
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    (fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap()) / TICKS_PER_SECOND
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement"]
async fn events_per_second() {
    for db in engines().await {
        let mut shop = Shop::open(&db).await;
        shop.put("big", "stats.net_value >= 100.0 && stats.order_count >= 2").await;
        shop.put("slipping", "stats.days_since_last_order >= 30 && stats.days_since_last_order < 60").await;
        shop.put("lyon", "traits.city == 'Lyon' && consents['marketing:email']").await;
        shop.put("curious", "stats.product_view_count > 5 && stats.order_count == 0").await;
        shop.put("best", "rfm.segment == 'champions'").await;
        let names: Vec<String> =
            (0..PEOPLE).map(|number| uuid::Uuid::from_u128(number as u128 * 7919).to_string()).collect();
        let clock = shop.clock.clone();
        let mut records = Vec::new();
        for number in 0..RECORDS {
            // A few people do much, most do little.
            let person = (number * number + number * 31) % PEOPLE;
            let person = if number % 3 == 0 { person % 500 } else { person };
            let time_us = at(START) - ((RECORDS - number) * 1_000_000) as i64;
            let body = match number % 20 {
                0 => shop.event(time_us, ordered(Action::Completed, &format!("o{number}"), "", Some(35))),
                1 => updated(
                    &[("city", "Lyon"), ("first_name", "Ann"), ("last_name", "Doe")],
                    &[("marketing", "email", true)],
                ),
                _ => shop.view(time_us),
            };
            records.push((names[person].as_str(), body));
        }
        let (profiles, tenant) = (shop.profiles.clone(), shop.tenant.clone());
        shop.close().await;
        while !records.is_empty() {
            let rest = records.split_off(records.len().min(5_000));
            Shop::append(&profiles, db.handle(), &tenant, &clock, std::mem::replace(&mut records, rest)).await;
        }

        let (started, processor) = (Instant::now(), processor_seconds());
        let shop = Shop::open_at(db.handle(), clock).await;
        shop.folded().await;
        let (seconds, busy) = (started.elapsed().as_secs_f64(), processor_seconds() - processor);
        println!(
            "{}: {:.0} records/s, {:.1} us of processor each, {} entries and exits",
            db.engine(),
            RECORDS as f64 / seconds,
            busy * 1e6 / RECORDS as f64,
            shop.told().await.len()
        );
        shop.close().await;
    }
}

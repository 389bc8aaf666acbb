//! How fast the follower is. Run with `cargo test --release -p comptoir-identity --test service -- --ignored --nocapture`.

use std::time::Instant;

use comptoir_identity::Config;
use proto::event::v1::Event;

use crate::shop::{Service, Source, engines, identified, in_country};

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement"]
async fn events_per_second_with_everybody_in_memory() {
    measure(Config::default()).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement"]
async fn events_per_second_with_hardly_anybody_in_memory() {
    let mut config = Config::default();
    config.follower.cached_components = 100;
    measure(config).await;
}

async fn measure(config: Config) {
    const EVENTS: usize = 100_000;
    const PEOPLE: usize = 2_500;

    for db in engines().await {
        let source = Source::new().await;
        let mut events: Vec<Event> = Vec::with_capacity(EVENTS);
        for number in 0..EVENTS {
            // Sessions of ten events, as a shop's log has them: neighbours in the log are often one person. Everybody is
            // seen by device, then by account, then by both (a merge), then by both again.
            let session = number / 10;
            let (person, visit) = (session * 7_919 % PEOPLE, session / PEOPLE);
            let (device, user, mail) =
                (format!("device-{person}"), format!("u{person}"), format!("p{person}@shop.example"));
            let by_device = ("anonymous_id", device.as_str());
            let (by_user, by_mail) = (("user_id", user.as_str()), ("email", mail.as_str()));
            let ids = match visit {
                0 => vec![by_device],
                1 => vec![by_user, by_mail],
                _ => vec![by_device, by_user, by_mail],
            };
            let event = in_country(source.event(number as i64, &ids), "FR");
            events.push(if number % 10 == 6 { identified(event, "Ann", "Lille") } else { event });
        }
        for part in events.chunks(5_000) {
            source.publish("shop", part).await;
        }

        let begin = Instant::now();
        let service = Service::start_with(&source, db.handle(), config.clone()).await;
        let summary = service.caught_up("shop", EVENTS as u64).await;
        let seconds = begin.elapsed().as_secs_f64();

        println!(
            "{}: {:.0} events/s, {} people, {} merges",
            db.engine(),
            EVENTS as f64 / seconds,
            summary.profiles,
            summary.merges
        );
        service.stop().await;
    }
}

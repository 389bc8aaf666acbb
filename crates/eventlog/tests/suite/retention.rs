use std::time::Duration;

use chrono::DateTime;
use eventlog::{EventLog, LogOptions, Retention, UnitKind};
use kit::Clock;
use kit::metrics::Metrics;

use crate::harness::{Replica, Witness, append, databases, eventually, options, record, seen, serve, tenant};

fn log_at(db: &store::Db) -> (EventLog, Clock) {
    let clock = Clock::manual(DateTime::from_timestamp(1_700_000_000, 0).unwrap());
    let log = EventLog::new(db.clone(), "events", LogOptions::default(), clock.clone(), &Metrics::new());
    (log, clock)
}

#[tokio::test]
async fn old_batches_are_dropped_and_the_rest_reads_on() {
    for db in databases().await {
        let (log, clock) = log_at(&db);
        let shop = tenant("shop");
        for _ in 0..10 {
            append(&log, &db, &shop, vec![record("key", "a"), record("key", "b")]).await;
            clock.advance(Duration::from_secs(3_600));
        }
        let partition = log.partition_of(b"key");

        let five_hours = Retention { max_age: Some(Duration::from_secs(5 * 3_600)), ..Retention::default() };
        let retained = log.retain(&five_hours).await.unwrap();

        assert_eq!(retained.dropped_batches, 5);
        assert_eq!(log.oldest(&shop, partition).await.unwrap(), Some(10));
        let left = log.read(&shop, partition, 0, 100).await.unwrap();
        assert_eq!(left.iter().map(|found| found.offset).collect::<Vec<_>>(), (10..20).collect::<Vec<_>>());
        assert_eq!(log.retain(&five_hours).await.unwrap().dropped_batches, 0);
    }
}

#[tokio::test]
async fn the_oldest_go_first_when_there_is_too_much() {
    for db in databases().await {
        let (log, clock) = log_at(&db);
        for _ in 0..10 {
            append(&log, &db, &tenant("shop"), vec![record("key", "the same each time")]).await;
            clock.advance(Duration::from_secs(1));
        }
        let everything = Retention { max_bytes: Some(0), ..Retention::default() };
        let half = {
            let total = stored_bytes(&db).await;
            Retention { max_bytes: Some(total / 2), ..Retention::default() }
        };

        assert_eq!(log.retain(&half).await.unwrap().dropped_batches, 5);
        assert_eq!(log.retain(&everything).await.unwrap().dropped_batches, 5);
        let places = append(&log, &db, &tenant("shop"), vec![record("key", "next")]).await;
        assert_eq!(places[0].1, 10, "offsets go on after everything was dropped");
    }
}

async fn stored_bytes(db: &store::Db) -> u64 {
    const BYTES: &str = "SELECT CAST(SUM(stored_bytes) AS BIGINT) FROM log_batches";
    let bytes: i64 = store::on!(db, pool => sqlx::query_scalar(BYTES).fetch_one(pool).await).unwrap();
    bytes as u64
}

#[tokio::test]
async fn what_a_follower_has_not_taken_stays_unless_told_otherwise() {
    for db in databases().await {
        let (log, _clock) = log_at(&db);
        let (source, witness, shop) = (serve(&log), Witness::default(), tenant("shop"));
        append(&log, &db, &shop, vec![record("key", "taken")]).await;
        let replica = Replica::start(options(&db, &source, UnitKind::Tenant), &witness);
        replica.caught_up(&log).await;
        let is_reported = || async { log.lags().await.unwrap().iter().any(|lag| lag.next_offset == 1) };
        eventually("the progress is reported", is_reported).await;
        replica.stop().await;
        append(&log, &db, &shop, vec![record("key", "not taken")]).await;

        let mut everything = Retention { max_bytes: Some(0), ..Retention::default() };
        assert_eq!(log.retain(&everything).await.unwrap().dropped_batches, 1);
        everything.drop_unread = true;
        assert_eq!(log.retain(&everything).await.unwrap().dropped_batches, 1);

        // The follower misses what was dropped and goes on with what comes.
        append(&log, &db, &shop, vec![record("key", "later")]).await;
        let replica = Replica::start(options(&db, &source, UnitKind::Tenant), &witness);
        replica.caught_up(&log).await;
        let offsets: Vec<i64> = seen(&db).await.into_iter().map(|(_, _, offset, _)| offset).collect();
        assert_eq!(offsets, [0, 2]);
        replica.stop().await;
    }
}

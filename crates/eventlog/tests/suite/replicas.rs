use std::sync::atomic::Ordering;
use std::time::Duration;

use eventlog::{FollowerOptions, UnitKind};

use crate::harness::{
    Replica, Witness, append, databases, eventually, log, options, published, records, seen, serve, tenant,
};

/// Who holds how many units.
async fn holders(db: &store::Db) -> Vec<(String, i64)> {
    const HOLDERS: &str = "
        SELECT owner, COUNT(*)
          FROM log_leases
         GROUP BY owner
         ORDER BY owner";
    store::on!(db, pool => sqlx::query_as(HOLDERS).fetch_all(pool).await).expect("leases can be read")
}

#[tokio::test]
async fn replicas_share_the_units_and_fold_each_record_once() {
    for db in databases().await {
        let log = log(&db);
        let (source, witness) = (serve(&log), Witness::default());
        append(&log, &db, &tenant("shop"), records("before", 1_000)).await;
        let first = Replica::start(options(&db, &source, UnitKind::Partition), &witness);
        first.caught_up(&log).await;

        let second = Replica::start(options(&db, &source, UnitKind::Partition), &witness);
        let is_shared = || async {
            let held: Vec<i64> = holders(&db).await.into_iter().map(|(_, count)| count).collect();
            held == [4, 4]
        };
        for index in 0..30 {
            append(&log, &db, &tenant("shop"), records(&format!("while{index}-"), 50)).await;
        }
        eventually("each replica holds its share", is_shared).await;
        append(&log, &db, &tenant("shop"), records("after", 1_000)).await;

        let all_is_seen = || async { seen(&db).await.len() == 3_500 };
        eventually("all is folded", all_is_seen).await;
        assert_eq!(seen(&db).await, published(&log).await);

        first.stop().await;
        append(&log, &db, &tenant("shop"), records("alone", 100)).await;
        second.caught_up(&log).await;
        assert_eq!(seen(&db).await, published(&log).await);
        second.stop().await;
    }
}

#[tokio::test]
async fn a_replica_that_stops_hands_over_without_waiting_for_its_lease() {
    for db in databases().await {
        let log = log(&db);
        let (source, witness) = (serve(&log), Witness::default());
        let patient =
            || FollowerOptions { lease: Duration::from_secs(3_600), ..options(&db, &source, UnitKind::Tenant) };
        append(&log, &db, &tenant("shop"), records("k", 10)).await;
        let first = Replica::start(patient(), &witness);
        first.caught_up(&log).await;
        first.stop().await;

        append(&log, &db, &tenant("shop"), records("k", 10)).await;
        let second = Replica::start(patient(), &witness);
        second.caught_up(&log).await;

        assert_eq!(seen(&db).await, published(&log).await);
        second.stop().await;
    }
}

#[tokio::test]
async fn a_replica_taken_for_dead_cannot_commit() {
    const STEAL: &str = "UPDATE log_leases SET owner = 'thief', epoch = epoch + 1";
    const THIEF: &str = "
        INSERT INTO log_members (follower, log, owner, expire_time_us)
        VALUES ('witness', 'events', 'thief', 9000000000000000000)";
    const THIEF_DIES: &str = "DELETE FROM log_members WHERE owner = 'thief'";
    for db in databases().await {
        let log = log(&db);
        let (source, witness) = (serve(&log), Witness::default());
        append(&log, &db, &tenant("shop"), records("k", 10)).await;
        let replica = Replica::start(options(&db, &source, UnitKind::Tenant), &witness);
        replica.caught_up(&log).await;
        let committed = witness.commits.load(Ordering::SeqCst);

        // The lease is lost and the next records come in one transaction, so that the replica can hardly learn of it before.
        let mut tx = db.begin().await.unwrap();
        for statement in [STEAL, THIEF] {
            store::within!(tx, conn => sqlx::query(statement).execute(&mut *conn).await.map(|_| ())).unwrap();
        }
        log.append(&mut tx, &tenant("shop"), records("stolen", 10)).await.unwrap();
        tx.commit().await.unwrap();
        let lets_go = || async {
            let text = replica.metrics.render();
            text.contains("comptoir_follower_units{log=\"events\",follower=\"witness\"} 0")
        };
        eventually("the replica lets go", lets_go).await;
        assert_eq!(seen(&db).await.len(), 10);
        assert_eq!(witness.commits.load(Ordering::SeqCst), committed);

        // When the thief dies in turn, the replica takes the unit over and goes on from the cursor.
        let mut tx = db.begin().await.unwrap();
        store::within!(tx, conn => sqlx::query(THIEF_DIES).execute(&mut *conn).await.map(|_| ())).unwrap();
        tx.commit().await.unwrap();
        let goes_on = || async { seen(&db).await.len() == 20 };
        eventually("the replica takes over", goes_on).await;
        assert_eq!(seen(&db).await, published(&log).await);
        replica.stop().await;
    }
}

use std::sync::atomic::Ordering;

use eventlog::UnitKind;
use proto::log::v1::ListLagsRequest;

use crate::harness::{
    Replica, Witness, append, client, databases, eventually, log, options, published, record, records, seen, serve,
    tenant,
};

#[tokio::test]
async fn every_record_is_folded_once_and_in_order() {
    for db in databases().await {
        for unit in [UnitKind::Tenant, UnitKind::Partition] {
            let db = crate::harness::databases().await.into_iter().find(|other| other.engine() == db.engine()).unwrap();
            let (log, witness) = (log(&db), Witness::default());
            for name in ["shop", "rival"] {
                append(&log, &db, &tenant(name), records("before", 3_000)).await;
            }
            let replica = Replica::start(options(&db, &serve(&log), unit), &witness);
            replica.caught_up(&log).await;
            for index in 0..20 {
                append(&log, &db, &tenant("shop"), records(&format!("after{index}-"), 17)).await;
            }
            replica.caught_up(&log).await;

            assert_eq!(seen(&db).await, published(&log).await);
            assert!(witness.commits.load(Ordering::SeqCst) > 0);
            replica.stop().await;
        }
    }
}

#[tokio::test]
async fn a_crash_between_folding_and_commit_loses_and_repeats_nothing() {
    for db in databases().await {
        let (log, source, witness) = (log(&db), serve(&crate::harness::log(&db)), Witness::default());
        append(&log, &db, &tenant("shop"), records("k", 500)).await;

        witness.hangs.store(true, Ordering::SeqCst);
        let doomed = Replica::start(options(&db, &source, UnitKind::Tenant), &witness);
        let folded = || async { witness.batches.load(Ordering::SeqCst) > 0 };
        eventually("a batch is written but not committed", folded).await;
        doomed.crash().await;
        assert!(seen(&db).await.is_empty());

        witness.hangs.store(false, Ordering::SeqCst);
        let replica = Replica::start(options(&db, &source, UnitKind::Tenant), &witness);
        replica.caught_up(&log).await;

        assert_eq!(seen(&db).await, published(&log).await);
        replica.stop().await;
    }
}

#[tokio::test]
async fn a_restart_goes_on_where_the_last_run_stopped() {
    for db in databases().await {
        let (log, source, witness) = (log(&db), serve(&crate::harness::log(&db)), Witness::default());
        for run in 0..3 {
            append(&log, &db, &tenant("shop"), records(&format!("{run}-"), 100)).await;
            let replica = Replica::start(options(&db, &source, UnitKind::Partition), &witness);
            replica.caught_up(&log).await;
            replica.stop().await;
        }

        assert_eq!(seen(&db).await, published(&log).await);
    }
}

#[tokio::test]
async fn a_failing_unit_comes_again_and_does_not_hold_back_the_others() {
    for db in databases().await {
        let (log, witness) = (log(&db), Witness { poison: Some(b"poison"), ..Witness::default() });
        append(&log, &db, &tenant("sick"), vec![record("k", "fine"), record("k", "poison")]).await;
        append(&log, &db, &tenant("well"), records("k", 100)).await;

        let replica = Replica::start(options(&db, &serve(&log), UnitKind::Tenant), &witness);
        let well_is_folded = || async { seen(&db).await.iter().filter(|(tenant, ..)| tenant == "well").count() == 100 };
        eventually("the other tenant is folded", well_is_folded).await;
        assert!(seen(&db).await.iter().all(|(tenant, ..)| tenant == "well"));
        assert!(witness.rollbacks.load(Ordering::SeqCst) > 0);

        witness.is_healed.store(true, Ordering::SeqCst);
        replica.caught_up(&log).await;
        assert_eq!(seen(&db).await, published(&log).await);
        replica.stop().await;
    }
}

#[tokio::test]
async fn a_new_tenant_is_found_while_running() {
    for db in databases().await {
        let (log, witness) = (log(&db), Witness::default());
        let replica = Replica::start(options(&db, &serve(&log), UnitKind::Partition), &witness);

        for name in ["first", "second", "third"] {
            append(&log, &db, &tenant(name), vec![record("k", "hello")]).await;
            replica.caught_up(&log).await;
        }

        assert_eq!(seen(&db).await, published(&log).await);
        replica.stop().await;
    }
}

#[tokio::test]
async fn damage_stops_the_partition_and_is_never_folded() {
    const DAMAGE: &str = "UPDATE log_batches SET crc32 = 1 WHERE tenant_id = 'shop'";
    for db in databases().await {
        let (log, witness) = (log(&db), Witness::default());
        append(&log, &db, &tenant("shop"), records("k", 100)).await;
        let mut tx = db.begin().await.unwrap();
        store::within!(tx, conn => sqlx::query(DAMAGE).execute(&mut *conn).await.map(|_| ())).unwrap();
        tx.commit().await.unwrap();

        let replica = Replica::start(options(&db, &serve(&log), UnitKind::Tenant), &witness);
        let error_is_counted = || async {
            let text = replica.metrics.render();
            text.contains("comptoir_follower_errors_total{log=\"events\",follower=\"witness\"} 2")
        };
        eventually("the damage is noticed", error_is_counted).await;

        assert!(seen(&db).await.is_empty());
        replica.stop().await;
    }
}

#[tokio::test]
async fn a_follower_that_is_stuck_reads_ahead_only_so_far() {
    for db in databases().await {
        let (log, witness) = (log(&db), Witness::default());
        for _ in 0..40 {
            append(&log, &db, &tenant("shop"), vec![record("key", vec![7; 1_000_000])]).await;
        }
        witness.hangs.store(true, Ordering::SeqCst);
        let replica = Replica::start(options(&db, &serve(&log), UnitKind::Tenant), &witness);
        eventually("a batch is begun", || async { witness.batches.load(Ordering::SeqCst) > 0 }).await;
        // Time to read ahead; SQLite's writer is taken, so the records are removed behind the follower's back.
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        let remover = db.handle();
        let removal = tokio::spawn(async move {
            const REMOVE: &str = "DELETE FROM log_batches WHERE last_offset >= 30";
            let mut tx = remover.begin().await.unwrap();
            store::within!(tx, conn => sqlx::query(REMOVE).execute(&mut *conn).await.map(|_| ())).unwrap();
            tx.commit().await.unwrap();
        });
        if db.engine() == "sqlite" {
            // The removal is next in the queue for the writer when the stuck batch lets go of it.
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            witness.hangs.store(false, Ordering::SeqCst);
            removal.await.unwrap();
        } else {
            removal.await.unwrap();
            witness.hangs.store(false, Ordering::SeqCst);
        }

        eventually("what was left is folded", || async { seen(&db).await.len() >= 30 }).await;
        assert_eq!(seen(&db).await.len(), 30, "records beyond the bound were held in memory");
        replica.stop().await;
    }
}

#[tokio::test]
async fn redacted_records_never_reach_a_follower() {
    for db in databases().await {
        let (log, witness) = (log(&db), Witness::default());
        let places = append(&log, &db, &tenant("shop"), records("k", 10)).await;
        let mut tx = db.begin().await.unwrap();
        log.redact(&mut tx, &tenant("shop"), &places[..9]).await.unwrap();
        tx.commit().await.unwrap();

        let replica = Replica::start(options(&db, &serve(&log), UnitKind::Tenant), &witness);
        replica.caught_up(&log).await;

        assert_eq!(seen(&db).await.len(), 1);
        replica.stop().await;
    }
}

#[tokio::test]
async fn the_publisher_knows_how_far_a_follower_is_behind() {
    for db in databases().await {
        let metrics = kit::metrics::Metrics::new();
        let log = eventlog::EventLog::new(
            db.handle(),
            "events",
            eventlog::LogOptions::default(),
            kit::Clock::system(),
            &metrics,
        );
        let (source, witness) = (serve(&log), Witness::default());
        append(&log, &db, &tenant("shop"), records("k", 100)).await;
        let replica = Replica::start(options(&db, &source, UnitKind::Tenant), &witness);
        replica.caught_up(&log).await;

        let total_lag = || async {
            let lags = client(&source).list_lags(ListLagsRequest {}).await.unwrap().into_inner().lags;
            assert!(lags.iter().all(|lag| lag.follower == "witness"));
            (!lags.is_empty()).then(|| lags.iter().map(|lag| lag.records).sum::<u64>())
        };
        eventually("the follower reports that it has caught up", || async { total_lag().await == Some(0) }).await;
        replica.stop().await;

        append(&log, &db, &tenant("shop"), records("k", 40)).await;
        append(&log, &db, &tenant("new"), records("k", 2)).await;
        assert_eq!(total_lag().await, Some(42));
        let lag_is_shown =
            || async { metrics.render().contains("comptoir_log_lag_records{log=\"events\",follower=\"witness\"} 42") };
        eventually("the metric shows the lag", lag_is_shown).await;
    }
}

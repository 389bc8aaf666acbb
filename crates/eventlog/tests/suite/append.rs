use std::collections::BTreeMap;

use crate::harness::{append, databases, log, record, records, tenant};

#[tokio::test]
async fn offsets_have_no_gaps_under_concurrent_appenders() {
    const APPENDERS: usize = 8;
    const APPENDS: usize = 20;
    const RECORDS: usize = 7;
    for db in databases().await {
        let shop = tenant("shop");
        let mut appenders = Vec::new();
        for appender in 0..APPENDERS {
            // Each has a log of its own, as replicas have.
            let (db, log, shop) = (db.handle(), log(&db), shop.clone());
            appenders.push(tokio::spawn(async move {
                let mut places = Vec::new();
                for index in 0..APPENDS {
                    places.extend(append(&log, &db, &shop, records(&format!("{appender}-{index}-"), RECORDS)).await);
                }
                places
            }));
        }

        let mut offsets: BTreeMap<u32, Vec<u64>> = BTreeMap::new();
        for appender in appenders {
            for (partition, offset) in appender.await.unwrap() {
                offsets.entry(partition).or_default().push(offset);
            }
        }

        let ends = log(&db).ends().await.unwrap();
        for (partition, end) in ends {
            let taken = offsets.get_mut(&partition.partition).unwrap();
            taken.sort_unstable();
            assert_eq!(*taken, (0..end).collect::<Vec<_>>(), "{} {partition:?}", db.engine());
        }
        assert_eq!(offsets.values().map(Vec::len).sum::<usize>(), APPENDERS * APPENDS * RECORDS);
    }
}

#[tokio::test]
async fn a_rollback_leaves_no_gap_and_no_record() {
    for db in databases().await {
        let (log, shop) = (log(&db), tenant("shop"));
        let first = append(&log, &db, &shop, vec![record("key", "first")]).await;

        let mut tx = db.begin().await.unwrap();
        let lost = log.append(&mut tx, &shop, vec![record("key", "lost")]).await.unwrap();
        drop(tx);
        let second = append(&log, &db, &shop, vec![record("key", "second")]).await;

        assert_eq!((first[0].1, lost[0].1, second[0].1), (0, 1, 1));
        let kept = log.read(&shop, first[0].0, 0, 10).await.unwrap();
        let payloads: Vec<&[u8]> = kept.iter().map(|found| found.record.payload.as_ref()).collect();
        assert_eq!(payloads, [b"first".as_slice(), b"second"]);
    }
}

#[tokio::test]
async fn places_are_returned_in_request_order_and_lead_to_the_records() {
    for db in databases().await {
        let (log, shop) = (log(&db), tenant("shop"));
        let published = records("k", 2_500);

        let places = append(&log, &db, &shop, published.clone()).await;

        let found = log.read_at(&shop, &places).await.unwrap();
        assert!(found.iter().map(|found| &found.record).eq(&published));
        assert!(found.iter().map(|found| (found.partition, found.offset)).eq(places.iter().copied()));
        let reversed: Vec<(u32, u64)> = places.iter().rev().copied().collect();
        let found = log.read_at(&shop, &reversed).await.unwrap();
        assert!(found.iter().map(|found| &found.record).eq(published.iter().rev()));
        assert!(log.read_at(&shop, &[(0, 1_000_000)]).await.unwrap().is_empty());
        assert!(log.read_at(&tenant("rival"), &places).await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn large_appends_become_several_batches_and_read_from_anywhere() {
    for db in databases().await {
        let (log, shop) = (log(&db), tenant("shop"));
        let one_key: Vec<_> = (0..3_500).map(|index| record("one", format!("payload {index}"))).collect();
        let places = append(&log, &db, &shop, one_key).await;
        let partition = places[0].0;

        for from_offset in [0, 999, 1_000, 1_001, 3_499, 3_500] {
            let found = log.read(&shop, partition, from_offset, 1_200).await.unwrap();
            let offsets: Vec<u64> = found.iter().map(|found| found.offset).collect();
            assert_eq!(offsets, (from_offset..3_500.min(from_offset + 1_200)).collect::<Vec<_>>());
        }
    }
}

#[tokio::test]
async fn a_record_without_payload_or_beyond_the_limit_is_refused() {
    for db in databases().await {
        let (log, shop) = (log(&db), tenant("shop"));
        let mut tx = db.begin().await.unwrap();

        assert!(log.append(&mut tx, &shop, vec![record("key", "")]).await.is_err());
        assert!(log.append(&mut tx, &shop, vec![record("key", vec![0; (2 << 20) + 1])]).await.is_err());
        assert!(log.append(&mut tx, &shop, Vec::new()).await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn a_damaged_batch_is_told_not_read() {
    const DAMAGE_SQLITE: &str = "UPDATE log_batches SET records = zeroblob(stored_bytes)";
    const DAMAGE_POSTGRES: &str =
        "UPDATE log_batches SET records = decode(repeat('00', CAST(stored_bytes AS INT)), 'hex')";
    for db in databases().await {
        let (log, shop) = (log(&db), tenant("shop"));
        let places = append(&log, &db, &shop, records("k", 100)).await;

        let damage = if db.engine() == "sqlite" { DAMAGE_SQLITE } else { DAMAGE_POSTGRES };
        let mut tx = db.begin().await.unwrap();
        store::within!(tx, conn => sqlx::query(damage).execute(&mut *conn).await.map(|_| ())).unwrap();
        tx.commit().await.unwrap();

        let read = log.read(&shop, places[0].0, 0, 10).await;
        assert!(matches!(read, Err(store::Error::Damaged(_))), "{read:?}");
        assert!(matches!(log.read_at(&shop, &places[..1]).await, Err(store::Error::Damaged(_))));
    }
}

#[tokio::test]
async fn redacted_records_are_gone_and_their_neighbours_stay() {
    for db in databases().await {
        let (log, shop) = (log(&db), tenant("shop"));
        let places = append(&log, &db, &shop, records("k", 50)).await;
        log.read_at(&shop, &places).await.unwrap();

        let mut tx = db.begin().await.unwrap();
        let nowhere = (places[0].0, 1_000_000);
        let redacted = log.redact(&mut tx, &shop, &[places[3], places[30], nowhere]).await.unwrap();
        tx.commit().await.unwrap();

        assert_eq!(redacted, 2);
        let left = log.read_at(&shop, &places).await.unwrap();
        let left: Vec<(u32, u64)> = left.iter().map(|found| (found.partition, found.offset)).collect();
        let kept = places.iter().filter(|place| ![places[3], places[30]].contains(place));
        assert!(left.iter().eq(kept));
    }
}

#[tokio::test]
async fn a_removed_tenant_leaves_the_others_alone() {
    for db in databases().await {
        let log = log(&db);
        append(&log, &db, &tenant("shop"), records("k", 50)).await;
        let kept = append(&log, &db, &tenant("rival"), records("k", 50)).await;

        let mut tx = db.begin().await.unwrap();
        log.remove_tenant(&mut tx, &tenant("shop")).await.unwrap();
        tx.commit().await.unwrap();

        assert!(log.ends().await.unwrap().iter().all(|(partition, _)| partition.tenant == tenant("rival")));
        assert_eq!(log.read_at(&tenant("rival"), &kept).await.unwrap().len(), 50);
        assert!(log.read_at(&tenant("shop"), &kept).await.unwrap().is_empty());
    }
}

#[test]
fn keys_keep_their_partition_for_ever() {
    // A change here would tear keys out of their order in every log that exists.
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let db = store::testing::sqlite(&[&eventlog::MIGRATIONS]).await;
        let log = log(&db);
        let partitions: Vec<u32> =
            ["", "a", "user:1", "user:2", "anonymous:x"].map(|key| log.partition_of(key.as_bytes())).into();
        assert_eq!(partitions, [0, 3, 2, 0, 3]);
    });
}

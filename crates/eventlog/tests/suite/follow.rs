use std::time::Duration;

use proto::log::v1::{Compression, Cursor, FollowRequest, FollowResponse, Partition};
use tonic::{Code, Streaming};

use crate::harness::{append, client, databases, log, record, records, serve, tenant};

fn cursor(partition: u32, next_offset: u64) -> Cursor {
    Cursor { partition: Some(Partition { tenant_id: "shop".into(), partition }), next_offset }
}

fn request(cursors: Vec<Cursor>) -> FollowRequest {
    let accepted_compressions = vec![Compression::Lz4.into()];
    FollowRequest { follower: "test".into(), cursors, accepted_compressions, max_records: 0 }
}

/// Takes responses until `count` records have come; returns (partition, first offset, count) of each.
async fn take(stream: &mut Streaming<FollowResponse>, count: u32) -> Vec<(u32, u64, u32)> {
    let mut taken = Vec::new();
    let mut records = 0;
    while records < count {
        let response = stream.message().await.unwrap().expect("the stream stays open");
        records += response.count;
        taken.push((response.partition.unwrap().partition, response.first_offset, response.count));
    }
    assert_eq!(records, count);
    taken
}

#[tokio::test]
async fn follow_delivers_what_is_there_then_what_comes() {
    for db in databases().await {
        let (log, shop) = (log(&db), tenant("shop"));
        let partition = append(&log, &db, &shop, vec![record("key", "1"), record("key", "2")]).await[0].0;
        let source = serve(&log);

        let mut stream = client(&source).follow(request(vec![cursor(partition, 0)])).await.unwrap().into_inner();
        assert_eq!(take(&mut stream, 2).await, [(partition, 0, 2)]);

        append(&log, &db, &shop, vec![record("key", "3")]).await;
        assert_eq!(take(&mut stream, 1).await, [(partition, 2, 1)]);

        // Another replica's append wakes nobody here: the watch has to find it.
        let replica = crate::harness::log(&db);
        append(&replica, &db, &shop, vec![record("key", "4")]).await;
        assert_eq!(take(&mut stream, 1).await, [(partition, 3, 1)]);
    }
}

#[tokio::test]
async fn follow_begins_at_the_cursor_even_inside_a_batch() {
    for db in databases().await {
        let (log, shop) = (log(&db), tenant("shop"));
        let one_key: Vec<_> = (0..100).map(|index| record("key", format!("payload {index}"))).collect();
        let partition = append(&log, &db, &shop, one_key).await[0].0;
        let source = serve(&log);

        let request = FollowRequest { max_records: 25, ..request(vec![cursor(partition, 40)]) };
        let mut stream = client(&source).follow(request).await.unwrap().into_inner();

        assert_eq!(take(&mut stream, 60).await, [(partition, 40, 25), (partition, 65, 25), (partition, 90, 10)]);
    }
}

#[tokio::test]
async fn partitions_take_turns_and_all_arrives_once() {
    for db in databases().await {
        let (log, shop) = (log(&db), tenant("shop"));
        for _ in 0..30 {
            append(&log, &db, &shop, records("k", 200)).await;
        }
        let source = serve(&log);

        let cursors = (0..8).map(|partition| cursor(partition, 0)).collect();
        let mut stream = client(&source).follow(request(cursors)).await.unwrap().into_inner();
        let taken = take(&mut stream, 6_000).await;

        for (partition, end) in log.ends().await.unwrap() {
            let mut next_offset = 0;
            for (_, first_offset, count) in taken.iter().filter(|(number, _, _)| *number == partition.partition) {
                assert_eq!(*first_offset, next_offset);
                next_offset += u64::from(*count);
            }
            assert_eq!(next_offset, end);
        }
        let first_round: Vec<u32> = taken.iter().take(32).map(|(partition, _, _)| *partition).collect();
        assert!((0..8).all(|partition| first_round.contains(&partition)), "{first_round:?}");
    }
}

#[tokio::test]
async fn a_reader_that_stops_reading_stops_the_publisher() {
    for db in databases().await {
        let (log, shop) = (log(&db), tenant("shop"));
        for _ in 0..50 {
            append(&log, &db, &shop, vec![record("key", vec![7; 100_000])]).await;
        }
        let partition = log.partition_of(b"key");
        let source = serve(&log);

        let mut stream = client(&source).follow(request(vec![cursor(partition, 0)])).await.unwrap().into_inner();
        take(&mut stream, 1).await;
        // Damage what comes later: a publisher that had read ahead would have its bytes already.
        let mut tx = db.begin().await.unwrap();
        store::within!(tx, conn => {
            sqlx::query("DELETE FROM log_batches WHERE last_offset >= 20").execute(&mut *conn).await.map(|_| ())
        })
        .unwrap();
        tx.commit().await.unwrap();

        take(&mut stream, 19).await;
        let more = tokio::time::timeout(Duration::from_millis(300), stream.message()).await;
        assert!(more.is_err(), "the publisher had read ahead without bound");
    }
}

#[tokio::test]
async fn bad_requests_are_refused_with_every_violation() {
    let db = store::testing::sqlite(&[&eventlog::MIGRATIONS]).await;
    let source = serve(&log(&db));
    let nameless = Cursor { partition: None, next_offset: 0 };
    let twice = vec![cursor(0, 0), cursor(0, 5), nameless];

    let refused = client(&source).follow(FollowRequest { follower: String::new(), ..request(twice) }).await;
    let refused = refused.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    for field in ["follower", "cursors[1].partition", "cursors[2].partition"] {
        assert!(refused.message().contains(field), "{}", refused.message());
    }

    let refused = client(&source).follow(request(Vec::new())).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
}

#[tokio::test]
async fn only_services_may_follow() {
    use kit::auth::Authority;
    use kit::channel::{ChannelOptions, Credential};

    let db = store::testing::sqlite(&[&eventlog::MIGRATIONS]).await;
    let authority = Authority::new(b"a secret of at least thirty-two bytes");
    let server =
        proto::log::v1::log_service_server::LogServiceServer::new(log(&db).service(&kit::shutdown::Shutdown::new()));
    let services = kit::server::Services::new(
        "publisher",
        authority.clone(),
        kit::metrics::Metrics::new(),
        kit::server::Readiness::new(),
    );
    let credential = Credential::tenant(&authority, tenant("shop"), "key", &["logs:read"]);
    let source = kit::channel::local(services.add(server).build(), ChannelOptions::new(credential));

    let refused = client(&source).list_partitions(proto::log::v1::ListPartitionsRequest {}).await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);
    let refused = client(&source).follow(request(vec![cursor(0, 0)])).await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);
}

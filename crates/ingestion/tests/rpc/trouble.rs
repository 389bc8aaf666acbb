use std::time::Duration;

use comptoir_ingestion::{Config, MIGRATIONS};
use kit::Kind;
use proto::event::v1::Event;
use proto::ingestion::v1::CollectRequest;
use proto::ingestion::v1::verdict::Outcome;

use crate::harness::{Setup, WRITE_KEY, both, event, outcomes};

const TRACK: &str = r#"{"event":"x","userId":"u"}"#;

#[tokio::test]
async fn a_store_that_is_gone_is_never_a_success() {
    for setup in both().await {
        let source_id = setup.source().await;
        setup.post("track", TRACK).await;
        setup.collect(&source_id, vec![event("m-0")]).await;
        setup.db.close().await;

        let response = setup.post("track", TRACK).await;
        let request = CollectRequest { events: vec![event("m-1")], source_id };
        let refused = kit::Error::from(setup.ingestion("shop").collect(request).await.unwrap_err());

        assert_eq!(response.status, 503);
        assert!(response.retry_after.unwrap().seconds > 0);
        assert!(serde_json::from_slice::<serde_json::Value>(&response.body).unwrap()["code"].is_string());
        assert_eq!(refused.kind, Kind::Unavailable);
    }
}

#[tokio::test]
async fn too_much_at_once_is_told_to_come_again() {
    let mut config = Config::default();
    config.collect.queue_kib = 1;
    let db = store::testing::sqlite(&[&eventlog::MIGRATIONS, &MIGRATIONS]).await;
    let setup = Setup::new(db, &config).await;
    let source_id = setup.source().await;
    let request = |id: &str| CollectRequest { events: vec![event(id)], source_id: source_id.clone() };
    let mut client = setup.ingestion("shop");
    setup.post("track", TRACK).await;
    let writer = setup.db.begin().await.unwrap();

    let (waiting, http, grpc) = tokio::join!(
        async {
            let mut client = setup.ingestion("shop");
            client.collect(request("m-1")).await
        },
        async {
            tokio::time::sleep(Duration::from_millis(100)).await;
            setup.post("track", TRACK).await
        },
        async {
            tokio::time::sleep(Duration::from_millis(100)).await;
            let refused = kit::Error::from(client.collect(request("m-2")).await.unwrap_err());
            writer.rollback().await.unwrap();
            refused
        },
    );

    assert!(waiting.is_ok(), "what was let in is taken");
    assert_eq!((http.status, http.retry_after.unwrap().seconds), (429, 1));
    assert_eq!((grpc.kind, grpc.reason.as_ref()), (Kind::ResourceExhausted, "OVERLOADED"));
    assert!(grpc.retry_after.is_some());
}

#[tokio::test]
async fn readiness_follows_the_store() {
    for setup in both().await {
        assert!(!setup.readiness.is_ready());

        setup.service.start();
        setup.readiness.wait_ready().await;

        assert!(setup.shutdown.drain(Duration::from_secs(10)).await, "every task ends");
    }
}

/// Lets the file grow no further, as a full disk does, or without limit.
async fn set_full(setup: &Setup, full: bool) {
    let mut tx = setup.db.begin().await.unwrap();
    let store::Connection::Sqlite(connection) = tx.connection() else { panic!("it is SQLite") };
    // A limit below what there is means what there is.
    let limit = if full { "PRAGMA max_page_count = 1" } else { "PRAGMA max_page_count = 1000000000" };
    sqlx::raw_sql(limit).execute(connection).await.unwrap();
    tx.rollback().await.unwrap();
}

#[tokio::test]
async fn a_full_disk_takes_nothing_and_all_goes_on_once_there_is_space() {
    let db = store::testing::sqlite(&[&eventlog::MIGRATIONS, &MIGRATIONS]).await;
    let setup = Setup::new(db, &Config::default()).await;
    let source_id = setup.source().await;
    let large = |id: &str| Event { properties_json: padding(), ..event(id) };
    let events = |round: usize| (0..40).map(|number| large(&format!("m-{round}-{number}"))).collect::<Vec<_>>();

    for round in 0..3 {
        set_full(&setup, true).await;
        let request = CollectRequest { events: events(round), source_id: source_id.clone() };
        let refused = kit::Error::from(setup.ingestion("shop").collect(request.clone()).await.unwrap_err());
        assert_eq!((refused.kind, refused.reason.as_ref()), (Kind::Unavailable, "STORE_UNAVAILABLE"));
        assert!(refused.retry_after.is_some());

        set_full(&setup, false).await;
        let verdicts = setup.ingestion("shop").collect(request).await.unwrap().into_inner().verdicts;
        assert_eq!(outcomes(&verdicts), [Outcome::Accepted; 40], "nothing of it was taken before");
        assert_eq!(setup.logged("shop").await.len(), 40 * (round + 1));
    }
}

/// Text that no compression makes small.
fn padding() -> bytes::Bytes {
    let text: String = (0..10_000).map(|_| char::from(rand::random_range(b'a'..=b'z'))).collect();
    format!(r#"{{"text":"{text}"}}"#).into()
}

#[tokio::test]
async fn readiness_follows_a_store_that_is_slow() {
    let mut config = Config::default();
    config.collect.slow_store_seconds = 1;
    let db = store::testing::sqlite(&[&eventlog::MIGRATIONS, &MIGRATIONS]).await;
    let setup = Setup::new(db, &config).await;
    let source_id = setup.source().await;
    setup.service.start();
    setup.readiness.wait_ready().await;

    // Somebody else writes and does not end.
    let other = store::Db::open(setup.db.url(), store::OpenOptions::default()).await.unwrap();
    let held = other.begin().await.unwrap();
    let waiting = {
        let mut client = setup.ingestion("shop");
        let request = CollectRequest { events: vec![event("m-1")], source_id: source_id.clone() };
        tokio::spawn(async move { client.collect(request).await.map(|_| ()) })
    };
    setup.eventually("not ready", || !setup.readiness.is_ready()).await;
    let refused = setup.post("track", TRACK).await;
    assert_eq!((refused.status, refused.retry_after.is_some()), (503, true), "it is shed without waiting");
    held.rollback().await.unwrap();

    waiting.await.unwrap().expect("what was let in is taken");
    setup.readiness.wait_ready().await;
    assert_eq!(setup.post("track", TRACK).await.status, 200);
    assert_eq!(setup.logged("shop").await.len(), 2);
}

#[tokio::test]
async fn the_first_source_is_made_once() {
    let mut config = Config::default();
    config.bootstrap.write_key = WRITE_KEY.into();
    let db = store::testing::sqlite(&[&eventlog::MIGRATIONS, &MIGRATIONS]).await;

    let setup = Setup::new(db, &config).await;
    let Setup { db, .. } = setup;
    let again = Setup::new(db, &config).await;

    assert_eq!(again.post("track", TRACK).await.status, 200);
    assert_eq!(again.logged("default").await.len(), 1);
}

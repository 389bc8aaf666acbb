use std::time::Duration;

use comptoir_ingestion::{Config, MIGRATIONS};
use kit::Kind;
use proto::ingestion::v1::CollectRequest;

use crate::harness::{Setup, WRITE_KEY, both, event};

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

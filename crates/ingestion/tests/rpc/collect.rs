use std::time::Duration;

use kit::auth::scope;
use proto::event::v1::Event;
use proto::ingestion::v1::ingestion_service_client::IngestionServiceClient;
use proto::ingestion::v1::verdict::Outcome::{Accepted, Duplicate, Quarantined};
use proto::ingestion::v1::{CollectRequest, SummarizeEventsRequest};

use crate::harness::{both, event, outcomes, reason};

#[tokio::test]
async fn a_batch_is_in_the_log_when_it_is_acknowledged() {
    for setup in both().await {
        let source_id = setup.source().await;

        let verdicts = setup.collect(&source_id, vec![event("m-1"), event("m-2")]).await;

        assert_eq!(outcomes(&verdicts), [Accepted, Accepted]);
        let mut logged: Vec<String> = setup.logged("shop").await.into_iter().map(|event| event.event_id).collect();
        let mut told: Vec<String> = verdicts.into_iter().map(|verdict| verdict.event_id).collect();
        logged.sort();
        told.sort();
        assert_eq!(logged, told);
        assert!(setup.metrics.render().contains("comptoir_ingestion_events_total{outcome=\"accepted\"} 2"));
    }
}

#[tokio::test]
async fn a_bad_event_harms_no_neighbour() {
    for setup in both().await {
        let source_id = setup.source().await;
        let nobody = Event { identifiers: Vec::new(), ..event("m-2") };

        let verdicts = setup.collect(&source_id, vec![event("m-1"), nobody, event("m-3")]).await;

        assert_eq!(outcomes(&verdicts), [Accepted, Quarantined, Accepted]);
        assert_eq!(verdicts[1].reason, "IDENTIFIER_MISSING");
        assert!(!verdicts[1].dead_letter_id.is_empty());
        assert_eq!(setup.logged("shop").await.len(), 2);
    }
}

#[tokio::test]
async fn a_message_counts_once_for_as_long_as_the_window_lasts() {
    for setup in both().await {
        let source_id = setup.source().await;
        let other_person = Event { identifiers: event("x").identifiers, ..event("m-1") };

        let first = setup.collect(&source_id, vec![event("m-1"), event("m-1"), other_person.clone()]).await;
        assert_eq!(outcomes(&first), [Accepted, Duplicate, Duplicate]);
        setup.clock.advance(Duration::from_secs(7 * 24 * 3600));
        let within = setup.collect(&source_id, vec![event("m-1")]).await;
        assert_eq!(outcomes(&within), [Duplicate]);
        setup.clock.advance(Duration::from_micros(1));
        let after = setup.collect(&source_id, vec![event("m-1")]).await;
        assert_eq!(outcomes(&after), [Accepted]);

        assert_eq!(setup.logged("shop").await.len(), 2);
    }
}

#[tokio::test]
async fn requests_that_meet_take_each_message_once() {
    for setup in both().await {
        let source_id = setup.source().await;
        let batch = |from: usize| (from..from + 50).map(|number| event(&format!("m-{number}"))).collect();

        let requests = (0..20).map(|number| setup.collect(&source_id, batch(number * 25)));
        let verdicts = futures::future::join_all(requests).await;

        let accepted = verdicts.iter().flatten().filter(|verdict| verdict.outcome() == Accepted).count();
        assert_eq!(accepted, 19 * 25 + 50);
        assert_eq!(setup.logged("shop").await.len(), accepted);
    }
}

#[tokio::test]
async fn events_without_message_ids_are_all_different() {
    for setup in both().await {
        let source_id = setup.source().await;

        let verdicts = setup.collect(&source_id, vec![event(""), event("")]).await;

        assert_eq!(outcomes(&verdicts), [Accepted, Accepted]);
        assert!(setup.logged("shop").await.iter().all(|event| !event.message_id.is_empty()));
    }
}

#[tokio::test]
async fn bad_requests_take_nothing() {
    for setup in both().await {
        let source_id = setup.source().await;
        let request = |events: Vec<Event>, source_id: &str| CollectRequest { events, source_id: source_id.into() };
        let heavy = Event { properties_json: vec![b' '; 1 << 20].into(), ..event("m") };

        for (tenant, bad, expected) in [
            ("shop", request(Vec::new(), &source_id), "INVALID_FIELDS"),
            ("shop", request(vec![event("m"); 5_001], &source_id), "INVALID_FIELDS"),
            ("shop", request(vec![heavy; 17], &source_id), "INVALID_FIELDS"),
            ("shop", request(vec![event("m")], ""), "INVALID_FIELDS"),
            ("shop", request(vec![event("m")], "nobody's"), "SOURCE_NOT_FOUND"),
            ("shop", request(vec![event("m")], "a\0b"), "SOURCE_NOT_FOUND"),
            ("rival", request(vec![event("m")], &source_id), "SOURCE_NOT_FOUND"),
        ] {
            let mut client = setup.ingestion(tenant).max_encoding_message_size(kit::MAX_MESSAGE_BYTES);
            assert_eq!(reason(client.collect(bad).await.unwrap_err()), expected);
        }
        let reader = setup.tenant_channel("shop", &[scope::PROFILES_READ]);
        let refused = IngestionServiceClient::new(reader).collect(request(vec![event("m")], &source_id)).await;
        assert_eq!(reason(refused.unwrap_err()), "SCOPE_MISSING");
        assert!(setup.logged("shop").await.is_empty());
    }
}

#[tokio::test]
async fn what_each_source_sent_is_counted() {
    for setup in both().await {
        let source_id = setup.source().await;
        let nobody = Event { identifiers: Vec::new(), ..event("m-3") };
        setup.collect(&source_id, vec![event("m-1"), event("m-2"), event("m-1"), nobody.clone(), nobody]).await;

        let summarize = |tenant: &'static str, source_id: String| {
            let mut client = setup.ingestion(tenant);
            async move { client.summarize_events(SummarizeEventsRequest { source_id }).await }
        };
        let summary = summarize("shop", String::new()).await.unwrap().into_inner().sources.remove(0);

        assert_eq!((summary.accepted, summary.duplicate), (2, 1));
        assert_eq!(summary.quarantined, 1, "a repeated bad event is kept once");
        assert_eq!(summarize("shop", source_id.clone()).await.unwrap().into_inner().sources.len(), 1);
        assert!(summarize("rival", String::new()).await.unwrap().into_inner().sources.is_empty());
        assert_eq!(reason(summarize("rival", source_id).await.unwrap_err()), "SOURCE_NOT_FOUND");
    }
}

#[tokio::test]
async fn the_same_input_gives_the_same_event_ids_in_every_installation() {
    let mut ids = Vec::new();
    for setup in both().await.into_iter().chain(both().await) {
        let source_id = setup.source().await;
        ids.push(setup.collect(&source_id, vec![event("m-1")]).await.remove(0).event_id);
    }

    assert!(ids.windows(2).all(|pair| pair[0] == pair[1]), "{ids:?}");
}

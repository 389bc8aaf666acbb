//! Quotas, floods, and watching.

use std::time::Duration;

use comptoir_ingestion::{Config, MIGRATIONS};
use futures::StreamExt;
use kit::Kind;
use kit::auth::scope;
use proto::event::v1::Event;
use proto::ingestion::v1::source_service_client::SourceServiceClient;
use proto::ingestion::v1::verdict::Outcome::{self, Accepted, Duplicate, Quarantined};
use proto::ingestion::v1::{
    CollectRequest, CollectStreamRequest, GetSourceRequest, ListSourcesRequest, SetSourceQuotaRequest, SourceQuota,
    SummarizeEventsRequest, TailEventsRequest, TailEventsResponse,
};
use proto::r#type::v1::Identifier;

use crate::harness::{Setup, both, event, outcomes, reason};

const TRACK: &str = r#"{"event":"x","userId":"u"}"#;

async fn set_quota(setup: &Setup, source_id: &str, quota: Option<SourceQuota>) -> Option<SourceQuota> {
    let request = SetSourceQuotaRequest { source_id: source_id.into(), quota };
    setup.sources("shop").set_source_quota(request).await.unwrap().into_inner().quota
}

#[tokio::test]
async fn a_source_over_its_quota_is_told_when_to_come_again() {
    for setup in both().await {
        let source_id = setup.source().await;
        let slow = SourceQuota { events_per_second: 1, bytes_per_second: 0 };
        assert_eq!(set_quota(&setup, &source_id, Some(slow)).await, Some(slow));
        let request = GetSourceRequest { source_id: source_id.clone() };
        assert_eq!(
            setup.sources("shop").get_source(request).await.unwrap().into_inner().source.unwrap().quota,
            Some(slow)
        );
        let listed = setup.sources("shop").list_sources(ListSourcesRequest::default()).await.unwrap().into_inner();
        assert_eq!(listed.sources[0].quota, Some(slow));

        // One request may go far beyond what is left; then it is owed.
        let many: Vec<Event> = (0..100).map(|number| event(&format!("m-{number}"))).collect();
        assert_eq!(outcomes(&setup.collect(&source_id, many).await), [Accepted; 100]);
        let response = setup.post("track", TRACK).await;
        let request = CollectRequest { events: vec![event("m-100")], source_id: source_id.clone() };
        let refused = kit::Error::from(setup.ingestion("shop").collect(request.clone()).await.unwrap_err());
        let again = setup.post("track", TRACK).await;

        for response in [response, again] {
            assert_eq!(response.status, 429);
            assert!(response.retry_after.unwrap().seconds > 0);
            assert!(String::from_utf8_lossy(&response.body).contains("QUOTA_EXCEEDED"));
        }
        assert_eq!((refused.kind, refused.reason.as_ref()), (Kind::ResourceExhausted, "QUOTA_EXCEEDED"));
        assert!(refused.retry_after.is_some());
        assert!(setup.metrics.render().contains("comptoir_ingestion_throttled_events_total{source="));
        assert_eq!(setup.logged("shop").await.len(), 100, "nothing that was refused was taken");

        // Without a quota nothing is owed.
        assert_eq!(set_quota(&setup, &source_id, None).await, None);
        assert!(setup.ingestion("shop").collect(request).await.is_ok());
        assert_eq!(setup.post("track", TRACK).await.status, 200);
        let bytes = SourceQuota { events_per_second: 0, bytes_per_second: 5 };
        set_quota(&setup, &source_id, Some(bytes)).await;
        assert_eq!(setup.post("track", TRACK).await.status, 429, "what was owed before is owed still");
    }
}

#[tokio::test]
async fn quotas_of_others_and_quotas_that_are_none_are_refused() {
    let setup = both().await.remove(0);
    let source_id = setup.source().await;
    let quota = Some(SourceQuota { events_per_second: 1, bytes_per_second: 0 });
    let request = SetSourceQuotaRequest { source_id: source_id.clone(), quota };
    let refused = setup.sources("rival").set_source_quota(request).await.unwrap_err();
    assert_eq!(reason(refused), "SOURCE_NOT_FOUND");
    let quota = Some(SourceQuota { events_per_second: u32::MAX, bytes_per_second: u64::MAX });
    let refused = setup.sources("shop").set_source_quota(SetSourceQuotaRequest { source_id, quota }).await;
    assert_eq!(kit::Error::from(refused.unwrap_err()).violations.len(), 2);
}

#[tokio::test]
async fn a_stream_over_its_quota_waits_and_loses_nothing() {
    let setup = both().await.remove(0);
    let source_id = setup.source().await;
    let quota = SourceQuota { events_per_second: 1_000, bytes_per_second: 0 };
    set_quota(&setup, &source_id, Some(quota)).await;
    let batch = |sequence: u64| {
        let events = (0..1_000).map(|number| event(&format!("m-{sequence}-{number}"))).collect();
        CollectStreamRequest { sequence, batch: Some(CollectRequest { events, source_id: source_id.clone() }) }
    };

    let batches = futures::stream::iter((0..4).map(batch).collect::<Vec<_>>());
    let answers = setup.ingestion("shop").collect_stream(batches).await.unwrap().into_inner();
    let sequences: Vec<u64> = answers.map(|answer| answer.unwrap().sequence).collect().await;

    assert_eq!(sequences, [0, 1, 2, 3]);
    assert_eq!(setup.logged("shop").await.len(), 4_000);
}

fn by(user: &str, number: usize) -> Event {
    let identifiers = vec![Identifier { kind: "user_id".into(), value: user.into() }];
    Event { identifiers, ..event(&format!("{user}-{number:05}")) }
}

#[tokio::test]
async fn a_key_that_floods_leaves_room_for_the_others_and_keeps_its_order() {
    let mut config = Config::default();
    config.collect.queue_kib = 1_024;
    // What goes wrong here goes wrong whatever the time.
    (config.collect.source_cache_ms, config.collect.slow_store_seconds) = (60_000, 3_600);
    for db in store::testing::databases(&[&eventlog::MIGRATIONS, &MIGRATIONS]).await {
        let setup = Setup::new(db, &config).await;
        let source_id = setup.source().await;
        setup.collect(&source_id, vec![by("first", 0)]).await;
        let gate = setup.block_commits().await;
        let send = |event: Event| {
            let (mut client, source_id) = (setup.ingestion("shop"), source_id.clone());
            tokio::spawn(async move { client.collect(CollectRequest { events: vec![event], source_id }).await })
        };
        // One after another, each once the one before waits: the order in which they came.
        let (mut waiting, mut refused) = (Vec::new(), 0);
        for number in 0..700 {
            let call = send(by("flood", number));
            match setup.settled(call).await {
                Ok(call) => waiting.push(call),
                Err(status) => {
                    assert_eq!(reason(status), "OVERLOADED");
                    refused += 1;
                }
            }
        }
        let mut others = Vec::new();
        for number in 0..300 {
            let call = send(by(&format!("other-{number}"), 0));
            others.push(setup.settled(call).await.expect("there is room for others"));
        }
        gate.rollback().await.unwrap();

        assert!(refused > 100, "a flood must not fill the queue: {refused} refused");
        for call in waiting.into_iter().chain(others) {
            assert_eq!(outcomes(&call.await.unwrap().unwrap().into_inner().verdicts), [Accepted]);
        }
        let flood: Vec<String> = setup
            .logged("shop")
            .await
            .into_iter()
            .map(|event| event.message_id)
            .filter(|id| id.starts_with("flood"))
            .collect();
        assert_eq!(flood.len(), 700 - refused);
        assert!(flood.is_sorted(), "the order of a key is kept");
        let aside = setup.metrics.render();
        assert!(aside.contains("comptoir_ingestion_events_aside_total") && !aside.contains("events_aside_total 0\n"));
    }
}

async fn next(tail: &mut tonic::Streaming<TailEventsResponse>) -> TailEventsResponse {
    let waited = tokio::time::timeout(Duration::from_secs(60), tail.message()).await;
    waited.expect("something is committed").unwrap().expect("the tail goes on")
}

#[tokio::test]
async fn a_tail_shows_what_is_committed_and_people_only_to_those_who_may_see_them() {
    for setup in both().await {
        let source_id = setup.source().await;
        let request = TailEventsRequest { source_id: source_id.clone(), ..TailEventsRequest::default() };
        let mut masked = setup.sources("shop").tail_events(request.clone()).await.unwrap().into_inner();
        let channel = setup.tenant_channel("shop", &[scope::SOURCES_WRITE, scope::PROFILES_READ]);
        let only = TailEventsRequest { outcomes: vec![Duplicate.into()], ..request.clone() };
        let mut duplicates = SourceServiceClient::new(channel).tail_events(only).await.unwrap().into_inner();

        let bad = Event { identifiers: Vec::new(), ..event("m-2") };
        setup.collect(&source_id, vec![event("m-1"), event("m-1"), bad]).await;

        let mut seen: Vec<TailEventsResponse> = Vec::new();
        for _ in 0..3 {
            seen.push(next(&mut masked).await);
        }
        let told: Vec<Outcome> = seen.iter().map(|one| one.verdict.as_ref().unwrap().outcome()).collect();
        assert_eq!(told, [Accepted, Duplicate, Quarantined]);
        assert!(seen.iter().all(|one| one.event_name == "Wheel Spun" && one.skipped == 0));
        let shown = seen[0].event.as_ref().unwrap();
        assert_eq!((shown.identifiers[0].value.as_str(), shown.message_id.as_str()), ("***", ""));
        assert!(seen[2].event.is_none() && seen[2].verdict.as_ref().unwrap().reason == "IDENTIFIER_MISSING");
        let duplicate = next(&mut duplicates).await.event.unwrap();
        assert_eq!(duplicate.identifiers[0].value, "user of m-1");

        let theirs = setup.sources("rival").tail_events(request.clone()).await.unwrap_err();
        assert_eq!(reason(theirs), "SOURCE_NOT_FOUND");
        let strange = TailEventsRequest { outcomes: vec![77], ..request };
        assert_eq!(reason(setup.sources("shop").tail_events(strange).await.unwrap_err()), "INVALID_FIELDS");
    }
}

#[tokio::test]
async fn a_tail_that_is_not_read_slows_nothing_and_says_what_it_left_out() {
    let setup = both().await.remove(0);
    let source_id = setup.source().await;
    let request = TailEventsRequest { source_id: source_id.clone(), max_per_second: 1, ..TailEventsRequest::default() };
    let mut tail = setup.sources("shop").tail_events(request).await.unwrap().into_inner();

    // Nobody reads meanwhile.
    for batch in 0..40 {
        let events = (0..100).map(|number| event(&format!("m-{batch}-{number}"))).collect();
        setup.collect(&source_id, events).await;
    }
    let mut left_out = 0;
    for number in 0..1_000 {
        setup.collect(&source_id, vec![event(&format!("n-{number}"))]).await;
        if let Ok(shown) = tokio::time::timeout(Duration::from_millis(50), tail.message()).await {
            left_out += shown.unwrap().expect("the tail goes on").skipped;
        }
        if left_out >= 3_000 {
            return;
        }
    }
    panic!("only {left_out} of 4,000 were said to be left out");
}

#[tokio::test]
async fn sources_are_counted_by_what_became_of_their_events() {
    for setup in both().await {
        let source_id = setup.source().await;
        let mut late = event("m-2");
        let seconds = setup.clock.now().timestamp() - 7_200;
        late.event_time = Some(prost_types::Timestamp { seconds, nanos: 0 });
        let mut machine = event("m-3");
        let context = proto::event::v1::Context { user_agent: "Googlebot/2.1".into(), ..Default::default() };
        machine.context = Some(context);
        let bad = Event { identifiers: Vec::new(), ..event("m-4") };
        setup.collect(&source_id, vec![event("m-1"), event("m-1"), late, machine, bad]).await;

        let request = SummarizeEventsRequest { source_id: source_id.clone() };
        let counts = setup.ingestion("shop").summarize_events(request).await.unwrap().into_inner().sources.remove(0);
        let told = [counts.accepted, counts.duplicate, counts.quarantined, counts.bot, counts.late, counts.invalid];
        assert_eq!(told, [3, 1, 1, 1, 1, 1]);
        let metrics = setup.metrics.render();
        for outcome in ["accepted", "duplicate", "quarantined", "bot", "late", "invalid"] {
            let series = format!(r#"source_events_total{{source="{source_id}",outcome="{outcome}"}}"#);
            assert!(metrics.contains(&series), "{series}");
        }
    }
}

use futures::StreamExt;
use proto::event::v1::Event;
use proto::ingestion::v1::verdict::Outcome::{Accepted, Duplicate};
use proto::ingestion::v1::{CollectRequest, CollectStreamRequest};
use proto::r#type::v1::Identifier;

use crate::harness::{both, event, outcomes, reason};

fn batch(source_id: &str, sequence: u64) -> CollectStreamRequest {
    let events = (0..10).map(|number| event(&format!("m-{sequence}-{number}"))).collect();
    CollectStreamRequest { sequence, batch: Some(CollectRequest { events, source_id: source_id.into() }) }
}

#[tokio::test]
async fn batches_are_acknowledged_in_order_and_may_be_sent_again() {
    for setup in both().await {
        let source_id = setup.source().await;

        for expected in [Accepted, Duplicate] {
            let batches: Vec<_> = (0..50).map(|sequence| batch(&source_id, sequence)).collect();
            let answer = setup.ingestion("shop").collect_stream(futures::stream::iter(batches)).await.unwrap();
            let acknowledged: Vec<_> = answer.into_inner().map(Result::unwrap).collect().await;

            let sequences: Vec<u64> = acknowledged.iter().map(|one| one.sequence).collect();
            assert_eq!(sequences, (0..50).collect::<Vec<_>>());
            let verdicts = acknowledged.into_iter().flat_map(|one| one.result.unwrap().verdicts).collect::<Vec<_>>();
            assert!(outcomes(&verdicts).iter().all(|outcome| *outcome == expected));
        }
        assert_eq!(setup.logged("shop").await.len(), 500);
    }
}

#[tokio::test]
async fn a_bad_batch_ends_the_stream_after_the_good_ones_before_it() {
    for setup in both().await {
        let source_id = setup.source().await;
        let batches = vec![batch(&source_id, 1), batch("nobody's", 2), batch(&source_id, 3)];

        let answer = setup.ingestion("shop").collect_stream(futures::stream::iter(batches)).await.unwrap();
        let mut acknowledged = answer.into_inner();

        assert_eq!(acknowledged.next().await.unwrap().unwrap().sequence, 1);
        assert_eq!(reason(acknowledged.next().await.unwrap().unwrap_err()), "SOURCE_NOT_FOUND");
        assert!(acknowledged.next().await.is_none());
    }
}

/// A batch of one person's events, numbered on.
fn of_one_person(source_id: &str, sequence: u64, numbers: std::ops::Range<u64>) -> CollectStreamRequest {
    let person = vec![Identifier { kind: "user_id".into(), value: "u".into() }];
    let event = |number| Event { identifiers: person.clone(), ..event(&format!("m-{number:05}")) };
    let batch = CollectRequest { events: numbers.map(event).collect(), source_id: source_id.into() };
    CollectStreamRequest { sequence, batch: Some(batch) }
}

fn message_ids(events: &[Event]) -> Vec<&str> {
    events.iter().map(|event| event.message_id.as_str()).collect()
}

#[tokio::test]
async fn a_small_batch_does_not_overtake_a_large_one() {
    for setup in both().await {
        let source_id = setup.source().await;
        // Reading a large batch lets others run; the small ones are read at once.
        let batches: Vec<_> = (0..12)
            .map(|sequence| {
                let length = if sequence % 3 == 0 { 700 } else { 1 };
                of_one_person(&source_id, sequence, sequence * 1_000..sequence * 1_000 + length)
            })
            .collect();

        let answer = setup.ingestion("shop").collect_stream(futures::stream::iter(batches)).await.unwrap();
        assert_eq!(answer.into_inner().map(Result::unwrap).count().await, 12);

        let logged = setup.logged("shop").await;
        assert_eq!(logged.len(), 4 * 700 + 8);
        assert!(message_ids(&logged).is_sorted());
    }
}

#[tokio::test]
async fn nothing_behind_a_bad_batch_is_taken() {
    for setup in both().await {
        let source_id = setup.source().await;
        let mut batches: Vec<_> =
            (0..6).map(|sequence| of_one_person(&source_id, sequence, sequence..sequence + 1)).collect();
        batches[2].batch = None;

        let answer = setup.ingestion("shop").collect_stream(futures::stream::iter(batches)).await.unwrap();
        let told: Vec<_> = answer.into_inner().collect().await;

        assert_eq!(told.iter().filter(|one| one.is_ok()).count(), 2);
        assert_eq!(reason(told.into_iter().last().unwrap().unwrap_err()), "INVALID_FIELDS");
        assert_eq!(message_ids(&setup.logged("shop").await), ["m-00000", "m-00001"]);
    }
}

#[tokio::test]
async fn a_broken_stream_goes_on_from_the_first_batch_that_was_not_acknowledged() {
    for setup in both().await {
        let source_id = setup.source().await;
        let batch = |sequence: u64| of_one_person(&source_id, sequence, sequence * 10..sequence * 10 + 10);

        let all: Vec<_> = (0..40).map(batch).collect();
        let answer = setup.ingestion("shop").collect_stream(futures::stream::iter(all)).await.unwrap();
        let mut acknowledged = answer.into_inner();
        let mut next = 0;
        while next < 3 {
            next = acknowledged.next().await.unwrap().unwrap().sequence + 1;
        }
        drop(acknowledged);
        let rest: Vec<_> = (next..40).map(batch).collect();
        let answer = setup.ingestion("shop").collect_stream(futures::stream::iter(rest)).await.unwrap();
        let told: Vec<_> = answer.into_inner().map(Result::unwrap).collect().await;

        assert_eq!(told.iter().map(|one| one.sequence).collect::<Vec<_>>(), (next..40).collect::<Vec<_>>());
        let verdicts: Vec<_> = told.into_iter().flat_map(|one| one.result.unwrap().verdicts).collect();
        let outcomes = outcomes(&verdicts);
        let known = outcomes.iter().take_while(|outcome| **outcome == Duplicate).count();
        assert!(outcomes[known..].iter().all(|outcome| *outcome == Accepted), "what had come in is a beginning");
        let logged = setup.logged("shop").await;
        assert_eq!(logged.len(), 400);
        assert!(message_ids(&logged).is_sorted());
    }
}

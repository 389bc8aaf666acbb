use futures::StreamExt;
use proto::ingestion::v1::verdict::Outcome::{Accepted, Duplicate};
use proto::ingestion::v1::{CollectRequest, CollectStreamRequest};

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

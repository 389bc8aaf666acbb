use prost::Message;
use proto::event::v1::Event;
use proto::ingestion::v1::replay_dead_letters_request::Item;
use proto::ingestion::v1::verdict::Outcome::{Accepted, Duplicate, Quarantined};
use proto::ingestion::v1::{
    DeadLetter, DeadLetterFilter, DiscardDeadLettersRequest, ListDeadLettersRequest, ReplayDeadLettersRequest, Verdict,
    dead_letter::Encoding,
};
use proto::r#type::v1::Identifier;

use crate::harness::{Setup, both, event, outcomes, reason};

async fn list(setup: &Setup, tenant: &str) -> Vec<DeadLetter> {
    let request = ListDeadLettersRequest::default();
    setup.dead_letters(tenant).list_dead_letters(request).await.unwrap().into_inner().dead_letters
}

async fn replay(setup: &Setup, tenant: &str, items: Vec<(&str, Vec<u8>)>) -> Vec<Verdict> {
    let items =
        items.into_iter().map(|(id, payload)| Item { dead_letter_id: id.into(), payload: payload.into() }).collect();
    let request = ReplayDeadLettersRequest { items };
    setup.dead_letters(tenant).replay_dead_letters(request).await.unwrap().into_inner().verdicts
}

#[tokio::test]
async fn a_mended_letter_is_replayed_once() {
    for setup in both().await {
        setup.source().await;
        let body = r#"{"batch":[{"type":"track","event":"Order Completed","userId":"u","properties":{"order_id":"o","total":"9,99"}}],
            "context":{"library":{"name":"analytics-node","version":"3.1.0"}},"sentAt":"2025-06-01T12:00:00Z"}"#;
        let verdict = setup.post("batch", body).await.verdicts.remove(0);
        let letter = list(&setup, "shop").await.remove(0);
        assert_eq!(
            (letter.dead_letter_id.as_str(), letter.reason.as_str()),
            (verdict.dead_letter_id.as_str(), "AMOUNT_INVALID")
        );
        assert_eq!((letter.encoding(), letter.library.as_str()), (Encoding::SegmentJson, "analytics-node/3.1.0"));

        let unmended = replay(&setup, "shop", vec![(&letter.dead_letter_id, Vec::new())]).await;
        assert_eq!(outcomes(&unmended), [Quarantined]);
        let mended = String::from_utf8(letter.payload.to_vec()).unwrap().replace("9,99", "9.99").into_bytes();
        let id = letter.dead_letter_id.as_str();
        let verdicts =
            replay(&setup, "shop", vec![(id, mended.clone()), (id, mended.clone()), ("none", Vec::new())]).await;
        let again = replay(&setup, "shop", vec![(id, mended)]).await;

        assert_eq!(outcomes(&verdicts), [Accepted, Duplicate, Duplicate]);
        assert_eq!((outcomes(&again), again[0].reason.as_str()), (vec![Duplicate], "DEAD_LETTER_NOT_FOUND"));
        assert!(list(&setup, "shop").await.is_empty());
        let logged = setup.logged("shop").await;
        assert_eq!(logged.len(), 1);
        assert_eq!(logged[0].provenance.as_ref().unwrap().library, "analytics-node/3.1.0");
    }
}

#[tokio::test]
async fn a_typed_letter_keeps_what_came() {
    for setup in both().await {
        let source_id = setup.source().await;
        let bad = Event { identifiers: Vec::new(), ..event("m-1") };
        setup.collect(&source_id, vec![bad.clone()]).await;

        let letter = list(&setup, "shop").await.remove(0);
        assert_eq!(Event::decode(&letter.payload[..]).unwrap(), bad);
        let verdicts = replay(&setup, "shop", vec![(&letter.dead_letter_id, event("m-1").encode_to_vec())]).await;

        assert_eq!(outcomes(&verdicts), [Accepted]);
        let broken = replay(&setup, "shop", vec![(&letter.dead_letter_id, b"\xff".to_vec())]).await;
        assert_eq!(outcomes(&broken), [Duplicate], "it is gone");
        let identifier = |number| Identifier { kind: "user_id".into(), value: format!("u-{number}") };
        let crowded = Event { identifiers: (0..30).map(identifier).collect(), ..event("m-2") };
        setup.collect(&source_id, vec![crowded.clone()]).await;
        let letter = list(&setup, "shop").await.remove(0);
        assert_eq!(Event::decode(&letter.payload[..]).unwrap().identifiers, crowded.identifiers, "all of them");
    }
}

#[tokio::test]
async fn a_replay_that_does_not_help_keeps_the_letter_with_its_new_reason() {
    for setup in both().await {
        setup.source().await;
        setup.post("t", r#"{"userId":"u"}"#).await;
        let letter = list(&setup, "shop").await.remove(0);

        for (payload, reason) in [("nonsense", "MALFORMED"), (r#"{"type":"track","event":"x"}"#, "IDENTIFIER_MISSING")]
        {
            let verdicts = replay(&setup, "shop", vec![(&letter.dead_letter_id, payload.into())]).await;
            assert_eq!((outcomes(&verdicts), verdicts[0].reason.as_str()), (vec![Quarantined], reason));
            let kept = list(&setup, "shop").await.remove(0);
            assert_eq!((kept.reason.as_str(), kept.payload), (reason, letter.payload.clone()));
        }
    }
}

#[tokio::test]
async fn letters_are_listed_newest_first_in_pages_and_by_filter() {
    for setup in both().await {
        let source_id = setup.source().await;
        for number in 0..5 {
            let bad = Event { identifiers: Vec::new(), ..event(&format!("m-{number}")) };
            setup.collect(&source_id, vec![bad]).await;
            setup.clock.advance(std::time::Duration::from_secs(1));
        }
        setup.collect(&source_id, vec![Event { body: None, ..event("m-9") }]).await;

        let mut request =
            ListDeadLettersRequest { page_size: 2, reason: "IDENTIFIER_MISSING".into(), ..Default::default() };
        let mut times = Vec::new();
        loop {
            let page = setup.dead_letters("shop").list_dead_letters(request.clone()).await.unwrap().into_inner();
            assert!(page.dead_letters.len() <= 2);
            times.extend(page.dead_letters.iter().map(|letter| letter.receive_time.unwrap().seconds));
            if page.next_page_token.is_empty() {
                break;
            }
            request.page_token = page.next_page_token;
        }

        assert_eq!(times.len(), 5);
        assert!(times.is_sorted_by(|one, next| one > next));
        request.page_token = "??".into();
        let refused = setup.dead_letters("shop").list_dead_letters(request).await.unwrap_err();
        assert_eq!(reason(refused), "INVALID_FIELDS");
    }
}

#[tokio::test]
async fn letters_of_another_tenant_are_not_there() {
    for setup in both().await {
        setup.source().await;
        setup.post("t", r#"{"userId":"u"}"#).await;
        let id = list(&setup, "shop").await.remove(0).dead_letter_id;
        let discard = |ids: Vec<String>| DiscardDeadLettersRequest { dead_letter_ids: ids, filter: None };

        assert!(list(&setup, "rival").await.is_empty());
        assert_eq!(replay(&setup, "rival", vec![(&id, Vec::new())]).await[0].reason, "DEAD_LETTER_NOT_FOUND");
        let theirs = setup.dead_letters("rival").discard_dead_letters(discard(vec![id.clone()])).await.unwrap();
        assert_eq!(theirs.into_inner().discarded, 0);
        let ours = setup
            .dead_letters("shop")
            .discard_dead_letters(discard(vec![id.clone(), id, "a\0b".into()]))
            .await
            .unwrap();
        assert_eq!(ours.into_inner().discarded, 1);
        assert!(setup.dead_letters("shop").discard_dead_letters(discard(Vec::new())).await.is_err());
    }
}

#[tokio::test]
async fn letters_that_pass_a_filter_are_discarded_in_portions() {
    for setup in both().await {
        let source_id = setup.source().await;
        let nobody = |number: usize| Event { identifiers: Vec::new(), ..event(&format!("m-{number}")) };
        setup.collect(&source_id, (0..600).map(nobody).collect()).await;
        setup.clock.advance(std::time::Duration::from_secs(1));
        setup.collect(&source_id, vec![nobody(600), Event { body: None, ..event("m-601") }]).await;
        let nameless = DeadLetterFilter { reason: "IDENTIFIER_MISSING".into(), ..DeadLetterFilter::default() };
        let discard = async |tenant: &str, ids: &[&str], filter: &DeadLetterFilter| {
            let dead_letter_ids = ids.iter().map(|id| (*id).to_owned()).collect();
            let request = DiscardDeadLettersRequest { dead_letter_ids, filter: Some(filter.clone()) };
            setup.dead_letters(tenant).discard_dead_letters(request).await.map(|told| told.into_inner().discarded)
        };

        assert_eq!(discard("rival", &[], &nameless).await.unwrap(), 0);
        assert_eq!(discard("shop", &[], &nameless).await.unwrap(), 500);
        let seconds: Vec<i64> =
            list(&setup, "shop").await.iter().map(|letter| letter.receive_time.unwrap().seconds).collect();
        assert!(seconds.first() > seconds.last(), "the oldest went");
        assert_eq!(discard("shop", &[], &nameless).await.unwrap(), 101);
        assert_eq!(discard("shop", &[], &nameless).await.unwrap(), 0);

        let left = list(&setup, "shop").await;
        assert_eq!(left.iter().map(|letter| letter.reason.as_str()).collect::<Vec<_>>(), ["BODY_MISSING"]);
        let long = DeadLetterFilter { text: "x".repeat(101), ..nameless.clone() };
        for (ids, filter) in [(&["a"][..], &nameless), (&[][..], &DeadLetterFilter::default()), (&[][..], &long)] {
            assert_eq!(reason(discard("shop", ids, filter).await.unwrap_err()), "INVALID_FIELDS");
        }
        let strange = DeadLetterFilter { event_name: "a\0b".into(), ..DeadLetterFilter::default() };
        assert_eq!(discard("shop", &[], &strange).await.unwrap(), 0);
    }
}

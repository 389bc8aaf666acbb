//! Many dead letters at once.

use std::time::Duration;

use comptoir_ingestion::{Config, MIGRATIONS};
use proto::event::v1::event::Body;
use proto::event::v1::{Event, OrderActivity, order_activity};
use proto::google::r#type::Money;
use proto::ingestion::v1::mend_edit::{Convert, Edit, Set, Type};
use proto::ingestion::v1::verdict::Outcome::{Accepted, Quarantined};
use proto::ingestion::v1::{
    DeadLetterFilter, ListDeadLettersRequest, MendDeadLettersRequest, MendDeadLettersResponse, MendEdit,
    SummarizeDeadLettersRequest, Verdict,
};

use crate::harness::{Setup, both, event, outcomes, reason};

async fn mend(setup: &Setup, request: MendDeadLettersRequest) -> MendDeadLettersResponse {
    setup.dead_letters("shop").mend_dead_letters(request).await.unwrap().into_inner()
}

fn verdicts(response: &MendDeadLettersResponse) -> Vec<Verdict> {
    response.mended.iter().map(|one| one.verdict.clone().unwrap()).collect()
}

async fn count(setup: &Setup, filter: DeadLetterFilter) -> usize {
    let request = ListDeadLettersRequest { filter: Some(filter), ..ListDeadLettersRequest::default() };
    setup.dead_letters("shop").list_dead_letters(request).await.unwrap().into_inner().dead_letters.len()
}

fn set(pointer: &str, value: &str) -> MendEdit {
    let set = Set { pointer: pointer.into(), value_json: value.to_owned().into_bytes().into() };
    MendEdit { edit: Some(Edit::Set(set)) }
}

fn order(number: usize, total: &str, library: &str) -> String {
    format!(
        r#"{{"type":"track","event":"Order Completed","userId":"u-{number}","messageId":"m-{number}","properties":{{"order_id":"o-{number}","total":"{total}"}},"context":{{"library":{{"name":"{library}","version":"1"}}}}}}"#
    )
}

#[tokio::test]
async fn a_rule_mends_all_that_it_is_for_page_by_page() {
    for setup in both().await {
        setup.source().await;
        for number in 0..7 {
            let library = if number < 5 { "old%sdk" } else { "new" };
            setup.post("track", order(number, "9.90 euros", library)).await;
            setup.clock.advance(Duration::from_secs(1));
        }
        setup.post("track", r#"{"event":"Nobody's","properties":{}}"#).await;
        let filter = DeadLetterFilter { library_prefix: "old%".into(), ..DeadLetterFilter::default() };
        let request = MendDeadLettersRequest {
            filter: Some(filter.clone()),
            edits: vec![
                set("/properties/total", r#""9,90""#),
                MendEdit {
                    edit: Some(Edit::Convert(Convert {
                        pointer: "/properties/total".into(),
                        r#type: Type::Number.into(),
                    })),
                },
            ],
            dry_run: true,
            page_size: 3,
            page_token: String::new(),
        };

        let told = mend(&setup, request.clone()).await;
        assert_eq!(outcomes(&verdicts(&told)), [Accepted; 3]);
        let shown: serde_json::Value = serde_json::from_slice(&told.mended[0].payload_json).unwrap();
        assert_eq!(shown["properties"], serde_json::json!({"order_id": "o-0", "total": 9.9}));
        assert_eq!(count(&setup, DeadLetterFilter::default()).await, 8, "a dry run changes nothing");
        assert!(setup.logged("shop").await.is_empty());

        let mut request = MendDeadLettersRequest { dry_run: false, ..request };
        let mut pages = Vec::new();
        loop {
            let page = mend(&setup, request.clone()).await;
            assert!(page.mended.iter().all(|one| one.changed && one.payload_json.is_empty()));
            pages.push(outcomes(&verdicts(&page)).len());
            if page.next_page_token.is_empty() {
                break;
            }
            request.page_token = page.next_page_token;
        }
        assert_eq!(pages, [3, 2]);
        assert_eq!((count(&setup, filter).await, count(&setup, DeadLetterFilter::default()).await), (0, 3));
        assert_eq!(setup.logged("shop").await.len(), 5);
        // Again, from the beginning: only those that are left.
        let rest = mend(&setup, MendDeadLettersRequest::default()).await;
        assert_eq!(outcomes(&verdicts(&rest)), [Quarantined; 3]);
        assert!(rest.mended.iter().all(|one| !one.changed));
    }
}

#[tokio::test]
async fn typed_events_are_mended_in_their_json_form() {
    for setup in both().await {
        let source_id = setup.source().await;
        let total = Money { currency_code: "EURO".into(), units: 9, nanos: 0 };
        let order = OrderActivity {
            action: order_activity::Action::Completed.into(),
            order_id: "o-1".into(),
            total: Some(total),
            ..OrderActivity::default()
        };
        let bad = Event {
            body: Some(Body::OrderActivity(order)),
            properties_json: r#"{"kept":1e400}"#.into(),
            ..event("m-1")
        };
        setup.collect(&source_id, vec![bad, Event { properties_json: "[1".into(), ..event("m-2") }]).await;
        let edits = vec![set("/orderActivity/total/currencyCode", r#""EUR""#), set("/properties/mended", "true")];
        let only = DeadLetterFilter { reason: "CURRENCY_UNKNOWN".into(), ..DeadLetterFilter::default() };

        let mended = mend(&setup, MendDeadLettersRequest { filter: Some(only), edits, ..Default::default() }).await;
        let broken = MendDeadLettersRequest { edits: vec![set("/properties", "{}")], ..Default::default() };
        let broken = mend(&setup, broken).await;

        assert_eq!(outcomes(&verdicts(&mended)), [Accepted]);
        assert_eq!(outcomes(&verdicts(&broken)), [Accepted]);
        let logged = setup.logged("shop").await;
        let order = logged.iter().find(|event| event.message_id == "m-1").unwrap();
        assert_eq!(order.properties_json, &br#"{"kept":1e400,"mended":true}"#[..]);
    }
}

#[tokio::test]
async fn letters_are_found_by_what_is_known_of_them() {
    for setup in both().await {
        let source_id = setup.source().await;
        setup.post("track", order(1, "x", "web")).await;
        setup.clock.advance(Duration::from_secs(10));
        let noon_10 = setup.clock.now().timestamp();
        setup.post("identify", r#"{"traits":{}}"#).await;
        setup
            .collect(&source_id, vec![Event { identifiers: Vec::new(), name: "Bell Rung".into(), ..event("m-9") }])
            .await;
        let at = |seconds| Some(prost_types::Timestamp { seconds, nanos: 0 });
        let any = DeadLetterFilter::default;

        for (filter, found) in [
            (any(), 3),
            (DeadLetterFilter { event_name: "Order Completed".into(), ..any() }, 1),
            (DeadLetterFilter { event_name: "Identified".into(), ..any() }, 1),
            (DeadLetterFilter { event_name: "Bell Rung".into(), ..any() }, 1),
            (DeadLetterFilter { library_prefix: "web/".into(), ..any() }, 1),
            (DeadLetterFilter { library_prefix: "eb".into(), ..any() }, 0),
            (DeadLetterFilter { library_prefix: "w_b".into(), ..any() }, 0),
            (DeadLetterFilter { reason: "IDENTIFIER_MISSING".into(), ..any() }, 2),
            (DeadLetterFilter { text: "TOTAL".into(), ..any() }, 1),
            (DeadLetterFilter { text: "%".into(), ..any() }, 0),
            (DeadLetterFilter { text: "a\0b".into(), ..any() }, 0),
            (DeadLetterFilter { from_time: at(noon_10), ..any() }, 2),
            (DeadLetterFilter { until_time: at(noon_10), ..any() }, 1),
            (DeadLetterFilter { source_id: "none".into(), ..any() }, 0),
        ] {
            assert_eq!(count(&setup, filter.clone()).await, found, "{filter:?}");
        }
        let long = DeadLetterFilter { text: "x".repeat(101), ..any() };
        let request = ListDeadLettersRequest { filter: Some(long), ..ListDeadLettersRequest::default() };
        let refused = setup.dead_letters("shop").list_dead_letters(request).await.unwrap_err();
        assert_eq!(reason(refused), "INVALID_FIELDS");
        let request = MendDeadLettersRequest { edits: vec![set("nowhere", "1")], ..Default::default() };
        let refused = setup.dead_letters("shop").mend_dead_letters(request).await.unwrap_err();
        assert_eq!(reason(refused), "INVALID_FIELDS");
        assert!(
            setup
                .dead_letters("rival")
                .mend_dead_letters(MendDeadLettersRequest::default())
                .await
                .unwrap()
                .into_inner()
                .mended
                .is_empty()
        );
    }
}

#[tokio::test]
async fn nothing_expires_without_a_count() {
    for db in store::testing::databases(&[&eventlog::MIGRATIONS, &MIGRATIONS]).await {
        let mut config = Config::default();
        config.collect.dead_letter_days = 30;
        let setup = Setup::new(db, &config).await;
        let source_id = setup.source().await;
        setup.post("track", order(1, "x", "web")).await;
        let listed = setup.dead_letters("shop").list_dead_letters(ListDeadLettersRequest::default()).await.unwrap();
        let expires = listed.into_inner().dead_letters.remove(0).expire_time.unwrap();
        assert_eq!(expires.seconds, setup.clock.now().timestamp() + 30 * 86_400);
        for number in 2..5 {
            setup.post("track", order(number, "x", "web")).await;
        }
        let request = SummarizeDeadLettersRequest { source_id: source_id.clone() };
        let waiting = setup.dead_letters("shop").summarize_dead_letters(request).await.unwrap().into_inner().waiting;
        assert_eq!((waiting[0].reason.as_str(), waiting[0].count, waiting[0].unread), ("AMOUNT_INVALID", 4, 3));

        setup.clock.advance(Duration::from_secs(31 * 86_400));
        setup.post("track", order(5, "x", "web")).await;
        setup.clock.advance(Duration::from_secs(60));
        setup.service.start();

        let shown = ["dead_letters 1", "unread_dead_letters 1", "oldest_dead_letter_seconds 60"];
        let expired = [r#"expired_dead_letters_total{read="no"} 3"#, r#"expired_dead_letters_total{read="yes"} 1"#];
        for told in shown.into_iter().chain(expired) {
            let told = format!("comptoir_ingestion_{told}");
            setup.eventually(&told, || setup.metrics.render().contains(&told)).await;
        }
        assert_eq!(count(&setup, DeadLetterFilter::default()).await, 1);
        assert!(setup.shutdown.drain(Duration::from_secs(10)).await);
    }
}

#[tokio::test]
async fn a_letter_that_no_edit_can_be_made_in_stays_as_it_was() {
    let setup = both().await.remove(0);
    setup.source().await;
    let nonsense = setup.post("batch", r#"{"batch":[7]}"#).await.verdicts;
    assert_eq!(outcomes(&nonsense), [Quarantined]);

    let mended = mend(&setup, MendDeadLettersRequest { edits: vec![set("/a", "1")], ..Default::default() }).await;

    assert_eq!((outcomes(&verdicts(&mended)), mended.mended[0].changed), (vec![Quarantined], false));
}

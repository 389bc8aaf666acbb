//! Tracking plans, as their callers see them.

use proto::event::v1::{Event, Provenance};
use proto::ingestion::v1::tracking_plan::{Mode, Rule};
use proto::ingestion::v1::verdict::Outcome::{Accepted, Duplicate, Quarantined};
use proto::ingestion::v1::{
    DeleteTrackingPlanRequest, DraftTrackingPlanRequest, GetTrackingPlanRequest, ListTrackingPlansRequest,
    ListViolationsRequest, MendDeadLettersRequest, PutTrackingPlanRequest, SummarizeEventsRequest, TrackingPlan,
    TryTrackingPlanRequest, Violation,
};

use crate::harness::{Setup, both, event, outcomes, reason};

const SCHEMA: &str = r#"{"required":["prize"],"properties":{"prize":{"type":"integer","minimum":1}}}"#;

fn plan(source_id: &str, schema: &str, mode: Mode) -> TrackingPlan {
    let rule = Rule { event_name: "Wheel Spun".into(), schema_json: schema.to_owned().into_bytes().into() };
    TrackingPlan { source_id: source_id.into(), mode: mode.into(), rules: vec![rule], ..TrackingPlan::default() }
}

async fn put(setup: &Setup, plan: TrackingPlan) -> TrackingPlan {
    let request = PutTrackingPlanRequest { plan: Some(plan), expected_version: 0 };
    setup.plans("shop").put_tracking_plan(request).await.unwrap().into_inner().plan.unwrap()
}

async fn violations(setup: &Setup, source_id: &str) -> Vec<Violation> {
    let request = ListViolationsRequest { source_id: source_id.into(), ..ListViolationsRequest::default() };
    setup.plans("shop").list_violations(request).await.unwrap().into_inner().violations
}

fn spun(message_id: &str, properties: &str) -> Event {
    Event {
        properties_json: properties.to_owned().into_bytes().into(),
        provenance: Some(Provenance { library: "till/1.0".into(), ..Provenance::default() }),
        ..event(message_id)
    }
}

#[tokio::test]
async fn what_breaks_a_plan_is_counted_or_kept_aside_and_replayed_once_the_plan_is_mended() {
    for setup in both().await {
        let source_id = setup.source().await;
        let before = setup.collect(&source_id, vec![spun("m-1", "{}")]).await;
        put(&setup, plan(&source_id, SCHEMA, Mode::Warn)).await;
        let warned = setup.collect(&source_id, vec![spun("m-2", "{}"), spun("m-3", r#"{"prize":0}"#)]).await;
        put(&setup, plan(&source_id, SCHEMA, Mode::Quarantine)).await;
        let body = r#"{"batch":[{"type":"track","event":"Wheel Spun","userId":"u","messageId":"m-4","properties":{"prize":0}},
            {"type":"track","event":"Wheel Spun","userId":"u","messageId":"m-5","properties":{"prize":3}},
            {"type":"track","event":"Other","userId":"u","messageId":"m-6"}],"context":{"library":{"name":"web","version":"2"}}}"#;
        let kept = setup.post("batch", body).await.verdicts;
        // A retry of what is kept aside counts nothing twice.
        let retried = setup.post("batch", body).await.verdicts;

        assert_eq!(outcomes(&before), [Accepted]);
        assert_eq!(outcomes(&warned), [Accepted, Accepted]);
        assert_eq!(outcomes(&kept), [Quarantined, Accepted, Accepted]);
        assert_eq!(outcomes(&retried), [Quarantined, Duplicate, Duplicate]);
        assert_eq!(
            (kept[0].reason.as_str(), kept[0].message.as_str()),
            ("PLAN_VIOLATED", "/prize breaks `minimum` of the tracking plan")
        );
        let told: Vec<_> = violations(&setup, &source_id)
            .await
            .into_iter()
            .map(|one| (one.field, one.rule, one.library, one.count))
            .collect();
        let told: Vec<_> = told.iter().map(|one| (one.0.as_str(), one.1.as_str(), one.2.as_str(), one.3)).collect();
        assert_eq!(
            told,
            [
                ("/prize", "minimum", "till/1.0", 1),
                ("/prize", "minimum", "web/2", 1),
                ("/prize", "required", "till/1.0", 1)
            ]
        );
        let request = SummarizeEventsRequest { source_id: source_id.clone() };
        let counts = setup.ingestion("shop").summarize_events(request).await.unwrap().into_inner().sources.remove(0);
        assert_eq!((counts.accepted, counts.quarantined, counts.off_plan, counts.invalid), (5, 1, 2, 0));

        put(&setup, plan(&source_id, r#"{"required":["prize"]}"#, Mode::Quarantine)).await;
        let mended = setup.dead_letters("shop").mend_dead_letters(MendDeadLettersRequest::default()).await.unwrap();
        let verdicts: Vec<_> = mended.into_inner().mended.into_iter().filter_map(|one| one.verdict).collect();
        assert_eq!(outcomes(&verdicts), [Accepted]);
        assert_eq!(setup.logged("shop").await.len(), 6);
    }
}

#[tokio::test]
async fn plans_are_kept_listed_and_removed() {
    for setup in both().await {
        let source_id = setup.source().await;
        let first = put(&setup, plan(&source_id, "{}", Mode::Warn)).await;
        let second = put(&setup, plan(&source_id, SCHEMA, Mode::Warn)).await;
        assert_eq!((first.version, second.version), (1, 2));

        let stale = PutTrackingPlanRequest { plan: Some(first), expected_version: 1 };
        let refused = setup.plans("shop").put_tracking_plan(stale).await.unwrap_err();
        assert_eq!(reason(refused), "PLAN_CHANGED");
        let get = GetTrackingPlanRequest { source_id: source_id.clone() };
        let kept = setup.plans("shop").get_tracking_plan(get.clone()).await.unwrap().into_inner().plan.unwrap();
        assert_eq!(kept, second);
        let list = ListTrackingPlansRequest::default();
        assert_eq!(setup.plans("shop").list_tracking_plans(list.clone()).await.unwrap().into_inner().plans, [kept]);
        assert!(setup.plans("rival").list_tracking_plans(list).await.unwrap().into_inner().plans.is_empty());
        assert!(setup.plans("rival").get_tracking_plan(get.clone()).await.is_err());

        setup.collect(&source_id, vec![spun("m-1", "{}")]).await;
        assert_eq!(violations(&setup, &source_id).await.len(), 1);
        let delete = DeleteTrackingPlanRequest { source_id: source_id.clone() };
        setup.plans("rival").delete_tracking_plan(delete.clone()).await.unwrap();
        assert!(setup.plans("shop").get_tracking_plan(get.clone()).await.is_ok(), "it is another tenant's");
        for _ in 0..2 {
            setup.plans("shop").delete_tracking_plan(delete.clone()).await.unwrap();
        }
        assert_eq!(reason(setup.plans("shop").get_tracking_plan(get).await.unwrap_err()), "PLAN_NOT_FOUND");
        assert!(violations(&setup, &source_id).await.is_empty());
        setup.collect(&source_id, vec![spun("m-2", "{}")]).await;
        assert!(violations(&setup, &source_id).await.is_empty());
    }
}

#[tokio::test]
async fn bad_plans_are_refused_whole() {
    let setup = both().await.remove(0);
    let source_id = setup.source().await;
    for (plan, told) in [
        (None, "INVALID_FIELDS"),
        (Some(plan(&source_id, "{", Mode::Warn)), "INVALID_FIELDS"),
        (Some(plan(&source_id, r#"{"$ref":"x"}"#, Mode::Warn)), "INVALID_FIELDS"),
        (Some(plan("none", "{}", Mode::Warn)), "SOURCE_NOT_FOUND"),
        (Some(plan("a\0b", "{}", Mode::Warn)), "SOURCE_NOT_FOUND"),
        (Some(TrackingPlan { mode: 77, ..plan(&source_id, "{}", Mode::Off) }), "INVALID_FIELDS"),
    ] {
        let request = PutTrackingPlanRequest { plan, expected_version: 0 };
        assert_eq!(reason(setup.plans("shop").put_tracking_plan(request).await.unwrap_err()), told);
    }
    let request = ListViolationsRequest { source_id, page_token: "e30".into(), ..ListViolationsRequest::default() };
    assert_eq!(reason(setup.plans("shop").list_violations(request).await.unwrap_err()), "INVALID_FIELDS");
}

#[tokio::test]
async fn a_plan_is_tried_and_drafted_from_what_was_sent() {
    for setup in both().await {
        let source_id = setup.source().await;
        let events = (0..300).map(|number| spun(&format!("m-{number}"), &format!(r#"{{"prize":{}}}"#, number % 4)));
        setup.collect(&source_id, events.collect()).await;
        let mut sources = setup.sources("shop");
        let other = sources.create_source(proto::ingestion::v1::CreateSourceRequest {
            source: Some(proto::ingestion::v1::Source { name: "till".into(), ..Default::default() }),
            ..Default::default()
        });
        let other = other.await.unwrap().into_inner().source.unwrap().source_id;
        setup.collect(&other, (0..50).map(|number| spun(&format!("o-{number}"), "{}")).collect()).await;

        let attempt = |plan, events| TryTrackingPlanRequest { plan: Some(plan), events };
        let request = attempt(plan(&source_id, SCHEMA, Mode::Off), 0);
        let tried = setup.plans("shop").try_tracking_plan(request).await.unwrap().into_inner();
        assert_eq!((tried.checked, tried.violating, tried.unplanned), (300, 75, 0));
        assert_eq!((tried.violations[0].field.as_str(), tried.violations[0].count), ("/prize", 75));
        let unplanned =
            TrackingPlan { rules: plan(&source_id, "{}", Mode::Off).rules, ..plan(&other, "{}", Mode::Off) };
        let unplanned =
            TrackingPlan { rules: vec![Rule { event_name: "Else".into(), ..unplanned.rules[0].clone() }], ..unplanned };
        let tried = setup.plans("shop").try_tracking_plan(attempt(unplanned, 20)).await.unwrap().into_inner();
        assert_eq!((tried.checked, tried.violating, tried.unplanned), (20, 0, 20));
        let missing = attempt(TrackingPlan { source_id: source_id.clone(), ..TrackingPlan::default() }, 0);
        assert_eq!(reason(setup.plans("shop").try_tracking_plan(missing).await.unwrap_err()), "PLAN_NOT_FOUND");

        let request = DraftTrackingPlanRequest { source_id: source_id.clone(), events: 0 };
        let drafted = setup.plans("shop").draft_tracking_plan(request).await.unwrap().into_inner();
        assert_eq!((drafted.seen[0].count, drafted.seen[0].fields[0].present_milli), (300, 1_000));
        let put_back = put(&setup, TrackingPlan { mode: Mode::Quarantine.into(), ..drafted.plan.unwrap() }).await;
        assert_eq!(put_back.version, 1);
        let verdicts = setup.collect(&source_id, vec![spun("n-1", r#"{"prize":2}"#), spun("n-2", r#"{"prize":"x"}"#)]);
        assert_eq!(outcomes(&verdicts.await), [Accepted, Quarantined]);
    }
}

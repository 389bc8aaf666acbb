//! Segments on both engines: rules, time alone, cuts, and how the RPCs answer.

mod shop;

use std::time::Duration;

use kit::Kind;
use proto::scoring::v1::{
    DeleteSegmentRequest, ListSegmentMembersRequest, ListSegmentsRequest, PutSegmentRequest, Segment,
    TestSegmentRequest,
};
use shop::{DAY, START, Shop, at, engines, updated};

#[tokio::test]
async fn time_alone_moves_people_at_the_very_instant() {
    for db in engines().await {
        let mut shop = Shop::open(&db).await;
        let order = shop.order(at(START), "o1", 10);
        shop.tell(vec![("ann", order)]).await;
        shop.put("slipping", "stats.days_since_last_order >= 30 && stats.days_since_last_order < 60").await;

        shop.clock.advance(29 * DAY + Duration::from_secs(86_399));
        shop.judged().await;
        assert_eq!(shop.members("slipping").await, Vec::<String>::new());
        shop.clock.advance(Duration::from_secs(1));
        shop.judged().await;
        assert_eq!(shop.members("slipping").await, ["ann"]);
        assert_eq!(shop.get("ann").await.segment_ids, ["slipping"]);
        shop.clock.advance(90 * DAY);
        shop.judged().await;

        assert_eq!(shop.members("slipping").await, Vec::<String>::new());
        assert_eq!(shop.told().await, ["ann +slipping 2025-07-01 12:00", "ann -slipping 2025-07-31 12:00"]);
        shop.close().await;
    }
}

#[tokio::test]
async fn a_time_that_passed_counts_before_what_comes_next() {
    for db in engines().await {
        let mut shop = Shop::open(&db).await;
        shop.put("quiet", "stats.days_since_last_order >= 30").await;
        let order = shop.order(at(START), "o1", 10);
        shop.tell(vec![("ann", order)]).await;

        shop.clock.advance(40 * DAY);
        let again = shop.order(shop.clock.now_us(), "o2", 10);
        shop.tell(vec![("ann", again)]).await;

        assert_eq!(shop.told().await, ["ann +quiet 2025-07-01 12:00", "ann -quiet 2025-07-11 12:00"]);
        shop.close().await;
    }
}

#[tokio::test]
async fn an_order_that_is_told_again_with_an_earlier_time_draws_the_stay_back() {
    for db in engines().await {
        let mut shop = Shop::open(&db).await;
        shop.put("buyers", "stats.order_count >= 1").await;
        let (browser, server) = (at(START), at(START) - 120_000_000);
        for time_us in [browser, server, browser] {
            let order = shop.order(time_us, "o1", 10);
            shop.tell(vec![("ann", order)]).await;
        }

        assert_eq!(
            shop.told().await,
            ["ann +buyers 2025-06-01 12:00", "ann +buyers 2025-06-01 11:58 not 2025-06-01 12:00"]
        );
        let request = ListSegmentMembersRequest { segment_id: "buyers".into(), ..Default::default() };
        let members = shop.segments.list_segment_members(request).await.unwrap().into_inner().members;
        assert_eq!(members[0].enter_time.unwrap().seconds, server / 1_000_000);
        shop.close().await;
    }
}

#[tokio::test]
async fn a_late_order_draws_a_stay_back_to_the_order_that_decided() {
    for db in engines().await {
        let mut shop = Shop::open(&db).await;
        shop.put("twice", "stats.order_count >= 2").await;
        let hour = 3_600_000_000;
        for (hours, order_id) in [(5, "o5"), (4, "o4"), (1, "o1")] {
            let order = shop.order(at(START) - (6 - hours) * hour, order_id, 10);
            shop.tell(vec![("ann", order)]).await;
        }

        assert_eq!(
            shop.told().await,
            ["ann +twice 2025-06-01 11:00", "ann +twice 2025-06-01 10:00 not 2025-06-01 11:00"]
        );
        shop.close().await;
    }
}

#[tokio::test]
async fn a_changed_rule_judges_everyone_again_and_a_deleted_one_nobody() {
    for db in engines().await {
        let mut shop = Shop::open(&db).await;
        let names: Vec<String> = (0..1_300).map(|number| format!("p{number:04}")).collect();
        let mut records = Vec::new();
        for (number, name) in names.iter().enumerate() {
            records.push((name.as_str(), shop.order(at(START), name, number as i64 % 3)));
        }
        shop.tell(records).await;

        shop.put("big", "stats.net_value >= 1.0").await;
        assert_eq!(
            shop.segments.list_segments(ListSegmentsRequest::default()).await.unwrap().into_inner().segments[0]
                .member_count,
            866
        );
        shop.put("big", "stats.net_value >= 2.0").await;
        let listed = shop.segments.list_segments(ListSegmentsRequest::default()).await.unwrap().into_inner();
        assert_eq!((listed.segments[0].member_count, listed.segments[0].name.as_str()), (433, "BIG"));
        assert_eq!(shop.told().await.len(), 866 + 433);

        let delete = DeleteSegmentRequest { segment_id: "big".into() };
        shop.segments.delete_segment(delete.clone()).await.unwrap();
        shop.segments.delete_segment(delete).await.unwrap();
        shop.judged().await;
        assert_eq!(shop.told().await.len(), 866 + 433);
        assert!(shop.get("p0002").await.segment_ids.is_empty());

        shop.put("big", "stats.net_value >= 2.0").await;
        assert_eq!(shop.told().await.len(), 866 + 2 * 433);
        assert_eq!(shop.get("p0002").await.segment_ids, ["big"]);
        shop.close().await;
    }
}

#[tokio::test]
async fn a_rule_put_while_events_pour_in_misses_nobody() {
    for db in engines().await {
        let mut shop = Shop::open(&db).await;
        let names: Vec<String> = (0..600).map(|number| format!("p{number:04}")).collect();
        for round in 0..4 {
            let mut records = Vec::new();
            for name in &names {
                records.push((name.as_str(), shop.order(at(START), &format!("{name}-{round}"), 1)));
            }
            shop.publish(records).await;
            let expression = format!("stats.order_count >= {}", round % 2 + 1);
            let segment = Segment { segment_id: format!("s{round}"), expression, ..Default::default() };
            shop.segments.put_segment(PutSegmentRequest { segment: Some(segment) }).await.unwrap();
        }
        shop.folded().await;
        shop.judged().await;

        for round in 0..4 {
            assert_eq!(shop.members(&format!("s{round}")).await.len(), 100, "one page of segment s{round}");
        }
        let listed = shop.segments.list_segments(ListSegmentsRequest::default()).await.unwrap().into_inner();
        assert!(listed.segments.iter().all(|segment| segment.member_count == 600), "{listed:?}");
        assert_eq!(shop.told().await.len(), 4 * 600);
        shop.close().await;
    }
}

#[tokio::test]
async fn traits_consents_and_moved_cuts_are_followed() {
    for db in engines().await {
        let mut shop = Shop::open(&db).await;
        shop.put("lyon", "traits.city == 'Lyon' && consents['marketing:email']").await;
        shop.put("best", "rfm.segment == 'champions' || rfm.segment == 'new_customers'").await;
        shop.tell(vec![("ann", updated(&[("city", "Lyon")], &[("marketing", "email", true)]))]).await;
        assert_eq!(shop.members("lyon").await, ["ann"]);
        shop.tell(vec![("ann", updated(&[("city", "Lyon")], &[("marketing", "email", false)]))]).await;
        assert_eq!(shop.members("lyon").await, Vec::<String>::new());

        let names: Vec<String> = (0..20).map(|number| format!("p{number:02}")).collect();
        let mut records = Vec::new();
        for (number, name) in names.iter().enumerate() {
            let time_us = at(START) - 86_400_000_000 * number as i64;
            records.push((name.as_str(), shop.order(time_us, name, 10)));
        }
        shop.tell(records).await;
        shop.clock.advance(Duration::from_secs(5 * 60));

        let mut segments = shop.segments.clone();
        loop {
            let request = ListSegmentMembersRequest { segment_id: "best".into(), ..Default::default() };
            let members = segments.list_segment_members(request).await.unwrap().into_inner().members;
            let members: Vec<String> = members.into_iter().map(|member| member.profile_id).collect();
            if members == names[..4] {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        shop.close().await;
    }
}

#[tokio::test]
async fn a_test_shows_values_and_the_next_change() {
    for db in engines().await {
        let mut shop = Shop::open(&db).await;
        let order = shop.order(at(START), "o1", 10);
        shop.tell(vec![("ann", order), ("ann", updated(&[("city", "Lyon")], &[]))]).await;
        let expression = "traits.city == 'Lyon' && stats.days_since_last_order < 14".to_owned();

        let request = TestSegmentRequest { profile_id: "ann".into(), expression };
        let answer = shop.segments.test_segment(request).await.unwrap().into_inner();

        assert!(answer.matches);
        assert_eq!(answer.next_change_time.unwrap().seconds * 1_000_000, at("2025-06-15T12:00:00Z"));
        let seen: serde_json::Value = serde_json::from_slice(&answer.variables_json).unwrap();
        assert_eq!((&seen["stats"]["net_value"], &seen["traits"]["city"]), (&10.0.into(), &"Lyon".into()));
        assert_eq!(seen["rfm"]["segment"], "new_customers");
        shop.close().await;
    }
}

#[tokio::test]
async fn bad_requests_are_told_all_that_is_wrong() {
    let db = engines().await.remove(0);
    let mut shop = Shop::open(&db).await;
    let put = |segment_id: &str, name: &str, expression: &str| PutSegmentRequest {
        segment: Some(Segment {
            segment_id: segment_id.into(),
            name: name.into(),
            expression: expression.into(),
            ..Default::default()
        }),
    };

    let refused =
        shop.segments.put_segment(put("Big Spenders", &"x".repeat(101), "stats.orders > 1")).await.unwrap_err();
    let refused = kit::Error::from(refused);
    assert_eq!(refused.kind, Kind::InvalidArgument);
    let fields: Vec<&str> = refused.violations.iter().map(|violation| violation.field.as_str()).collect();
    assert_eq!(fields, ["segment.segment_id", "segment.name", "segment.expression"]);
    assert!(refused.violations[2].description.contains("unknown field stats.orders"));
    assert!(refused.violations[2].description.contains("line 1, column"));

    let empty = shop.segments.put_segment(PutSegmentRequest::default()).await.unwrap_err();
    assert_eq!(kit::Error::from(empty).violations.len(), 2);
    let request = ListSegmentMembersRequest { segment_id: "none".into(), page_size: 0, ..Default::default() };
    let missing = shop.segments.list_segment_members(request).await.unwrap_err();
    assert_eq!(kit::Error::from(missing).reason, "SEGMENT_NOT_FOUND");
    let request = ListSegmentMembersRequest { segment_id: "none".into(), page_size: -1, ..Default::default() };
    let negative = shop.segments.list_segment_members(request).await.unwrap_err();
    assert_eq!(kit::Error::from(negative).kind, Kind::InvalidArgument);
    let request = TestSegmentRequest { profile_id: "nobody".into(), expression: "true".into() };
    let nobody = shop.segments.test_segment(request).await.unwrap_err();
    assert_eq!(kit::Error::from(nobody).reason, "PROFILE_NOT_FOUND");
    shop.close().await;
}

//! The follower on both engines: orders, merges, splits, erasures, damage.

mod shop;

use kit::Kind;
use proto::event::v1::order_activity::Action;
use proto::identity::v1::profile_record::Body;
use proto::scoring::v1::{GetScoresRequest, SummarizeOrdersRequest};
use shop::{Shop, at, engines, erased, merged, ordered, split, updated};

const JUNE: &str = "2025-06-01T10:00:00Z";

#[tokio::test]
async fn an_order_counts_once_and_refunds_net_it() {
    for db in engines().await {
        let mut shop = Shop::open(&db).await;
        let june = at(JUNE);
        let records = vec![
            ("ann", shop.order(june, "o1", 100)),
            ("ann", shop.order(june + 5, "o1", 100)),
            ("ann", shop.order(june + 9, "o2", 50)),
            ("ann", shop.event(june + 10, ordered(Action::Refunded, "r1", "o1", Some(30)))),
            ("ann", shop.event(june + 11, ordered(Action::Cancelled, "o2", "", None))),
            ("ann", shop.view(june - 7)),
            ("bob", shop.event(june, ordered(Action::Cancelled, "C489449", "", Some(20)))),
        ];
        shop.tell(records).await;

        let ann = shop.get("ann").await;
        let bob = shop.get("bob").await;
        let sums = shop.scores.summarize_orders(SummarizeOrdersRequest {}).await.unwrap().into_inner();

        let stats = ann.statistics.unwrap();
        assert_eq!((stats.order_count, stats.event_count, stats.product_view_count), (1, 6, 1));
        assert_eq!(stats.net_values[0].units, 70);
        assert_eq!(stats.refunded_values[0].units, 80);
        assert_eq!(stats.first_order_time, stats.last_order_time);
        assert_eq!(ann.rfm.unwrap().recency, 5);
        assert!(ann.explanation.contains("1 order (frequency 1"), "{}", ann.explanation);
        assert_eq!((bob.rfm, bob.statistics.unwrap().net_values[0].units), (None, -20));
        assert_eq!((sums.order_count, sums.buyer_count, sums.countries.len()), (1, 1, 1));
        assert_eq!(sums.countries[0].net_value.as_ref().unwrap().units, 50);
        assert_eq!(sums.countries[0].refunded_value.as_ref().unwrap().units, 100);
        shop.close().await;
    }
}

#[tokio::test]
async fn a_merge_by_restatement_equals_one_person_all_along() {
    for db in engines().await {
        let mut shop = Shop::open(&db).await;
        shop.put("twice", "stats.order_count >= 2").await;
        let june = at(JUNE);
        let tills = shop.bare_event(june, ordered(Action::Completed, "o1", "", Some(100)));
        let site = shop.bare_event(june + 1, ordered(Action::Completed, "o2", "", Some(40)));
        let again = shop.bare_event(june + 2, ordered(Action::Completed, "o1", "", Some(100)));
        let all = [tills, site, again];
        let live = |event: &proto::event::v1::Event| Shop::wrapped(event.clone(), false);
        let restated = |event: &proto::event::v1::Event| Shop::wrapped(event.clone(), true);
        shop.tell(vec![("a", live(&all[0])), ("b", live(&all[1])), ("b", live(&all[2]))]).await;
        shop.tell(all.iter().map(|event| ("one", live(event))).collect()).await;
        let before = shop.scores.summarize_orders(SummarizeOrdersRequest {}).await.unwrap().into_inner();
        assert_eq!((before.order_count, before.buyer_count), (2, 3));

        let merge = vec![
            ("b", merged("a", &["b"])),
            ("a", merged("a", &["b"])),
            ("a", restated(&all[1])),
            ("a", restated(&all[2])),
            ("a", updated(&[("city", "Lyon")], &[])),
        ];
        shop.tell(merge).await;

        let (a, one) = (shop.get("a").await, shop.get("one").await);
        assert_eq!(a.statistics, one.statistics);
        assert_eq!(a.segment_ids, ["twice"]);
        let gone = shop.scores.get_scores(GetScoresRequest { profile_id: "b".into() }).await.unwrap_err();
        assert_eq!(kit::Error::from(gone).kind, Kind::NotFound);
        assert_eq!(shop.members("twice").await, ["a", "one"]);
        assert_eq!(
            shop.told().await,
            [
                "a +twice 2025-06-01 10:00 restated",
                "b +twice 2025-06-01 10:00",
                "b -twice 2025-06-01 12:00",
                "one +twice 2025-06-01 10:00",
            ]
        );
        shop.close().await;
    }
}

#[tokio::test]
async fn a_split_and_an_erasure_leave_what_they_should() {
    for db in engines().await {
        let mut shop = Shop::open(&db).await;
        shop.put("buyers", "stats.order_count >= 1").await;
        let june = at(JUNE);
        let mine = shop.bare_event(june, ordered(Action::Completed, "o1", "", Some(100)));
        let theirs = shop.bare_event(june, ordered(Action::Completed, "o2", "", Some(40)));
        shop.tell(vec![("s", Shop::wrapped(mine.clone(), false)), ("s", Shop::wrapped(theirs.clone(), false))]).await;

        let parts = vec![
            ("s", split("s", &["t"])),
            ("s", Shop::wrapped(mine, true)),
            ("t", Shop::wrapped(theirs, true)),
            ("t", updated(&[("city", "Lyon")], &[])),
        ];
        shop.tell(parts).await;

        assert_eq!(shop.get("s").await.statistics.unwrap().net_values[0].units, 100);
        assert_eq!(shop.get("t").await.statistics.unwrap().net_values[0].units, 40);
        assert_eq!(shop.members("buyers").await, ["s", "t"]);

        shop.tell(vec![("s", erased()), ("t", erased())]).await;

        assert_eq!(shop.members("buyers").await, Vec::<String>::new());
        assert_eq!(
            shop.told().await,
            [
                "s +buyers 2025-06-01 10:00",
                "s -buyers 2025-06-01 12:00",
                "s +buyers 2025-06-01 10:00 restated",
                "s -buyers 2025-06-01 12:00",
                "t +buyers 2025-06-01 10:00 restated",
                "t -buyers 2025-06-01 12:00",
            ]
        );
        for table in ["profiles", "orders", "buyers", "memberships"] {
            let query = format!("SELECT COUNT(*) FROM {table}");
            let rows: i64 = store::on!(*db, pool => {
                sqlx::query_scalar(sqlx::AssertSqlSafe(query.clone())).fetch_one(pool).await
            })
            .unwrap();
            assert_eq!(rows, 0, "{table}");
        }
        shop.close().await;
    }
}

#[tokio::test]
async fn what_cannot_be_read_is_set_aside_and_the_rest_goes_on() {
    for db in engines().await {
        let mut shop = Shop::open(&db).await;
        let broken = proto::identity::v1::ProfileEvent { event: vec![0xff; 9].into(), restated: false };
        let order = shop.order(at(JUNE), "o1", 10);

        shop.tell(vec![("ann", Body::Event(broken)), ("", updated(&[], &[])), ("ann", order)]).await;

        assert_eq!(shop.get("ann").await.statistics.unwrap().order_count, 1);
        let letters = eventlog::dead_letters(&shop.db, &shop.tenant, None, 10).await.unwrap();
        let mut reasons: Vec<String> = letters.into_iter().map(|letter| letter.reason).collect();
        reasons.sort();
        assert_eq!(reasons, ["holds something else than an Event", "names no profile"]);
        shop.close().await;
    }
}

#[tokio::test]
async fn two_replicas_share_the_work_and_lose_nothing() {
    for db in engines().await {
        let mut one = Shop::open(&db).await;
        let other = Shop::open_at(db.handle(), one.clock.clone()).await;
        one.put("twice", "stats.order_count >= 2").await;
        let june = at(JUNE);
        let names: Vec<String> = (0..40).map(|number| format!("p{number:02}")).collect();

        for round in 0..5 {
            let mut records = Vec::new();
            for name in &names {
                records.push((name.as_str(), one.order(june + round, &format!("{name}-{round}"), 10)));
            }
            one.publish(records).await;
        }
        let count = "SELECT COUNT(*) FROM profiles WHERE order_count = 5";
        let db = &one.db;
        one.until(|| async {
            let done: i64 = store::on!(db, pool => sqlx::query_scalar(count).fetch_one(pool).await).unwrap();
            done == 40
        })
        .await;

        assert_eq!(one.members("twice").await, names);
        assert_eq!(one.told().await.len(), 40);
        other.close().await;
        one.close().await;
    }
}

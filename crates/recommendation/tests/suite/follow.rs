//! Following the profile log.

use bytes::Bytes;
use eventlog::Record;
use kit::TenantId;
use proto::recommendation::v1::{RecommendRequest, RecommendResponse, Strategy};

use crate::harness::{
    Publisher, Replica, SHOP, cancelled, carted, databases, did, erased, ids, merged, ordered, product, told, viewed,
};

async fn on_page(replica: &Replica, product_id: &str) -> RecommendResponse {
    replica.recommend(RecommendRequest { product_ids: vec![product_id.into()], ..Default::default() }).await
}

async fn for_person(replica: &Replica, profile_id: &str) -> RecommendResponse {
    replica.recommend(RecommendRequest { profile_id: profile_id.into(), ..Default::default() }).await
}

fn reason_of<'r>(response: &'r RecommendResponse, product_id: &str) -> &'r str {
    let is_it = |id: &str| id == product_id;
    let item =
        response.items.iter().find(|item| item.product.as_ref().is_some_and(|product| is_it(&product.product_id)));
    &item.expect("the product is recommended").reason
}

async fn shop(publisher: &Publisher, db: store::Db) -> Replica {
    let replica = Replica::start(db, publisher).await;
    replica.upsert(["a", "b", "c", "d"].map(|id| product(id, "Home")).into()).await;
    replica
}

#[tokio::test]
async fn events_are_in_the_answers_once_folded() {
    for db in databases().await {
        let publisher = Publisher::start().await;
        let replica = shop(&publisher, db.handle()).await;
        assert_eq!(on_page(&replica, "a").await.items[0].strategy(), Strategy::Popular);

        let orders =
            (0..20).map(|number| did(&format!("person {number}"), number, ordered(&number.to_string(), &["a", "b"])));
        publisher.publish(SHOP, orders.chain([did("eve", 5, ordered("last", &["a", "c"]))]).collect()).await;
        replica.caught_up(&publisher).await;

        let answer = on_page(&replica, "a").await;
        assert_eq!(answer.items[0].strategy(), Strategy::BoughtTogether);
        assert_eq!(reason_of(&answer, "b"), "bought together with The a in 20 of 21 orders");
        assert_eq!(ids(&answer), ["b", "c", "d"]);
        replica.stop().await;
    }
}

#[tokio::test]
async fn an_order_told_twice_or_under_two_people_counts_once_and_a_cancelled_one_never() {
    for db in databases().await {
        let publisher = Publisher::start().await;
        let replica = shop(&publisher, db.handle()).await;

        let records = vec![
            did("ann", 10, ordered("1", &["a", "b"])),
            did("ann", 9, ordered("1", &["a", "b"])),
            did("bob", 8, ordered("1", &["a", "b"])),
            did("bob", 7, ordered("2", &["a", "c"])),
            did("bob", 6, cancelled("2")),
        ];
        for record in records {
            publisher.publish(SHOP, vec![record]).await;
            replica.caught_up(&publisher).await;
        }

        let answer = on_page(&replica, "a").await;
        assert_eq!(reason_of(&answer, "b"), "bought together with The a in 1 of 1 order");
        assert_eq!(reason_of(&answer, "c"), "in stock; not viewed or bought lately");
        replica.stop().await;
    }
}

#[tokio::test]
async fn a_merge_moves_what_was_bought_and_counts_nothing_again() {
    for db in databases().await {
        let publisher = Publisher::start().await;
        let replica = shop(&publisher, db.handle()).await;
        let bought = |profile_id, restated| told(profile_id, 10, ordered("1", &["a", "b"]), restated);

        publisher.publish(SHOP, vec![bought("bob", false), did("ann", 5, viewed("c"))]).await;
        replica.caught_up(&publisher).await;
        let merge = vec![merged("bob", "ann", "bob"), merged("ann", "ann", "bob"), bought("ann", true)];
        publisher.publish(SHOP, merge).await;
        replica.caught_up(&publisher).await;

        assert_eq!(ids(&for_person(&replica, "ann").await), ["c", "d"]);
        assert_eq!(ids(&for_person(&replica, "bob").await).len(), 4);
        let answer = on_page(&replica, "a").await;
        assert_eq!(reason_of(&answer, "b"), "bought together with The a in 1 of 1 order");
        replica.stop().await;
    }
}

#[tokio::test]
async fn an_erased_person_is_unknown_and_what_cannot_be_read_is_set_aside() {
    for db in databases().await {
        let publisher = Publisher::start().await;
        let replica = shop(&publisher, db.handle()).await;

        publisher.publish(SHOP, vec![did("ann", 10, ordered("1", &["a", "b"])), did("ann", 9, carted("c"))]).await;
        replica.caught_up(&publisher).await;
        assert_eq!(ids(&for_person(&replica, "ann").await), ["c", "d"]);
        let junk =
            Record { key: "ann".into(), payload: Bytes::from_static(&[0xff]), event_time_us: 1, traceparent: None };
        publisher.append(SHOP, vec![junk]).await;
        publisher.publish(SHOP, vec![erased("ann")]).await;
        replica.caught_up(&publisher).await;

        assert_eq!(ids(&for_person(&replica, "ann").await).len(), 4);
        let tenant = TenantId::try_from(SHOP).unwrap();
        let aside = eventlog::dead_letters(&db, &tenant, None, 10).await.unwrap();
        assert_eq!(aside.len(), 1);
        replica.stop().await;
    }
}

#[tokio::test]
async fn a_restarted_replica_and_one_that_only_serves_know_the_same() {
    for db in databases().await {
        let publisher = Publisher::start().await;
        let replica = shop(&publisher, db.handle()).await;
        let orders = |from: i64| {
            let order =
                move |number: i64| did(&format!("p{number}"), number, ordered(&number.to_string(), &["a", "b", "c"]));
            (from..from + 500).map(order).collect::<Vec<_>>()
        };
        publisher.publish(SHOP, orders(0)).await;
        replica.caught_up(&publisher).await;
        replica.stop().await;

        let serving = Replica::idle(db.handle(), &publisher).await;
        let halfway = on_page(&serving, "a").await;
        assert_eq!(reason_of(&halfway, "b"), "bought together with The a in 500 of 500 orders");
        let restarted = Replica::start(db.handle(), &publisher).await;
        publisher.publish(SHOP, orders(500)).await;
        restarted.caught_up(&publisher).await;

        let answer = on_page(&restarted, "a").await;
        assert_eq!(reason_of(&answer, "b"), "bought together with The a in 1000 of 1000 orders");
        let in_step = async {
            while on_page(&serving, "a").await != answer {
                tokio::task::yield_now().await;
            }
        };
        let patience = std::time::Duration::from_secs(10);
        tokio::time::timeout(patience, in_step).await.expect("what is committed is seen");
        restarted.stop().await;
    }
}

#[tokio::test]
async fn two_tenants_never_meet() {
    for db in databases().await {
        let publisher = Publisher::start().await;
        let replica = shop(&publisher, db.handle()).await;

        publisher.publish("rival", vec![did("ann", 10, ordered("1", &["a", "b"]))]).await;
        replica.caught_up(&publisher).await;

        let answer = for_person(&replica, "ann").await;
        assert_eq!(ids(&answer), ["a", "b", "c", "d"]);
        assert_eq!(reason_of(&answer, "a"), "in stock; nobody has viewed or bought it yet");
        let rival = replica.recommendation("rival").recommend(RecommendRequest::default()).await.unwrap();
        assert!(rival.get_ref().items.is_empty());
        replica.stop().await;
    }
}

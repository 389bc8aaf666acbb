//! Recommending, as callers see it.

use prost_types::Timestamp;
use proto::recommendation::v1::{Product, RecommendRequest, Strategy};
use tonic::Code;
use tonic_types::StatusExt;

use crate::harness::{
    Publisher, Replica, SHOP, answered, databases, did, ids, now, ordered, product, refunded, viewed,
};
use proto::r#type::v1::ConsentState;

async fn shop(publisher: &Publisher, db: store::Db) -> Replica {
    let replica = Replica::start(db, publisher).await;
    replica
        .upsert(vec![
            product("candle", "Home/Candles"),
            product("holder", "Home/Candles"),
            Product { stock: Some(0), ..product("gone", "Home") },
            product("mug", "Kitchen"),
        ])
        .await;
    publisher
        .publish(
            SHOP,
            vec![
                did("ann", 60, ordered("1", &["candle", "holder", "gone"])),
                did("bob", 50, ordered("2", &["mug"])),
                did("cec", 20, viewed("candle")),
            ],
        )
        .await;
    replica.caught_up(publisher).await;
    replica
}

fn removed(response: &proto::recommendation::v1::RecommendResponse, rule: &str) -> Option<u32> {
    response.rule_effects.iter().find(|effect| effect.rule == rule).map(|effect| effect.removed)
}

#[tokio::test]
async fn rules_hold_and_their_effects_are_counted() {
    for db in databases().await {
        let publisher = Publisher::start().await;
        let replica = shop(&publisher, db.handle()).await;
        let for_cec = || RecommendRequest { profile_id: "cec".into(), ..Default::default() };

        let page =
            replica.recommend(RecommendRequest { product_ids: vec!["candle".into()], ..Default::default() }).await;
        let kitchen =
            replica.recommend(RecommendRequest { include_categories: vec!["Kitchen/".into()], ..for_cec() }).await;
        let not_kitchen =
            replica.recommend(RecommendRequest { exclude_categories: vec!["Kitchen".into()], ..for_cec() }).await;
        let one = replica.recommend(RecommendRequest { limit: 1, ..for_cec() }).await;

        assert_eq!(ids(&page), ["holder", "mug"]);
        assert_eq!(page.items[0].because_product_ids, ["candle"]);
        assert_eq!((removed(&page, "in_stock"), removed(&page, "not_in_request")), (Some(1), Some(1)));
        assert_eq!((removed(&page, "include_categories"), removed(&page, "not_bought")), (None, Some(0)));
        assert_eq!(ids(&kitchen), ["mug"]);
        assert_eq!(ids(&not_kitchen), ["holder", "candle"]);
        assert_eq!(one.items.len(), 1);
        assert_eq!(one.items[0].strategy(), Strategy::Personal);
        assert_eq!(one.items[0].reason, "goes with The candle, viewed lately: bought together in 1 of 1 order");
        replica.stop().await;
    }
}

#[tokio::test]
async fn popularity_is_judged_at_the_time_that_is_asked_for() {
    for db in databases().await {
        let publisher = Publisher::start().await;
        let replica = shop(&publisher, db.handle()).await;
        let at = |days: i64| {
            let time = now() + chrono::Duration::days(days);
            Some(Timestamp { seconds: time.timestamp(), nanos: 0 })
        };

        let today = replica.recommend(RecommendRequest::default()).await;
        let yesterday = replica.recommend(RecommendRequest { as_of_time: at(-2), ..Default::default() }).await;
        let later = replica.recommend(RecommendRequest { as_of_time: at(60), ..Default::default() }).await;

        assert_eq!(today.items[0].reason, "popular: 1 purchase in the last 30 days");
        assert!(yesterday.items.iter().all(|item| item.score == 0.0));
        assert_eq!(later.items[0].reason, "popular: 1 purchase in the last 400 days");
        assert_eq!(today, replica.recommend(RecommendRequest::default()).await);
        replica.stop().await;
    }
}

#[tokio::test]
async fn an_empty_shop_answers_and_a_new_product_comes_at_once() {
    let publisher = Publisher::start().await;
    for db in databases().await {
        let replica = Replica::idle(db.handle(), &publisher).await;

        let nothing = replica.recommend(RecommendRequest::default()).await;
        replica.upsert(vec![product("a", ""), product("b", "")]).await;
        let fallback =
            replica.recommend(RecommendRequest { profile_id: "stranger".into(), ..Default::default() }).await;
        replica.upsert(vec![Product { stock: Some(0), ..product("a", "") }]).await;
        let sold_out = replica.recommend(RecommendRequest::default()).await;

        assert!(nothing.items.is_empty());
        assert_eq!(ids(&fallback), ["a", "b"]);
        assert_eq!(fallback.items[0].strategy(), Strategy::Popular);
        assert_eq!(fallback.items[0].reason, "in stock; nobody has viewed or bought it yet");
        assert_eq!(ids(&sold_out), ["b"]);
    }
}

#[tokio::test]
async fn a_bad_question_names_every_field() {
    let publisher = Publisher::start().await;
    for db in databases().await {
        let replica = Replica::idle(db.handle(), &publisher).await;
        let bad = RecommendRequest {
            product_ids: vec!["a".into(), String::new()],
            limit: 101,
            include_categories: vec!["/".into()],
            exclude_categories: vec!["x".into(); 21],
            as_of_time: Some(Timestamp { seconds: i64::MAX, nanos: 0 }),
            ..Default::default()
        };

        let refused = replica.try_recommend(bad).await.unwrap_err();

        assert_eq!(refused.code(), Code::InvalidArgument);
        let details = refused.get_error_details();
        let fields: Vec<&str> =
            details.bad_request().unwrap().field_violations.iter().map(|violation| violation.field.as_str()).collect();
        assert_eq!(fields, ["product_ids[1]", "limit", "include_categories[0]", "exclude_categories", "as_of_time"]);
    }
}

#[tokio::test]
async fn what_was_sent_back_may_come_again_and_is_paired_no_more() {
    for db in databases().await {
        let publisher = Publisher::start().await;
        let replica = shop(&publisher, db.handle()).await;
        let back = vec![did("ann", 30, refunded("C1", "1", &["holder"])), did("bob", 30, refunded("C2", "", &["mug"]))];
        publisher.publish(SHOP, back).await;
        replica.caught_up(&publisher).await;

        let for_ann = replica.recommend(RecommendRequest { profile_id: "ann".into(), ..Default::default() }).await;
        let for_bob = replica.recommend(RecommendRequest { profile_id: "bob".into(), ..Default::default() }).await;
        let page =
            replica.recommend(RecommendRequest { product_ids: vec!["candle".into()], ..Default::default() }).await;

        assert!(ids(&for_ann).contains(&"holder") && !ids(&for_ann).contains(&"candle"), "{for_ann:?}");
        assert!(ids(&for_bob).contains(&"mug"), "{for_bob:?}");
        assert!(page.items.iter().all(|item| item.because_product_ids.is_empty()), "{page:?}");
        replica.stop().await;
    }
}

#[tokio::test]
async fn who_denies_personalisation_is_a_stranger_and_the_answer_says_so() {
    for db in databases().await {
        let publisher = Publisher::start().await;
        let replica = shop(&publisher, db.handle()).await;
        let of = |profile_id: &str| RecommendRequest { profile_id: profile_id.into(), ..Default::default() };
        let stranger = replica.recommend(of("")).await;
        assert_eq!(stranger.not_personal_reason, "");
        assert_eq!(replica.recommend(of("nobody")).await.not_personal_reason, "NOTHING_KNOWN");
        assert_eq!(replica.recommend(of("ann")).await.not_personal_reason, "");

        publisher.publish(SHOP, vec![answered("ann", ConsentState::Denied)]).await;
        replica.caught_up(&publisher).await;

        let denied = replica.recommend(of("ann")).await;
        assert_eq!(denied.not_personal_reason, "PERSONALISATION_DENIED");
        assert_eq!(denied.items, stranger.items);
        assert!(denied.items.iter().all(|item| item.strategy() == Strategy::Popular));

        publisher.publish(SHOP, vec![answered("ann", ConsentState::Granted)]).await;
        replica.caught_up(&publisher).await;
        let granted = replica.recommend(of("ann")).await;
        assert_eq!(granted.not_personal_reason, "");
        assert_eq!(removed(&granted, "not_bought"), Some(2));
        replica.stop().await;
    }
}

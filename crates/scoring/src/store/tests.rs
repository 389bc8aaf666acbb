use std::collections::{BTreeMap, BTreeSet};

use ::store::testing::databases;
use kit::TenantId;
use sqlx::{Executor, SqlSafeStr};

use super::*;
use crate::domain::event::{Amount, Event, OrderAction, OrderTold, What};
use crate::domain::judge::JudgingCuts;
use crate::domain::rfm::{Buyer, Cuts};
use crate::domain::state::{Membership, State};
use crate::store::buyers::Changed;
use crate::store::shards::Freshness;

fn shop() -> TenantId {
    "shop".parse().unwrap()
}

fn order(order_id: &str, micros: i64, currency: &str) -> Event {
    let told = OrderTold {
        action: OrderAction::Completed,
        order_id: order_id.into(),
        refunded_order_id: String::new(),
        value: Some(Amount { micros, currency: currency.into() }),
        country: "France".into(),
    };
    Event { time_us: 7, id: u128::MAX - 3, what: What::Order(told) }
}

fn refund(order_id: &str, refunded: &str) -> Event {
    let told = OrderTold {
        action: OrderAction::Refunded,
        order_id: order_id.into(),
        refunded_order_id: refunded.into(),
        value: None,
        country: String::new(),
    };
    Event { time_us: -9, id: 4, what: What::Order(told) }
}

fn folded(events: &[Event]) -> State {
    let mut state = State::new();
    for event in events {
        state.fold(event, &mut BTreeSet::new());
    }
    state
}

#[tokio::test]
async fn every_statement_prepares_on_both_engines() {
    let statements = [
        profiles::STATEMENTS.as_slice(),
        orders::STATEMENTS.as_slice(),
        buyers::STATEMENTS.as_slice(),
        segments::STATEMENTS.as_slice(),
        shards::STATEMENTS.as_slice(),
    ];
    for db in databases(&[&crate::MIGRATIONS]).await {
        for statement in statements.concat() {
            let prepared = ::store::on!(*db, pool => {
                pool.acquire().await.unwrap().prepare(statement.into_sql_str()).await.map(|_| ())
            });
            assert!(prepared.is_ok(), "{}: {statement}: {prepared:?}", db.engine());
        }
    }
}

#[tokio::test]
async fn people_and_their_orders_come_back_as_they_were() {
    for db in databases(&[&crate::MIGRATIONS]).await {
        let mut state = folded(&[order("o1", -5, "EUR"), order("o2", 9, ""), refund("r1", "o1"), refund("o3", "")]);
        state.traits.insert("city".into(), "Besançon".into());
        state.consents.insert("marketing:email".into(), false);
        state.memberships.push(Membership { segment_id: "s".into(), created_version: 3, enter_us: -4 });
        state.due_us = Some(99);
        state.rules_version = 3;
        state.cuts_version = 2;
        state.restating = true;

        let mut tx = db.begin().await.unwrap();
        profiles::save(&mut tx, &shop(), 3, &[("p1", &state), ("p2", &State::new())]).await.unwrap();
        let told = state.orders.as_ref().unwrap();
        let rows: Vec<_> = told.iter().map(|(order_id, order)| ("p1", order_id.as_str(), order)).collect();
        orders::save(&mut tx, &shop(), &rows).await.unwrap();
        orders::save(&mut tx, &shop(), &rows).await.unwrap();
        let found = profiles::load(&mut tx, &shop(), &["p1", "p3"]).await.unwrap();
        let loaded = orders::load(&mut tx, &shop(), &["p1", "p2"]).await.unwrap();
        tx.commit().await.unwrap();

        assert_eq!(found.len(), 1);
        let mut known = found[0].1.clone();
        known.orders = loaded.get("p1").cloned();
        assert_eq!(known, state);
        assert_eq!(profiles::find(&db, &shop(), "p2").await.unwrap().unwrap().orders, None);
        assert_eq!(profiles::find(&db, &"other".parse().unwrap(), "p1").await.unwrap(), None);
        let page = orders::page(&db, &shop(), ("o1", "p1"), 10).await.unwrap();
        assert_eq!(page.iter().map(|told| told.order_id.as_str()).collect::<Vec<_>>(), ["o2", "o3"]);
    }
}

#[tokio::test]
async fn who_is_due_is_found_and_whoever_is_removed_is_gone() {
    for db in databases(&[&crate::MIGRATIONS]).await {
        let due = |due_us| State { due_us, ..State::new() };
        let mut tx = db.begin().await.unwrap();
        let people = [("a", &due(Some(30))), ("b", &due(Some(10))), ("c", &due(None))];
        profiles::save(&mut tx, &shop(), 1, &people).await.unwrap();
        profiles::save(&mut tx, &shop(), 2, &[("d", &due(Some(20)))]).await.unwrap();
        let early = profiles::due(&mut tx, &shop(), 1, 25, 10).await.unwrap();
        let all = profiles::due(&mut tx, &shop(), 1, 30, 10).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(early.iter().map(|found| found.0.as_str()).collect::<Vec<_>>(), ["b"]);
        assert_eq!(all.iter().map(|found| found.0.as_str()).collect::<Vec<_>>(), ["b", "a"]);
        assert_eq!(profiles::first_due(&db).await.unwrap(), Some(("shop".into(), 10)));

        let mut tx = db.begin().await.unwrap();
        profiles::remove(&mut tx, &shop(), &["a", "b"]).await.unwrap();
        let here = profiles::in_partition(&mut tx, &shop(), 1, &["b".into(), "c".into(), "d".into()]).await.unwrap();
        let after = profiles::after(&mut tx, &shop(), 1, BEFORE_ALL, 0, 10).await.unwrap();
        tx.commit().await.unwrap();

        assert_eq!(here, ["c"]);
        assert_eq!(after.len(), 1);
        assert_eq!(profiles::first_due(&db).await.unwrap(), Some(("shop".into(), 20)));
    }
}

#[tokio::test]
async fn buyers_are_summed_over_currencies_and_outdated_ones_go() {
    for db in databases(&[&crate::MIGRATIONS]).await {
        let both = folded(&[order("o1", 5, "EUR"), order("o2", 9, "GBP")]);
        let euro = folded(&[order("o3", 7, "EUR")]);
        let only_refunds = folded(&[refund("r1", "o9")]);
        let mut tx = db.begin().await.unwrap();
        let changed = |profile_id, state| Changed { profile_id, state, stored: &[] };
        let people = [changed("a", &both), changed("b", &euro), changed("c", &only_refunds)];
        buyers::save(&mut tx, &shop(), &people).await.unwrap();
        tx.commit().await.unwrap();

        assert_eq!(buyers::main_currency(&db, &shop()).await.unwrap(), "EUR");
        let mut all = BTreeMap::new();
        buyers::scan(&db, &shop(), "EUR", |profile_id, buyer| {
            all.insert(profile_id, buyer);
        })
        .await
        .unwrap();
        let expected = [
            ("a".to_owned(), Buyer { last_order_us: 7, order_count: 2, net_micros: 5 }),
            ("b".to_owned(), Buyer { last_order_us: 7, order_count: 1, net_micros: 7 }),
        ];
        assert_eq!(all, BTreeMap::from(expected.clone()));
        let page = buyers::page(&db, &shop(), "EUR", "a").await.unwrap();
        assert_eq!((page.buyers, page.has_more), (vec![expected[1].clone()], false));

        let pound = folded(&[order("o3", 7, "GBP")]);
        let mut tx = db.begin().await.unwrap();
        let person = Changed { profile_id: "b", state: &pound, stored: &["EUR".to_owned()] };
        buyers::save(&mut tx, &shop(), &[person]).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(buyers::main_currency(&db, &shop()).await.unwrap(), "GBP");
    }
}

#[tokio::test]
async fn a_shard_is_locked_counted_and_passed_over() {
    for db in databases(&[&crate::MIGRATIONS]).await {
        let mut tx = db.begin().await.unwrap();
        assert_eq!(shards::lock(&mut tx, &shop(), 4).await.unwrap().revision, 1);
        shards::count_changes(&mut tx, &shop(), 4, 3).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(shards::behind(&db).await.unwrap(), None);
        assert_eq!(shards::order_changes(&db, &shop()).await.unwrap(), 3);

        let mut tx = db.begin().await.unwrap();
        assert_eq!(shards::versions(&mut tx, &shop()).await.unwrap(), (0, 0));
        assert_eq!(shards::next_rules_version(&mut tx, &shop()).await.unwrap(), 1);
        assert_eq!(shards::next_rules_version(&mut tx, &shop()).await.unwrap(), 2);
        shards::lock_all(&mut tx, &shop()).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(shards::behind(&db).await.unwrap(), Some("shop".into()));
        assert_eq!(shards::behind_of(&db, &shop()).await.unwrap(), [4]);

        let mut tx = db.begin().await.unwrap();
        let mut shard = shards::lock(&mut tx, &shop(), 4).await.unwrap();
        assert_eq!(shard.revision, 3);
        shard.judged_rules = 2;
        shards::save_pass(&mut tx, &shop(), 4, &shard).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(shards::behind(&db).await.unwrap(), None);
    }
}

#[tokio::test]
async fn of_two_replicas_that_cut_at_once_one_wins() {
    for db in databases(&[&crate::MIGRATIONS]).await {
        let buyers = [Buyer { last_order_us: 5, order_count: 2, net_micros: 8 }; 3];
        let cuts = |as_of_us| JudgingCuts { version: 1, as_of_us, cuts: Cuts::of(&buyers, "EUR") };
        for as_of_us in [10, 20] {
            let mut tx = db.begin().await.unwrap();
            shards::lock(&mut tx, &shop(), 0).await.unwrap();
            shards::save_cuts(&mut tx, &shop(), &cuts(as_of_us), as_of_us).await.unwrap();
            shards::save_reads_cuts(&mut tx, &shop(), true).await.unwrap();
            tx.commit().await.unwrap();
        }

        assert_eq!(shards::cuts(&db, &shop()).await.unwrap(), cuts(10));
        let fresh = shards::freshness(&db).await.unwrap();
        assert_eq!((fresh[0].cuts_order_changes, fresh[0].cuts_as_of_us), (10, 10));

        let mut tx = db.begin().await.unwrap();
        shards::save_reads_cuts(&mut tx, &shop(), false).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(shards::freshness(&db).await.unwrap(), []);
    }
}

#[test]
fn cuts_are_stale_at_midnight_and_five_minutes_after_orders_change() {
    let fresh =
        |order_changes| Freshness { tenant: shop(), order_changes, cuts_order_changes: 7, cuts_as_of_us: 1_000_000 };

    assert!(!fresh(7).is_stale(86_399_999_999));
    assert!(fresh(7).is_stale(86_400_000_000));
    assert!(!fresh(8).is_stale(300_999_999));
    assert!(fresh(8).is_stale(301_000_000));
}

#[tokio::test]
async fn members_come_and_go() {
    for db in databases(&[&crate::MIGRATIONS]).await {
        let mut tx = db.begin().await.unwrap();
        segments::enter(&mut tx, &shop(), &[("s", "a", 1), ("s", "b", 2), ("t", "a", 3)]).await.unwrap();
        segments::enter(&mut tx, &shop(), &[("s", "b", 5)]).await.unwrap();
        segments::leave(&mut tx, &shop(), &[("s", "a"), ("t", "b")]).await.unwrap();
        tx.commit().await.unwrap();

        assert_eq!(segments::members(&db, &shop(), "s", BEFORE_ALL, 9).await.unwrap(), [("b".to_owned(), 5)]);
        let mut counts = segments::counts(&db, &shop()).await.unwrap();
        counts.sort();
        assert_eq!(counts, [("s".to_owned(), 1), ("t".to_owned(), 1)]);
    }
}

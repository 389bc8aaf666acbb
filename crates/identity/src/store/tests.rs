//! The store on both engines.

use std::sync::Arc;

use kit::TenantId;
use store::testing::{TestDb, databases};
use uuid::Uuid;

use super::{rows::From, *};
use crate::domain::{
    component::Sighted,
    graph::{Graph, Sighting},
    identifier::{Ident, Reading},
    policy::Policy,
    timeline::Pointer,
};

async fn engines() -> Vec<TestDb> {
    databases(&[&eventlog::MIGRATIONS, &crate::MIGRATIONS]).await
}

fn shop() -> TenantId {
    TenantId::try_from("shop").unwrap()
}

fn ident(value: &str) -> Ident {
    match Policy::default().read("anonymous_id", value) {
        Reading::Useful(ident) => ident,
        other => panic!("{other:?}"),
    }
}

fn sighting(values: &[String]) -> Sighting {
    Sighting {
        sighted: Sighted { time_us: 1, event_id: Uuid::from_u128(1), source: Arc::from("site") },
        useful: values.iter().map(|value| ident(value)).collect(),
        worthless: Vec::new(),
        declared: None,
        told: Vec::new(),
        answers: Vec::new(),
    }
}

#[tokio::test]
async fn what_is_saved_is_found_by_identifier_and_only_by_its_tenant() {
    for db in engines().await {
        let mut graph = Graph::default();
        for number in 0..700 {
            graph.observe(&sighting(&[format!("a{number}"), format!("b{number}")]));
        }
        graph.settle(&Policy::default(), false);
        let mut tx = db.begin().await.unwrap();
        save(&mut tx, &shop(), &graph).await.unwrap();
        tx.commit().await.unwrap();

        let keys: Vec<Key> = (0..700).map(|number| ident(&format!("b{number}")).key).collect();
        let homes = find_homes(From::Db(&db), &shop(), &keys).await.unwrap();
        let mut ids: Vec<i64> = homes.iter().map(|(_, home)| *home).collect();
        ids.sort_unstable();
        ids.dedup();
        let components = load_components(From::Db(&db), &shop(), &ids).await.unwrap();

        assert_eq!(components.len(), 700);
        for component in &components {
            assert_eq!(graph.component(component.id), Some(component));
        }
        let rival = TenantId::try_from("rival").unwrap();
        assert!(find_homes(From::Db(&db), &rival, &keys).await.unwrap().is_empty());
        assert!(load_components(From::Db(&db), &rival, &ids).await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn components_that_became_one_leave_one_row() {
    for db in engines().await {
        let mut graph = Graph::default();
        let names = |names: &[&str]| sighting(&names.iter().map(ToString::to_string).collect::<Vec<_>>());
        for step in [names(&["a"]), names(&["b"]), names(&["a", "b"])] {
            graph.observe(&step);
            graph.settle(&Policy::default(), false);
            let mut tx = db.begin().await.unwrap();
            save(&mut tx, &shop(), &graph).await.unwrap();
            tx.commit().await.unwrap();
            graph.saved(1_000);
        }

        let homes = find_homes(From::Db(&db), &shop(), &[ident("a").key, ident("b").key]).await.unwrap();
        let all = load_components(From::Db(&db), &shop(), &[1, 2, 3]).await.unwrap();

        assert_eq!(homes[0].1, homes[1].1);
        assert_eq!(all.len(), 1);
    }
}

#[tokio::test]
async fn writers_take_turns_and_see_each_other() {
    for db in engines().await {
        let mut first = db.begin().await.unwrap();
        let row = lock(&mut first, &shop()).await.unwrap();
        let added = Totals { profiles: 2, events: 5, ..Totals::default() };
        finish(&mut first, &shop(), 7, 3, added).await.unwrap();
        first.commit().await.unwrap();
        let mut undone = db.begin().await.unwrap();
        lock(&mut undone, &shop()).await.unwrap();
        undone.rollback().await.unwrap();

        let mut second = db.begin().await.unwrap();
        let next = lock(&mut second, &shop()).await.unwrap();
        second.commit().await.unwrap();

        assert_eq!(row.version, 1);
        assert_eq!((next.version, next.last_component, next.last_change), (2, 7, 3));
        assert_eq!(summary(&db, &shop()).await.unwrap(), added);
    }
}

#[tokio::test]
async fn absorbed_profiles_lead_to_their_survivor_and_are_not_listed() {
    for db in engines().await {
        let ids: Vec<Uuid> = (1..=3).map(Uuid::from_u128).collect();
        let mut graph = Graph::default();
        for id in &ids {
            graph.unsaved.moved_people.insert(*id, 40 + id.as_u128() as i64);
        }
        let mut tx = db.begin().await.unwrap();
        save(&mut tx, &shop(), &graph).await.unwrap();
        forward(&mut tx, &shop(), &[(ids[0], ids[1])]).await.unwrap();
        forward(&mut tx, &shop(), &[(ids[1], ids[2])]).await.unwrap();
        tx.commit().await.unwrap();

        assert_eq!(find_profile(From::Db(&db), &shop(), ids[0]).await.unwrap(), Some((ids[2], 43)));
        assert_eq!(find_profile(From::Db(&db), &shop(), Uuid::from_u128(9)).await.unwrap(), None);
        assert_eq!(list_profiles(&db, &shop(), Uuid::nil(), 10).await.unwrap(), [(ids[2], 43)]);
    }
}

#[tokio::test]
async fn chunks_of_a_timeline_are_found_by_time_and_deleted_together() {
    for db in engines().await {
        let profile = Uuid::from_u128(4);
        let chunk = |first: i64| -> Vec<Pointer> {
            (first..first + 10).map(|time_us| Pointer { time_us, offset: time_us as u64 }).collect()
        };
        let mut tx = db.begin().await.unwrap();
        let chunks = [(profile, 0, chunk(100)), (profile, 1, chunk(0)), (profile, 2, chunk(50))];
        insert_chunks(&mut tx, &shop(), &chunks).await.unwrap();
        tx.commit().await.unwrap();

        assert_eq!(chunk_spans(From::Db(&db), &shop(), profile, 60).await.unwrap(), [(2, 59), (1, 9)]);
        assert_eq!(load_chunks(From::Db(&db), &shop(), profile, 1, 1).await.unwrap(), chunk(0));
        assert_eq!(load_chunks(From::Db(&db), &shop(), profile, 0, 2).await.unwrap().len(), 30);
        let mut tx = db.begin().await.unwrap();
        delete_chunks(&mut tx, &shop(), profile).await.unwrap();
        tx.commit().await.unwrap();
        assert!(chunk_spans(From::Db(&db), &shop(), profile, i64::MAX).await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn decisions_are_kept_the_first_separation_and_the_last_word_on_blocking() {
    for db in engines().await {
        let decision = |reason| Decision { reason, subject: "tester", decide_time_us: 1 };
        let mut tx = db.begin().await.unwrap();
        separate(&mut tx, &shop(), 9, 5, &decision("first")).await.unwrap();
        separate(&mut tx, &shop(), 5, 9, &decision("again")).await.unwrap();
        block(&mut tx, &shop(), 7, true, &decision("till")).await.unwrap();
        block(&mut tx, &shop(), 7, false, &decision("no")).await.unwrap();
        tx.commit().await.unwrap();

        let (separations, overrides) = load_decisions(From::Db(&db), &shop()).await.unwrap();

        let mut expected = crate::domain::canon::Separations::default();
        expected.add(5, 9);
        assert_eq!(separations, expected);
        assert_eq!(overrides.get(&7), Some(&false));
    }
}

#[test]
fn both_engines_have_the_same_migrations() {
    let names = |migrator: &sqlx::migrate::Migrator| -> Vec<(i64, String)> {
        migrator.iter().map(|migration| (migration.version, migration.description.to_string())).collect()
    };

    assert_eq!(names(&crate::MIGRATIONS.sqlite), names(&crate::MIGRATIONS.postgres));
}

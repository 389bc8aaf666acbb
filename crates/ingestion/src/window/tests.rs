//! The window on both engines, against what a plain map would say.

use std::collections::HashMap;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use store::Db;
use store::testing::{TestDb, databases};

use super::*;

const WINDOW_US: i64 = 1_000;

async fn both() -> Vec<TestDb> {
    databases(&[&crate::MIGRATIONS]).await
}

fn tenant(name: &str) -> TenantId {
    name.try_into().unwrap()
}

fn hash(number: u64) -> MessageHash {
    let high = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    ((u128::from(high) << 64) | u128::from(high.rotate_left(32) ^ number)).to_be_bytes()
}

/// So small that a few messages make batches, runs and levels.
fn tiny() -> Tuning {
    Tuning { merge_ids: 40, merge_batches: 6, fan_in: 3, block_entries: 8, blocks_at_once: 2, ..Tuning::default() }
}

/// Records messages at a time and returns those that were new, in order.
async fn see(window: &mut Window, db: &Db, of: &str, numbers: &[u64], at_us: i64) -> Vec<u64> {
    let mut hashes: Vec<MessageHash> = numbers.iter().map(|number| hash(*number)).collect();
    hashes.sort_unstable();
    hashes.dedup();
    let mut tx = db.begin().await.unwrap();
    let new = window.insert_new(&mut tx, &tenant(of), &hashes, (at_us, at_us - WINDOW_US)).await.unwrap();
    tx.commit().await.unwrap();
    window.committed();
    let mut numbers = numbers.to_vec();
    numbers.sort_unstable();
    numbers.dedup();
    numbers.retain(|number| new.contains(&hash(*number)));
    numbers
}

async fn rows(db: &Db, table: &'static str) -> i64 {
    let sql = format!("SELECT COUNT(*) FROM {table}");
    store::on!(*db, pool => sqlx::query_scalar(sqlx::AssertSqlSafe(sql)).fetch_one(pool).await).unwrap()
}

#[tokio::test]
async fn a_message_is_new_once_within_the_window_and_again_after_it() {
    for db in both().await {
        for merging in [false, true] {
            let of = if merging { "merged" } else { "shop" };
            let (mut window, merger) = Window::new(db.handle(), Tuning { merge_batches: 1, fan_in: 2, ..tiny() });
            let mut told = Vec::new();
            for (numbers, at_us) in [
                (&[1, 2, 3][..], 0),
                (&[2, 3, 4], 500),
                (&[1], WINDOW_US),
                (&[1], WINDOW_US + 1),
                (&[1], WINDOW_US + 2),
            ] {
                told.push(see(&mut window, &db, of, numbers, at_us).await);
                if merging {
                    // Nothing is forgotten here, so that what expired is known and must be told apart.
                    merger.tend(&tenant(of), i64::MIN).await.unwrap();
                }
            }
            assert_eq!(told, [vec![1, 2, 3], vec![4], vec![], vec![1], vec![]], "merging: {merging}");
            assert_eq!(see(&mut window, &db, "other", &[1], 500).await.len(), usize::from(!merging));
        }
    }
}

#[tokio::test]
async fn a_message_of_a_transaction_that_failed_was_not_seen() {
    for db in both().await {
        let (mut window, _) = Window::new(db.handle(), tiny());
        let mut tx = db.begin().await.unwrap();
        window.insert_new(&mut tx, &tenant("shop"), &[hash(1)], (0, -1)).await.unwrap();
        tx.rollback().await.unwrap();
        window.rolled_back();

        assert_eq!(see(&mut window, &db, "shop", &[1], 0).await, [1]);
    }
}

#[tokio::test]
async fn a_commit_of_which_nothing_was_heard_counts_if_it_happened() {
    for db in both().await {
        let (mut window, _) = Window::new(db.handle(), tiny());
        let mut tx = db.begin().await.unwrap();
        window.insert_new(&mut tx, &tenant("shop"), &[hash(1)], (0, -1)).await.unwrap();
        tx.commit().await.unwrap();
        window.rolled_back();

        assert_eq!(see(&mut window, &db, "shop", &[1, 2], 0).await, [2]);
    }
}

/// Two replicas, each with a merger of its own, restarts, commits that fail, little memory; and a map that tells what is
/// right.
#[tokio::test]
async fn it_says_what_a_map_would_whatever_happens_in_between() {
    for db in both().await {
        for seed in 0..3 {
            let mut random = StdRng::seed_from_u64(seed);
            let tuning = Tuning { memory_bytes: if seed % 2 == 0 { 1 } else { usize::MAX }, ..tiny() };
            let names = [format!("shop-{seed}"), format!("other-{seed}")];
            let mut replicas = [Window::new(db.handle(), tuning.clone()), Window::new(db.handle(), tuning.clone())];
            let mut truth: HashMap<(usize, u64), i64> = HashMap::new();
            let mut now_us = 0;
            for _ in 0..140 {
                let (of, replica) = (random.random_range(0..2), random.random_range(0..2));
                now_us += random.random_range(0..12);
                let mut numbers: Vec<u64> =
                    (0..random.random_range(0..24)).map(|_| random.random_range(0..1_500)).collect();
                numbers.sort_unstable();
                numbers.dedup();
                let expected: Vec<u64> = numbers
                    .iter()
                    .filter(|number| truth.get(&(of, **number)).is_none_or(|at| *at < now_us - WINDOW_US))
                    .copied()
                    .collect();
                match random.random_range(0..10) {
                    0 => {
                        let mut tx = db.begin().await.unwrap();
                        let mut hashes: Vec<MessageHash> = numbers.iter().map(|number| hash(*number)).collect();
                        hashes.sort_unstable();
                        let (window, tenant) = (&mut replicas[replica].0, tenant(&names[of]));
                        window.insert_new(&mut tx, &tenant, &hashes, (now_us, now_us - WINDOW_US)).await.unwrap();
                        tx.rollback().await.unwrap();
                        window.rolled_back();
                        continue;
                    }
                    1 => replicas[replica] = Window::new(db.handle(), tuning.clone()),
                    _ => {}
                }
                let new = see(&mut replicas[replica].0, &db, &names[of], &numbers, now_us).await;
                assert_eq!(new, expected, "seed {seed} at {now_us} on {}", db.engine());
                truth.extend(expected.into_iter().map(|number| ((of, number), now_us)));
                let (merger, cutoff_us) = (&replicas[random.random_range(0..2)].1, now_us - WINDOW_US);
                match random.random_range(0..4) {
                    0 => drop(merger.tend(&tenant(&names[of]), cutoff_us).await.unwrap()),
                    1 => drop(merger.expire(&tenant(&names[of]), cutoff_us).await.unwrap()),
                    _ => {}
                }
            }
            let levels = store::on!(*db, pool => {
                let of = names[0].as_str();
                sqlx::query_scalar::<_, i64>("SELECT MAX(level) FROM seen_runs WHERE tenant_id = $1")
                    .bind(of).fetch_one(pool).await
            });
            assert!(levels.unwrap() > 1, "runs were merged into larger ones");
        }
    }
}

#[tokio::test]
async fn mergers_at_the_same_time_leave_every_message_once() {
    for db in both().await {
        let (mut window, first) = Window::new(db.handle(), tiny());
        let (_, second) = Window::new(db.handle(), tiny());
        let shop = tenant("shop");
        for round in 0..40_u64 {
            let numbers: Vec<u64> = (round * 10..round * 10 + 10).collect();
            assert_eq!(see(&mut window, &db, "shop", &numbers, 0).await, numbers);
            let (one, other) = tokio::join!(first.tend(&shop, -1), second.tend(&shop, -1));
            assert_eq!(one.unwrap() + other.unwrap(), 0);
        }
        let all: Vec<u64> = (0..400).collect();
        assert!(see(&mut window, &db, "shop", &all, 0).await.is_empty());
        let (mut fresh, _) = Window::new(db.handle(), tiny());
        assert!(see(&mut fresh, &db, "shop", &all, 0).await.is_empty(), "nothing was only in memory");
    }
}

#[tokio::test]
async fn what_expired_goes_and_nothing_else() {
    for db in both().await {
        let (mut window, merger) = Window::new(db.handle(), tiny());
        let shop = tenant("shop");
        let numbers = |from: u64, count: u64| (from..from + count).collect::<Vec<_>>();
        see(&mut window, &db, "shop", &numbers(0, 50), 0).await;
        assert_eq!(merger.tend(&shop, 0).await.unwrap(), 0);
        assert!(rows(&db, "seen_blocks").await > 0 && rows(&db, "seen_batches").await == 0);
        see(&mut window, &db, "shop", &numbers(100, 3), 1).await;
        see(&mut window, &db, "shop", &numbers(200, 3), 10).await;

        assert_eq!(merger.expire(&shop, 10).await.unwrap(), 53);

        for table in ["seen_blocks", "seen_indexes", "seen_runs"] {
            assert_eq!(rows(&db, table).await, 0, "{table}");
        }
        assert_eq!(rows(&db, "seen_batches").await, 1);
        assert!(see(&mut window, &db, "shop", &numbers(200, 3), 11).await.is_empty());
    }
}

#[tokio::test]
async fn a_merge_that_broke_off_is_no_part_of_the_window_and_goes_later() {
    for db in both().await {
        let (mut window, merger) = Window::new(db.handle(), tiny());
        let shop = tenant("shop");
        see(&mut window, &db, "shop", &[1, 2], 0).await;
        let mut tx = db.begin().await.unwrap();
        let run_id = seen::take_seq(&mut tx, &shop).await.unwrap().seq;
        runs::insert(&mut tx, &shop, run_id, 1, 0).await.unwrap();
        runs::insert_blocks(&mut tx, &shop, run_id, 0, vec![vec![0; 24]; 7]).await.unwrap();
        tx.commit().await.unwrap();

        assert_eq!(see(&mut window, &db, "shop", &[1, 2, 3], 0).await, [3]);
        merger.tend(&shop, -1).await.unwrap();

        assert_eq!((rows(&db, "seen_runs").await, rows(&db, "seen_blocks").await), (0, 0));
    }
}

#[tokio::test]
async fn what_was_seen_before_the_window_changed_its_form_stays_seen() {
    const INSERT: &str = "INSERT INTO seen_messages (tenant_id, message_hash, received_us) VALUES ($1, $2, $3)";
    let before = |migrator: &sqlx::migrate::Migrator| {
        let migrations = migrator.iter().filter(|migration| migration.version < 10).cloned().collect();
        sqlx::migrate::Migrator::with_migrations(migrations)
    };
    let all = &crate::MIGRATIONS;
    let old = store::Migrations { name: all.name, sqlite: before(&all.sqlite), postgres: before(&all.postgres) };
    for db in databases(&[&old]).await {
        for (of, number, received_us) in [("shop", 1, 0), ("shop", 2, 700), ("other", 1, 0)] {
            let mut tx = db.begin().await.unwrap();
            store::within!(tx, conn => {
                let query = sqlx::query(INSERT).bind(of).bind(hash(number).to_vec()).bind(received_us);
                query.execute(&mut *conn).await.map(|_| ())
            })
            .unwrap();
            tx.commit().await.unwrap();
        }
        db.migrate(all).await.unwrap();

        let (mut window, _) = Window::new(db.handle(), tiny());
        assert_eq!(see(&mut window, &db, "shop", &[1, 2, 3], 1_500).await, [1, 3], "the first has expired");
        assert_eq!(see(&mut window, &db, "other", &[1, 2], 1_000).await, [2]);
    }
}

//! The statements on both engines.

use kit::TenantId;
use sqlx::{Executor, Row, SqlSafeStr};
use store::Db;
use store::testing::{TestDb, databases};

use super::{
    consent_counts, consent_policies, controls, counts, dead_letters, letter_care, pending, plans, seen, signals,
    sources, violations, write_keys,
};
use crate::domain::finish::MessageHash;

const WINDOW_US: i64 = 1_000;

async fn both() -> Vec<TestDb> {
    databases(&[&crate::MIGRATIONS]).await
}

fn tenant(name: &str) -> TenantId {
    name.try_into().unwrap()
}

fn hash(number: u8) -> MessageHash {
    [number; 16]
}

/// Records messages at a time and returns those that were new, in order.
async fn see(db: &Db, of: &str, numbers: &[u8], at_us: i64) -> Vec<u8> {
    let mut tx = db.begin().await.unwrap();
    let hashes = numbers.iter().map(|number| hash(*number)).collect();
    let new = seen::insert_new(&mut tx, &tenant(of), hashes, at_us, at_us - WINDOW_US).await.unwrap();
    tx.commit().await.unwrap();
    let mut new: Vec<u8> = new.into_iter().map(|hash| hash[0]).collect();
    new.sort_unstable();
    new
}

async fn rows(db: &Db) -> i64 {
    store::on!(*db, pool => sqlx::query_scalar("SELECT COUNT(*) FROM seen_messages").fetch_one(pool).await).unwrap()
}

#[tokio::test]
async fn every_statement_prepares_on_both_engines() {
    for db in both().await {
        for statement in [
            sources::STATEMENTS,
            write_keys::STATEMENTS,
            dead_letters::STATEMENTS,
            counts::STATEMENTS,
            seen::STATEMENTS,
            consent_counts::STATEMENTS,
            consent_policies::STATEMENTS,
            pending::STATEMENTS,
            signals::STATEMENTS,
            controls::STATEMENTS,
            letter_care::STATEMENTS,
            plans::STATEMENTS,
            violations::STATEMENTS,
        ]
        .concat()
        {
            store::on!(*db, pool => pool.prepare(statement.into_sql_str()).await.map(|_| ()))
                .unwrap_or_else(|error| panic!("{}: {error}: {statement}", db.engine()));
        }
    }
}

#[tokio::test]
async fn both_engines_have_the_same_tables_and_columns() {
    const SQLITE: &str = "
        SELECT tables.name || '.' || columns.name
          FROM sqlite_master AS tables
          JOIN pragma_table_info(tables.name) AS columns
         WHERE tables.type = 'table' AND tables.name NOT LIKE '\\_%' ESCAPE '\\' AND tables.name NOT LIKE 'sqlite%'";
    const POSTGRES: &str = "
        SELECT table_name || '.' || column_name
          FROM information_schema.columns
         WHERE table_schema = current_schema() AND table_name NOT LIKE '\\_%'";
    let mut columns = Vec::new();
    for db in both().await {
        let mut names: Vec<String> = match &*db {
            Db::Sqlite(sqlite) => sqlx::query_scalar(SQLITE).fetch_all(sqlite.readers()).await.unwrap(),
            Db::Postgres(pool) => {
                sqlx::query(POSTGRES).fetch_all(pool).await.unwrap().iter().map(|row| row.get(0)).collect()
            }
        };
        names.sort();
        assert!(names.contains(&"seen_messages.message_hash".to_owned()), "{}: {names:?}", db.engine());
        columns.push(names);
    }
    assert!(columns.windows(2).all(|pair| pair[0] == pair[1]), "{columns:#?}");
}

#[tokio::test]
async fn a_message_is_new_once_within_the_window_and_again_after_it() {
    for db in both().await {
        assert_eq!(see(&db, "shop", &[1, 2, 3], 0).await, [1, 2, 3]);
        assert_eq!(see(&db, "shop", &[2, 3, 4], 500).await, [4]);
        assert_eq!(see(&db, "other", &[1], 500).await, [1], "another tenant's messages are its own");
        assert_eq!(see(&db, "shop", &[1], WINDOW_US).await, [] as [u8; 0], "the window has not passed");
        assert_eq!(see(&db, "shop", &[1], WINDOW_US + 1).await, [1], "expired, though nobody swept");
        assert_eq!(see(&db, "shop", &[1], WINDOW_US + 2).await, [] as [u8; 0]);
    }
}

#[tokio::test]
async fn a_message_of_a_transaction_that_failed_was_not_seen() {
    for db in both().await {
        let mut tx = db.begin().await.unwrap();
        seen::insert_new(&mut tx, &tenant("shop"), vec![hash(1)], 0, -1).await.unwrap();
        tx.rollback().await.unwrap();

        assert_eq!(see(&db, "shop", &[1], 0).await, [1]);
    }
}

#[tokio::test]
async fn many_messages_go_in_chunks() {
    for db in both().await {
        let many: Vec<MessageHash> = (0..1_700_u32)
            .map(|number| [number.to_be_bytes(), [0; 4], [7; 4], [0; 4]].concat().try_into().unwrap())
            .collect();

        for expected in [1_700, 0] {
            let mut tx = db.begin().await.unwrap();
            let new = seen::insert_new(&mut tx, &tenant("shop"), many.clone(), 0, -1).await.unwrap();
            tx.commit().await.unwrap();
            assert_eq!(new.len(), expected);
        }
    }
}

#[tokio::test]
async fn sweeping_removes_what_expired_and_nothing_else() {
    for db in both().await {
        see(&db, "shop", &[0, 128, 255], 0).await;
        see(&db, "shop", &[1, 254], 10).await;

        let mut removed = 0;
        for slice in 0..seen::SLICES {
            removed += seen::sweep(&db, &tenant("shop"), slice, 10).await.unwrap();
        }

        assert_eq!((removed, rows(&db).await), (3, 2));
    }
}

//! What a store promises, on both engines.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use comptoir_store as store;
use sqlx::QueryBuilder;
use store::testing::{TestDb, databases};
use store::{Db, Error, Migrations, OpenOptions, Tx};

static THINGS: Migrations = Migrations {
    name: "things",
    sqlite: sqlx::migrate!("tests/migrations/sqlite"),
    postgres: sqlx::migrate!("tests/migrations/postgres"),
};

const INSERT: &str = "
    INSERT INTO things (thing_id, count, body)
    VALUES ($1, $2, $3)";
const ADD: &str = "
    UPDATE things
       SET count = count + $2
     WHERE thing_id = $1
    RETURNING count";
const COUNT: &str = "
    SELECT count
      FROM things
     WHERE thing_id = $1";

async fn insert(tx: &mut Tx, thing_id: &str, count: i64) -> Result<(), Error> {
    store::within!(tx, conn => {
        sqlx::query(INSERT)
            .bind(thing_id)
            .bind(count)
            .bind(b"body".as_slice())
            .execute(&mut *conn)
            .await
            .map(|_| ())
    })?;
    Ok(())
}

async fn count(db: &Db, thing_id: &str) -> Option<i64> {
    store::on!(db, pool => sqlx::query_scalar(COUNT).bind(thing_id).fetch_optional(pool).await).unwrap()
}

async fn all() -> Vec<TestDb> {
    databases(&[&THINGS]).await
}

#[tokio::test]
async fn what_is_committed_is_there_and_what_is_dropped_is_not() {
    for db in all().await {
        let mut tx = db.begin().await.unwrap();
        insert(&mut tx, "kept", 1).await.unwrap();
        tx.commit().await.unwrap();

        let mut tx = db.begin().await.unwrap();
        insert(&mut tx, "dropped", 1).await.unwrap();
        drop(tx);
        let mut tx = db.begin().await.unwrap();
        insert(&mut tx, "undone", 1).await.unwrap();
        tx.rollback().await.unwrap();

        assert_eq!(count(&db, "kept").await, Some(1), "{}", db.engine());
        assert_eq!(count(&db, "dropped").await, None);
        assert_eq!(count(&db, "undone").await, None);
    }
}

#[tokio::test]
async fn hooks_run_after_the_commit_and_only_then() {
    for db in all().await {
        for commits in [true, false] {
            let has_run = Arc::new(AtomicBool::new(false));
            let mut tx = db.begin().await.unwrap();
            let seen = Arc::clone(&has_run);
            tx.after_commit(move || seen.store(true, Ordering::SeqCst));
            insert(&mut tx, &format!("thing {commits}"), 1).await.unwrap();
            assert!(!has_run.load(Ordering::SeqCst));

            if commits {
                tx.commit().await.unwrap();
            } else {
                drop(tx);
            }

            assert_eq!(has_run.load(Ordering::SeqCst), commits);
        }
    }
}

#[tokio::test]
async fn concurrent_writers_wait_for_each_other_and_lose_no_update() {
    for db in all().await {
        let mut tx = db.begin().await.unwrap();
        insert(&mut tx, "shared", 0).await.unwrap();
        tx.commit().await.unwrap();

        let mut writers = Vec::new();
        for _ in 0..16 {
            let db = db.handle();
            writers.push(tokio::spawn(async move {
                for _ in 0..10 {
                    let mut tx = db.begin().await?;
                    let _: i64 = store::within!(tx, conn => {
                        sqlx::query_scalar(ADD).bind("shared").bind(1_i64).fetch_one(&mut *conn).await
                    })?;
                    tx.commit().await?;
                }
                Ok::<(), Error>(())
            }));
        }
        for writer in writers {
            writer.await.unwrap().unwrap();
        }

        assert_eq!(count(&db, "shared").await, Some(160));
    }
}

#[tokio::test]
async fn a_second_of_the_same_is_a_conflict() {
    for db in all().await {
        let mut tx = db.begin().await.unwrap();
        insert(&mut tx, "same", 1).await.unwrap();

        let refused = insert(&mut tx, "same", 2).await.unwrap_err();

        assert!(matches!(refused, Error::Conflict(_)), "{refused:?}");
        assert_eq!(kit::Error::from(refused).kind, kit::Kind::Aborted);
    }
}

#[tokio::test]
async fn a_statement_that_is_wrong_is_fatal_and_tells_the_caller_nothing() {
    for db in all().await {
        let failed =
            store::on!(*db, pool => sqlx::query("SELECT nothing FROM nowhere").execute(pool).await.map(|_| ()));
        let error = Error::from(failed.unwrap_err());

        assert!(matches!(error, Error::Fatal(_)), "{error:?}");
        let public = kit::Error::from(error);
        assert_eq!(public.kind, kit::Kind::Internal);
        assert!(!public.message.contains("nowhere"));
    }
}

#[tokio::test]
async fn many_rows_go_in_one_statement() {
    for db in all().await {
        let ids: Vec<String> = (0..2_500).map(|index| format!("thing{index:05}")).collect();
        let mut tx = db.begin().await.unwrap();
        for chunk in store::chunks(&ids, 3) {
            store::within!(tx, conn => {
                let mut query = QueryBuilder::new("INSERT INTO things (thing_id, count, body) ");
                query.push_values(chunk, |mut row, thing_id| {
                    row.push_bind(thing_id.clone()).push_bind(1_i64).push_bind(vec![0_u8; 4]);
                });
                query.push(" ON CONFLICT (thing_id) DO UPDATE SET count = excluded.count");
                query.build().execute(&mut *conn).await.map(|_| ())
            })
            .unwrap();
        }
        tx.commit().await.unwrap();

        assert_eq!(count(&db, "thing02499").await, Some(1));
    }
}

#[tokio::test]
async fn migrations_are_known_to_be_missing_then_current_and_run_together() {
    for db in databases(&[]).await {
        assert!(!db.is_current(&THINGS).await.unwrap());

        let together = (0..4).map(|_| db.migrate(&THINGS));
        for outcome in futures::future::join_all(together).await {
            outcome.unwrap();
        }

        assert!(db.is_current(&THINGS).await.unwrap());
        db.migrate(&THINGS).await.unwrap();
        let other = Migrations { name: "others", ..THINGS_AGAIN };
        assert!(!db.is_current(&other).await.unwrap(), "each set of migrations has a table of its own");
    }
}

const THINGS_AGAIN: Migrations = Migrations {
    name: "things_again",
    sqlite: sqlx::migrate!("tests/migrations/sqlite"),
    postgres: sqlx::migrate!("tests/migrations/postgres"),
};

#[tokio::test]
async fn two_processes_may_open_one_database() {
    for db in all().await {
        let other = Db::open(db.url(), OpenOptions::default()).await.unwrap();
        let mut tx = other.begin().await.unwrap();
        insert(&mut tx, "from the other", 7).await.unwrap();
        tx.commit().await.unwrap();

        assert_eq!(count(&db, "from the other").await, Some(7));
        other.close().await;
    }
}

#[tokio::test]
async fn an_open_transaction_keeps_a_second_one_waiting_only_so_long_on_sqlite() {
    let db = store::testing::sqlite(&[&THINGS]).await;
    let impatient = OpenOptions { acquire_timeout: Duration::from_millis(50), ..OpenOptions::default() };
    let other = Db::open(db.url(), impatient).await.unwrap();
    let _held = other.begin().await.unwrap();

    let refused = other.begin().await.err().expect("there is one writer");

    assert!(refused.is_transient());
    assert_eq!(kit::Error::from(refused).kind, kit::Kind::Unavailable);
}

#[tokio::test]
async fn readers_of_sqlite_cannot_write_and_its_settings_are_durable() {
    let db = store::testing::sqlite(&[&THINGS]).await;
    let Db::Sqlite(sqlite) = &*db else { panic!("it is SQLite") };

    assert!(sqlx::query("DELETE FROM things").execute(sqlite.readers()).await.is_err());

    let mut tx = db.begin().await.unwrap();
    for (pragma, expected) in [("synchronous", "2"), ("foreign_keys", "1"), ("journal_mode", "wal")] {
        let statement = sqlx::AssertSqlSafe(format!("SELECT CAST({pragma} AS TEXT) FROM pragma_{pragma}"));
        let store::Connection::Sqlite(connection) = tx.connection() else { panic!("it is SQLite") };
        let value: String = sqlx::query_scalar(statement).fetch_one(connection).await.unwrap();
        assert_eq!(value, expected, "{pragma}");
    }
}

/// Lets the file of the connection that writes grow by so many pages at most, or without limit.
async fn limit_growth(tx: &mut Tx, pages: Option<i64>) {
    let store::Connection::Sqlite(connection) = tx.connection() else { panic!("it is SQLite") };
    let now: i64 = sqlx::query_scalar("PRAGMA page_count").fetch_one(&mut *connection).await.unwrap();
    let limit = pages.map_or(1 << 30, |pages| now + pages);
    let statement = sqlx::AssertSqlSafe(format!("PRAGMA max_page_count = {limit}"));
    sqlx::raw_sql(statement).execute(connection).await.unwrap();
}

#[tokio::test]
async fn a_full_disk_is_told_and_writes_go_on_once_there_is_space() {
    let db = store::testing::sqlite(&[&THINGS]).await;
    // A statement of one row, after which SQLite ends the transaction by itself, and one of many, which it undoes alone.
    for (round, rows) in [(0, 1), (1, 1), (2, 50), (3, 50), (4, 1)] {
        let write = async |thing_id: &str, growth: Option<i64>| {
            let mut tx = db.begin().await?;
            limit_growth(&mut tx, growth).await;
            for part in 0..4 {
                let mut insert = QueryBuilder::new("INSERT INTO things (thing_id, count, body) ");
                insert.push_values(0..rows, |mut row, number| {
                    row.push_bind(format!("{thing_id}-{part}-{number}")).push_bind(0_i64).push_bind(vec![1; 100_000]);
                });
                let store::Connection::Sqlite(connection) = tx.connection() else { panic!("it is SQLite") };
                insert.build().execute(connection).await?;
            }
            tx.commit().await
        };

        let refused = write("refused", Some(5)).await.unwrap_err();
        let Error::Unavailable(cause) = &refused else { panic!("{refused:?}") };
        let error = cause.downcast_ref::<sqlx::Error>().and_then(sqlx::Error::as_database_error);
        let code = error.and_then(|error| error.code());
        assert_eq!(code.as_deref(), Some("13"), "it is SQLITE_FULL");

        write(&format!("kept-{round}"), None).await.unwrap();
        assert_eq!(count(&db, "refused-0-0").await, None);
        assert_eq!(count(&db, &format!("kept-{round}-3-0")).await, Some(0));
    }
}

#[tokio::test]
async fn urls_that_cannot_work_are_refused() {
    for url in ["mysql://localhost/x", "sqlite::memory:", "things.db"] {
        assert!(matches!(Db::open(url, OpenOptions::default()).await, Err(Error::Fatal(_))), "{url}");
    }
}

//! Databases for tests: a SQLite file always, a PostgreSQL schema when `TEST_POSTGRES_URL` is set.

use std::ops::Deref;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection};
use uuid::Uuid;

use crate::db::open_postgres;
use crate::{Db, Migrations, OpenOptions};

/// A migrated, empty database of its own; what it kept is removed when it is dropped.
pub struct TestDb {
    db: Db,
    url: String,
    place: Place,
}

enum Place {
    Folder(PathBuf),
    Schema { name: String, connect: Box<PgConnectOptions> },
}

/// Returns one empty database per engine, with the given migrations applied. Panics when one cannot be had.
pub async fn databases(migrations: &[&Migrations]) -> Vec<TestDb> {
    let mut databases = vec![sqlite(migrations).await];
    if let Ok(url) = std::env::var("TEST_POSTGRES_URL") {
        databases.push(postgres(&url, migrations).await);
    }
    databases
}

/// Returns an empty SQLite database with the given migrations applied, for tests of what no engine changes.
pub async fn sqlite(migrations: &[&Migrations]) -> TestDb {
    let folder = std::env::temp_dir().join(format!("comptoir-test-{}", Uuid::now_v7().simple()));
    let url = format!("sqlite:{}", folder.join("test.db").display());
    let db = Db::open(&url, OpenOptions::default()).await.expect("a temporary SQLite database opens");
    migrate(&db, migrations).await;
    TestDb { db, url, place: Place::Folder(folder) }
}

async fn postgres(url: &str, migrations: &[&Migrations]) -> TestDb {
    let name = format!("test_{}", Uuid::now_v7().simple());
    let server = PgConnectOptions::from_str(url).expect("TEST_POSTGRES_URL is a PostgreSQL URL");
    let mut connection = server.connect().await.expect("the PostgreSQL of TEST_POSTGRES_URL answers");
    sqlx::raw_sql(AssertSqlSafe(format!("CREATE SCHEMA {name}")))
        .execute(&mut connection)
        .await
        .expect("a schema can be created");
    connection.close().await.expect("a connection closes");

    let connect = server.clone().options([("search_path", &name)]).application_name(&name);
    let options =
        OpenOptions { max_connections: 6, acquire_timeout: Duration::from_secs(30), ..OpenOptions::default() };
    let db = open_postgres(connect, &options).await.map(Db::Postgres).expect("the schema opens");
    migrate(&db, migrations).await;

    let separator = if url.contains('?') { '&' } else { '?' };
    let url = format!("{url}{separator}options=-csearch_path%3D{name}&application_name={name}");
    TestDb { db, url, place: Place::Schema { name, connect: Box::new(server) } }
}

async fn migrate(db: &Db, migrations: &[&Migrations]) {
    for migrations in migrations {
        db.migrate(migrations).await.expect("the migrations apply");
    }
}

impl TestDb {
    /// Returns the handle to keep beyond a borrow; the database still ends with this value.
    pub fn handle(&self) -> Db {
        self.db.clone()
    }

    /// Returns a URL that [`Db::open`] takes, for a second process or replica on the same database.
    pub fn url(&self) -> &str {
        &self.url
    }
}

impl Deref for TestDb {
    type Target = Db;

    fn deref(&self) -> &Db {
        &self.db
    }
}

impl Drop for TestDb {
    fn drop(&mut self) {
        match &self.place {
            Place::Folder(folder) => {
                // What is left behind is only a temporary file.
                let _ = std::fs::remove_dir_all(folder);
            }
            Place::Schema { name, connect } => drop_schema(name.clone(), connect.as_ref().clone()),
        }
    }
}

/// Ends the sessions of the test and drops its schema, on a thread of its own because `drop` cannot await.
fn drop_schema(name: String, connect: PgConnectOptions) {
    const END_SESSIONS: &str = "
        SELECT pg_terminate_backend(pid)
          FROM pg_stat_activity
         WHERE application_name = $1";

    let dropping = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let mut connection = connect.connect().await?;
            sqlx::query(END_SESSIONS).bind(&name).execute(&mut connection).await?;
            sqlx::raw_sql(AssertSqlSafe(format!("SET lock_timeout = '5s'; DROP SCHEMA {name} CASCADE")))
                .execute(&mut connection)
                .await?;
            connection.close().await
        })?;
        Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
    });
    // A schema that stays is only litter in a test server.
    let _ = dropping.join();
}

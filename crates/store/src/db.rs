//! Opening a database by URL.

use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{Connection, PgPool, SqlitePool};

use crate::{Error, Tx};

/// An open database of either engine. Cloning is cheap and shares the connections.
#[derive(Clone)]
pub enum Db {
    /// A SQLite file of this process.
    Sqlite(SqliteDb),
    /// A PostgreSQL database, shared by replicas.
    Postgres(PgPool),
}

/// A SQLite file: one connection that writes, a few that read.
///
/// One writer, because SQLite allows only one at a time and queueing in the pool is fair while `SQLITE_BUSY` is not.
#[derive(Clone)]
pub struct SqliteDb {
    writer: SqlitePool,
    readers: SqlitePool,
}

/// How to open a database.
#[derive(Debug, Clone)]
pub struct OpenOptions {
    /// Most connections to a PostgreSQL server. Default 10.
    pub max_connections: u32,
    /// Reading connections to a SQLite file. Default 4.
    pub sqlite_readers: u32,
    /// How long to wait for a free connection before the store counts as unavailable. Default 30 s.
    pub acquire_timeout: Duration,
    /// Page cache of the writing SQLite connection in KiB; each reading one has a quarter. Default 32,768.
    pub sqlite_cache_kib: u32,
}

impl Default for OpenOptions {
    fn default() -> Self {
        Self {
            max_connections: 10,
            sqlite_readers: 4,
            acquire_timeout: Duration::from_secs(30),
            sqlite_cache_kib: 32_768,
        }
    }
}

const STATEMENT_CACHE: usize = 500;
/// How long SQLite waits for another process that writes, no longer than for a connection.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

impl Db {
    /// Opens `sqlite:PATH` (created when missing, with its folders) or `postgres://…`. Runs no migrations.
    pub async fn open(url: &str, options: OpenOptions) -> Result<Self, Error> {
        if url.starts_with("sqlite:") {
            return SqliteDb::open(url, &options).await.map(Self::Sqlite);
        }
        if url.starts_with("postgres:") || url.starts_with("postgresql:") {
            let connect = PgConnectOptions::from_str(url)?;
            return open_postgres(connect, &options).await.map(Self::Postgres);
        }
        Err(Error::fatal("a store URL begins with sqlite: or postgres:"))
    }

    /// Begins a transaction that may write.
    ///
    /// On SQLite it waits until no other one is open: never call it while holding a [`Tx`] of the same database.
    pub async fn begin(&self) -> Result<Tx, Error> {
        match self {
            // A deferred transaction that upgrades to a write can fail at once, whatever the busy timeout says.
            Self::Sqlite(sqlite) => Ok(Tx::sqlite(sqlite.writer.begin_with("BEGIN IMMEDIATE").await?)),
            Self::Postgres(pool) => Ok(Tx::postgres(pool.begin().await?)),
        }
    }

    /// Returns `"sqlite"` or `"postgres"`.
    pub fn engine(&self) -> &'static str {
        match self {
            Self::Sqlite(_) => "sqlite",
            Self::Postgres(_) => "postgres",
        }
    }

    /// Whether the database answers; for readiness.
    pub async fn ping(&self) -> Result<(), Error> {
        crate::on!(self, pool => sqlx::query("SELECT 1").execute(pool).await.map(|_| ()))?;
        Ok(())
    }

    /// Closes all connections once they are idle; what is open fails afterwards.
    pub async fn close(&self) {
        match self {
            Self::Sqlite(sqlite) => {
                sqlite.readers.close().await;
                sqlite.writer.close().await;
            }
            Self::Postgres(pool) => pool.close().await,
        }
    }
}

impl SqliteDb {
    async fn open(url: &str, options: &OpenOptions) -> Result<Self, Error> {
        let connect = SqliteConnectOptions::from_str(url)?;
        if url.contains(":memory:") || url.contains("mode=memory") {
            return Err(Error::fatal("an in-memory SQLite database cannot be shared by connections; name a file"));
        }
        create_parent(connect.get_filename())?;

        let connect = connect
            .create_if_missing(true)
            .foreign_keys(true)
            .journal_mode(SqliteJournalMode::Wal)
            // What is acknowledged survives a power cut.
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(BUSY_TIMEOUT.min(options.acquire_timeout))
            .statement_cache_capacity(STATEMENT_CACHE)
            // Batches of the log are blobs of about 100 KB: larger pages, and fewer checkpoints.
            .page_size(8_192)
            .pragma("wal_autocheckpoint", "4000")
            .pragma("journal_size_limit", "67108864")
            .pragma("temp_store", "MEMORY")
            .pragma("mmap_size", "0");
        let cache = |kib: u32| format!("-{kib}");

        let writer = SqlitePoolOptions::new()
            .min_connections(1)
            .max_connections(1)
            .acquire_timeout(options.acquire_timeout)
            .idle_timeout(None)
            .max_lifetime(None)
            .test_before_acquire(false)
            // A full disk ends a transaction inside SQLite; the rollback that follows fails, and the driver counts the
            // transaction as open for good. Such a connection is replaced, or nothing could ever be written again.
            .before_acquire(|connection, _| Box::pin(async { Ok(!connection.is_in_transaction()) }))
            .connect_with(connect.clone().pragma("cache_size", cache(options.sqlite_cache_kib)))
            .await?;
        let readers = SqlitePoolOptions::new()
            .max_connections(options.sqlite_readers)
            .acquire_timeout(options.acquire_timeout)
            .idle_timeout(None)
            .max_lifetime(None)
            .test_before_acquire(false)
            .connect_with(connect.pragma("cache_size", cache(options.sqlite_cache_kib / 4)).pragma("query_only", "ON"))
            .await?;
        Ok(Self { writer, readers })
    }

    /// Returns the pool of reading connections; a write through it fails.
    pub fn readers(&self) -> &SqlitePool {
        &self.readers
    }

    pub(crate) fn writer(&self) -> &SqlitePool {
        &self.writer
    }
}

pub(crate) async fn open_postgres(connect: PgConnectOptions, options: &OpenOptions) -> Result<PgPool, Error> {
    let connect = connect.statement_cache_capacity(STATEMENT_CACHE);
    let pool = PgPoolOptions::new()
        .max_connections(options.max_connections)
        .acquire_timeout(options.acquire_timeout)
        // A ping before every use would double the round trips; a broken connection surfaces as `Unavailable`.
        .test_before_acquire(false)
        .connect_with(connect)
        .await?;
    Ok(pool)
}

fn create_parent(file: &Path) -> Result<(), Error> {
    match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => {
            std::fs::create_dir_all(folder).map_err(|error| sqlx::Error::Io(error).into())
        }
        _ => Ok(()),
    }
}

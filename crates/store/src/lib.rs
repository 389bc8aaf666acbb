//! How every service keeps what it must not lose, and what it may.
//!
//! This crate owns the opening of SQLite and PostgreSQL from one URL, transactions, migrations, the databases that
//! tests use, and the losable [`Cache`] (in memory or Redis). It promises that what is committed survives a power
//! cut on both engines, that a dropped transaction leaves nothing behind, and that one SQL text with one Rust body
//! serves both engines: the caller writes `$1` parameters in the shared subset, [`on!`] and [`within!`] write the
//! body into both arms.
//!
//! A SQLite database has one writing connection and a few reading ones. So [`Db::begin`] waits its turn, and a task
//! that holds a [`Tx`] must not begin another one: it would wait for itself. Reads through [`on!`] see what was
//! committed, never what an open transaction has written; read through [`within!`] for that.
//!
//! To add a table: write `migrations/sqlite/NNNN_name.sql` and `migrations/postgres/NNNN_name.sql` in the crate that
//! owns it, name them in a `static MIGRATIONS: store::Migrations = store::migrations!("service")`, and run the
//! store's tests over [`testing::databases`], which brings both engines.

mod bulk;
mod cache;
mod db;
mod error;
mod migrate;
pub mod testing;
mod tx;

pub use bulk::chunks;
pub use cache::Cache;
pub use db::{Db, OpenOptions, SqliteDb};
pub use error::{Cause, Error};
pub use migrate::Migrations;
pub use tx::{Connection, Tx};

/// Runs one expression against the reading pool of either engine; both arms must have one type.
///
/// `store::on!(db, pool => sqlx::query_as(FIND).bind(id).fetch_optional(pool).await)`
#[macro_export]
macro_rules! on {
    ($db:expr, $pool:ident => $body:expr) => {
        match &$db {
            $crate::Db::Sqlite(sqlite) => {
                let $pool = sqlite.readers();
                $body
            }
            $crate::Db::Postgres($pool) => $body,
        }
    };
}

/// Runs one expression on the connection of a transaction of either engine; both arms must have one type.
///
/// `store::within!(tx, conn => sqlx::query(INSERT).bind(id).execute(&mut *conn).await)`
#[macro_export]
macro_rules! within {
    ($tx:expr, $conn:ident => $body:expr) => {
        match $tx.connection() {
            $crate::Connection::Sqlite($conn) => $body,
            $crate::Connection::Postgres($conn) => $body,
        }
    };
}

//! Transactions of either engine.

use sqlx::{PgConnection, Postgres, Sqlite, SqliteConnection, Transaction};

use crate::Error;

/// An open transaction. Dropping it rolls everything back.
///
/// On SQLite it holds the only writing connection: keep it short, and never begin another one while holding it.
#[must_use = "a transaction that is not committed is rolled back"]
pub struct Tx {
    engine: Engine,
    after_commit: Vec<Box<dyn FnOnce() + Send>>,
}

enum Engine {
    Sqlite(Transaction<'static, Sqlite>),
    Postgres(Transaction<'static, Postgres>),
}

/// The connection that a transaction runs on; what [`crate::within!`] matches.
pub enum Connection<'t> {
    /// A SQLite connection.
    Sqlite(&'t mut SqliteConnection),
    /// A PostgreSQL connection.
    Postgres(&'t mut PgConnection),
}

impl Tx {
    pub(crate) fn sqlite(transaction: Transaction<'static, Sqlite>) -> Self {
        Self { engine: Engine::Sqlite(transaction), after_commit: Vec::new() }
    }

    pub(crate) fn postgres(transaction: Transaction<'static, Postgres>) -> Self {
        Self { engine: Engine::Postgres(transaction), after_commit: Vec::new() }
    }

    /// Returns the connection, for [`crate::within!`].
    pub fn connection(&mut self) -> Connection<'_> {
        match &mut self.engine {
            Engine::Sqlite(transaction) => Connection::Sqlite(&mut *transaction),
            Engine::Postgres(transaction) => Connection::Postgres(&mut *transaction),
        }
    }

    /// Has `hook` run once the commit has succeeded; it is dropped unrun on rollback.
    ///
    /// For what must not be seen before it is durable: waking followers, publishing a cache. It must not block.
    pub fn after_commit(&mut self, hook: impl FnOnce() + Send + 'static) {
        self.after_commit.push(Box::new(hook));
    }

    /// Makes everything written durable, then runs the hooks in the order they were given.
    pub async fn commit(self) -> Result<(), Error> {
        match self.engine {
            Engine::Sqlite(transaction) => transaction.commit().await?,
            Engine::Postgres(transaction) => transaction.commit().await?,
        }
        for hook in self.after_commit {
            hook();
        }
        Ok(())
    }

    /// Undoes everything and waits until that has happened; dropping does the same without waiting.
    pub async fn rollback(self) -> Result<(), Error> {
        match self.engine {
            Engine::Sqlite(transaction) => transaction.rollback().await?,
            Engine::Postgres(transaction) => transaction.rollback().await?,
        }
        Ok(())
    }
}

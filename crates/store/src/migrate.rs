//! Migrations: forward only, the same numbers and names on both engines.

use sqlx::migrate::{Migrate, Migrator};

use crate::{Db, Error};

/// The migrations of one crate, for both engines.
///
/// Several may live in one database (the log's beside the service's): each records what it has applied in its own
/// table `_migrations_<name>`.
pub struct Migrations {
    /// Names the table that records what was applied: lower-case letters, digits, underscores.
    pub name: &'static str,
    /// What makes the tables on SQLite.
    pub sqlite: Migrator,
    /// What makes the same tables on PostgreSQL.
    pub postgres: Migrator,
}

/// Embeds `migrations/sqlite` and `migrations/postgres` of the calling crate.
///
/// `pub static MIGRATIONS: store::Migrations = store::migrations!("identity");`
#[macro_export]
macro_rules! migrations {
    ($name:literal) => {
        $crate::Migrations {
            name: $name,
            sqlite: ::sqlx::migrate!("migrations/sqlite"),
            postgres: ::sqlx::migrate!("migrations/postgres"),
        }
    };
}

const SQLITE_TABLE_EXISTS: &str = "
    SELECT COUNT(*)
      FROM sqlite_master
     WHERE type = 'table' AND name = $1";
const POSTGRES_TABLE_EXISTS: &str = "
    SELECT COUNT(*)
      FROM pg_catalog.pg_class
     WHERE oid = to_regclass($1)";

impl Migrations {
    fn table(&self) -> String {
        format!("_migrations_{}", self.name)
    }

    fn of(&self, db: &Db) -> &Migrator {
        match db {
            Db::Sqlite(_) => &self.sqlite,
            Db::Postgres(_) => &self.postgres,
        }
    }

    /// Returns the migrator with its own table, tolerant of newer migrations so that an older image still starts.
    fn migrator(&self, db: &Db) -> Migrator {
        let mut migrator = Migrator::with_migrations(self.of(db).iter().cloned().collect());
        migrator.dangerous_set_table_name(self.table());
        migrator.set_ignore_missing(true);
        migrator
    }
}

impl Db {
    /// Applies what is missing; does nothing when all is there. Replicas may call it at the same time.
    pub async fn migrate(&self, migrations: &Migrations) -> Result<(), Error> {
        let migrator = migrations.migrator(self);
        match self {
            Self::Sqlite(sqlite) => {
                let mut connection = sqlite.writer().acquire().await?;
                migrator.run_direct(None, &mut *connection, false).await?;
            }
            Self::Postgres(pool) => {
                let mut connection = pool.acquire().await?;
                let outcome = migrator.run_direct(None, &mut *connection, false).await;
                if outcome.is_err() {
                    // A failed run keeps the advisory lock; only closing the session lets it go.
                    connection.close().await?;
                }
                outcome?;
            }
        }
        Ok(())
    }

    /// Fails unless every migration of `all` has been applied. What a service asks before it touches its tables.
    pub async fn require_current(&self, all: &[&Migrations]) -> Result<(), kit::Error> {
        for migrations in all {
            if !self.is_current(migrations).await? {
                let message = format!(
                    "the database lacks migrations ({}): run `migrate`, or set store.migrate to true",
                    migrations.name
                );
                return Err(kit::Error::failed_precondition("MIGRATIONS_PENDING", message));
            }
        }
        Ok(())
    }

    /// Whether every migration has been applied unchanged.
    pub async fn is_current(&self, migrations: &Migrations) -> Result<bool, Error> {
        let table = migrations.table();
        let tables: i64 = match self {
            Self::Sqlite(sqlite) => {
                sqlx::query_scalar(SQLITE_TABLE_EXISTS).bind(&table).fetch_one(sqlite.readers()).await?
            }
            Self::Postgres(pool) => sqlx::query_scalar(POSTGRES_TABLE_EXISTS).bind(&table).fetch_one(pool).await?,
        };
        if tables == 0 {
            return Ok(migrations.of(self).iter().next().is_none());
        }
        let applied = crate::on!(self, pool => pool.acquire().await?.list_applied_migrations(&table).await)?;
        let is_applied = |migration: &sqlx::migrate::Migration| {
            applied.iter().any(|done| done.version == migration.version && done.checksum == migration.checksum)
        };
        Ok(migrations.of(self).iter().all(is_applied))
    }
}

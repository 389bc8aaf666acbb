//! Engines, and PostgreSQL databases that live as long as one test.

use std::collections::BTreeMap;

use anyhow::Context;
use comptoir::cluster::SERVICES;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, postgres::PgConnectOptions};

/// Where the services keep what they know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    /// SQLite files.
    Sqlite,
    /// Databases on the server that `TEST_POSTGRES_URL` names.
    Postgres,
}

impl Engine {
    /// Returns the engines that can be tested here: SQLite always, PostgreSQL when there is a server.
    pub fn all() -> Vec<Self> {
        match postgres_server() {
            Some(_) => vec![Self::Sqlite, Self::Postgres],
            None => {
                eprintln!("PostgreSQL is left out: TEST_POSTGRES_URL is not set");
                vec![Self::Sqlite]
            }
        }
    }

    /// Returns the engine of a cluster in earnest: PostgreSQL when there is a server.
    pub fn best() -> Self {
        if postgres_server().is_some() { Self::Postgres } else { Self::Sqlite }
    }
}

/// Returns the PostgreSQL server to test on.
pub fn postgres_server() -> Option<String> {
    std::env::var("TEST_POSTGRES_URL").ok().filter(|url| !url.is_empty())
}

/// Returns the Redis server to test on.
pub fn redis_server() -> Option<String> {
    std::env::var("TEST_REDIS_URL").ok().filter(|url| !url.is_empty())
}

/// One PostgreSQL database for each service. Dropped with this value.
pub struct FreshDatabases {
    server: String,
    names: BTreeMap<&'static str, String>,
}

impl FreshDatabases {
    /// Creates the databases.
    pub async fn create() -> anyhow::Result<Self> {
        let server = postgres_server().context("TEST_POSTGRES_URL is not set")?;
        let mut fresh = Self { server, names: BTreeMap::new() };
        for service in SERVICES {
            let name = format!("e2e_{service}_{}", uuid::Uuid::now_v7().simple());
            execute(&fresh.server, vec![format!("CREATE DATABASE {name}")]).await?;
            fresh.names.insert(service, name);
        }
        Ok(fresh)
    }

    /// Returns the URL of a service's database.
    pub fn url(&self, service: &str) -> String {
        let (head, _) = self.server.rsplit_once('/').unwrap_or((&self.server, ""));
        format!("{head}/{}", self.names[service])
    }
}

impl Drop for FreshDatabases {
    fn drop(&mut self) {
        let server = self.server.clone();
        let statements: Vec<String> =
            self.names.values().map(|name| format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")).collect();
        // On a thread of its own: the runtime of the test may be the one that is unwinding.
        let cleaning = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(execute(&server, statements))
        });
        if let Ok(Err(error)) = cleaning.join() {
            eprintln!("a test database could not be dropped: {error:#}");
        }
    }
}

async fn execute(server: &str, statements: Vec<String>) -> anyhow::Result<()> {
    let options: PgConnectOptions = server.parse().context("TEST_POSTGRES_URL cannot be read")?;
    let mut connection = options.connect().await.context("the PostgreSQL server cannot be reached")?;
    for statement in statements {
        sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut connection).await?;
    }
    Ok(connection.close().await?)
}

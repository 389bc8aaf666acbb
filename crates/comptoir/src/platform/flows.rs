//! Who follows which log, and how far each is, as the services' stores tell.

use ::store::{Db, on};
use kit::Error;

use super::Databases;

/// A log on its way to one of its followers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flow {
    /// The service that publishes the log.
    pub publisher: &'static str,
    /// The log.
    pub log: &'static str,
    /// The service that follows it.
    pub follower: &'static str,
}

/// Every log with every follower, in the order in which records flow.
pub const FLOWS: [Flow; 5] = [
    Flow { publisher: "ingestion", log: "events", follower: "identity" },
    Flow { publisher: "identity", log: "profiles", follower: "scoring" },
    Flow { publisher: "identity", log: "profiles", follower: "recommendation" },
    Flow { publisher: "identity", log: "profiles", follower: "campaign" },
    Flow { publisher: "scoring", log: "scores", follower: "campaign" },
];

const END: &str = "
    SELECT CAST(COALESCE(SUM(next_offset), 0) AS BIGINT)
      FROM log_partitions
     WHERE log = $1";
const CURSOR: &str = "
    SELECT CAST(COALESCE(SUM(next_offset), 0) AS BIGINT)
      FROM log_cursors
     WHERE log = $1";

impl Flow {
    /// Returns how many records were published so far, in all partitions of all tenants.
    pub async fn published(&self, databases: &Databases) -> Result<i64, Error> {
        sum(database(databases, self.publisher), END, self.log).await
    }

    /// Returns how many of them the follower has committed the effects of.
    pub async fn followed(&self, databases: &Databases) -> Result<i64, Error> {
        sum(database(databases, self.follower), CURSOR, self.log).await
    }
}

fn database<'a>(databases: &'a Databases, service: &str) -> &'a Db {
    let each = databases.each();
    let (_, db) = each.iter().find(|(name, _)| *name == service).expect("the table names services");
    db
}

async fn sum(db: &Db, statement: &'static str, log: &str) -> Result<i64, Error> {
    let read = on!(db, pool => sqlx::query_scalar(statement).bind(log).fetch_one(pool).await);
    read.map_err(|error| ::store::Error::from(error).into())
}

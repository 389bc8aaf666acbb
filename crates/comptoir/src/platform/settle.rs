//! Knowing when nothing is under way.

use std::time::Duration;

use ::store::{Db, on};
use kit::{Clock, Error};

use super::Databases;

/// Pause between two looks.
const PAUSE: Duration = Duration::from_millis(4);

/// Who follows which log, in the order records flow.
const FOLLOWERS: [(&str, &str, &str); 5] = [
    ("ingestion", "events", "identity"),
    ("identity", "profiles", "scoring"),
    ("identity", "profiles", "recommendation"),
    ("identity", "profiles", "campaign"),
    ("scoring", "scores", "campaign"),
];

const ENDS: &str = "
    SELECT CAST(COALESCE(SUM(next_offset), 0) AS BIGINT)
      FROM log_partitions
     WHERE log = $1";
const CURSORS: &str = "
    SELECT CAST(COALESCE(SUM(next_offset), 0) AS BIGINT)
      FROM log_cursors
     WHERE log = $1";

/// Waits until every follower has committed every record of its log and nothing is due at the time of `clock`, twice in a row:
/// what was under way between two stores shows up on the second look.
pub async fn settled(databases: &Databases, clock: &Clock) -> Result<(), Error> {
    let mut last = None;
    loop {
        let seen = look(databases, clock.now_us()).await?;
        if seen.is_some() && seen == last {
            return Ok(());
        }
        if seen.is_none() {
            tokio::time::sleep(PAUSE).await;
        }
        last = seen;
    }
}

/// Returns the ends of all logs when all is read and nothing is due.
async fn look(databases: &Databases, now_us: i64) -> Result<Option<Vec<i64>>, Error> {
    let mut ends = Vec::with_capacity(FOLLOWERS.len());
    for (publisher, log, follower) in FOLLOWERS {
        let end = sum(database(databases, publisher), ENDS, log).await?;
        let cursor = sum(database(databases, follower), CURSORS, log).await?;
        if cursor < end {
            return Ok(None);
        }
        ends.push(end);
    }
    let due =
        scoring::due_work(&databases.scoring, now_us).await? + campaign::due_work(&databases.campaign, now_us).await?;
    Ok((due == 0).then_some(ends))
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

//! Knowing when nothing is under way, and when something will be.

use std::time::Duration;

use kit::{Clock, Error};

use super::{Databases, FLOWS};

/// Pause between two looks.
const PAUSE: Duration = Duration::from_millis(4);

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

/// Returns when the first of all timers of all services is due, in microseconds since the Unix epoch.
pub async fn next_due_us(databases: &Databases) -> Result<Option<i64>, Error> {
    let in_scoring = scoring::next_due_us(&databases.scoring).await?;
    let in_campaign = campaign::next_due_us(&databases.campaign).await?;
    Ok(in_scoring.into_iter().chain(in_campaign).min())
}

/// Returns the ends of all logs when all is read and nothing is due.
async fn look(databases: &Databases, now_us: i64) -> Result<Option<Vec<i64>>, Error> {
    let mut ends = Vec::with_capacity(FLOWS.len());
    for flow in FLOWS {
        let end = flow.published(databases).await?;
        if flow.followed(databases).await? < end {
            return Ok(None);
        }
        ends.push(end);
    }
    let due =
        scoring::due_work(&databases.scoring, now_us).await? + campaign::due_work(&databases.campaign, now_us).await?;
    Ok((due == 0).then_some(ends))
}

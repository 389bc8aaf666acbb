use ::store::Db;
use kit::Error;

use crate::{
    domain::message::State,
    store::{campaigns, due, feedback as outbox},
};

/// Returns how much is left to do at `now_us`, in microseconds since the Unix epoch: kinds of work, of all tenants, of which
/// something is due, being handed over, or to be told to ingestion; 0 when nothing is. What the followers have not folded
/// yet is not looked at. For tools that wait until nothing is under way.
pub async fn due_work(db: &Db, now_us: i64) -> Result<i64, Error> {
    let mut kinds = 0;
    for tenant in campaigns::tenants(db).await? {
        for state in [State::Scheduled, State::Queued, State::Handing] {
            let next_us = due::next_us(db, &tenant, state).await?;
            let is_left = next_us.is_some_and(|next_us| next_us <= now_us || state == State::Handing);
            kinds += i64::from(is_left);
        }
        kinds += i64::from(outbox::is_waiting(db, &tenant).await?);
    }
    Ok(kinds)
}

/// Returns when the next message is due, of all tenants, in microseconds since the Unix epoch. For tools that let time pass.
pub async fn next_due_us(db: &Db) -> Result<Option<i64>, Error> {
    let mut first_us = None;
    for tenant in campaigns::tenants(db).await? {
        for state in [State::Scheduled, State::Queued] {
            let next_us = due::next_us(db, &tenant, state).await?;
            first_us = first_us.into_iter().chain(next_us).min();
        }
    }
    Ok(first_us)
}

use ::store::{Db, on};
use kit::Error;

use crate::store::{profiles, shards};

const DUE: &str = "
    SELECT COUNT(*)
      FROM profiles
     WHERE due_us <= $1";
const UNJUDGED: &str = "
    SELECT COUNT(*)
      FROM shards
      JOIN benches ON benches.tenant_id = shards.tenant_id
     WHERE shards.judged_rules < benches.rules_version OR shards.judged_cuts < benches.cuts_version";

/// Returns how much the keeper has left to do at `now_us`, in microseconds since the Unix epoch: people whose membership time
/// alone may have changed, stale cuts, and shards not yet judged by the newest rules and cuts. For tools that wait until
/// nothing is under way.
pub async fn due_work(db: &Db, now_us: i64) -> Result<i64, Error> {
    let due: i64 =
        on!(db, pool => sqlx::query_scalar(DUE).bind(now_us).fetch_one(pool).await).map_err(::store::Error::from)?;
    let unjudged: i64 =
        on!(db, pool => sqlx::query_scalar(UNJUDGED).fetch_one(pool).await).map_err(::store::Error::from)?;
    let stale = shards::freshness(db).await?.iter().filter(|fresh| fresh.is_stale(now_us)).count();
    Ok(due + unjudged + i64::try_from(stale).unwrap_or(i64::MAX))
}

/// Returns when time alone may next change anything, in microseconds since the Unix epoch: somebody's membership, or the cuts.
/// For tools that let time pass.
pub async fn next_due_us(db: &Db) -> Result<Option<i64>, Error> {
    let person = profiles::first_due(db).await?.map(|(_, due_us)| due_us);
    let freshness = shards::freshness(db).await?;
    Ok(person.into_iter().chain(freshness.iter().map(shards::Freshness::stale_us)).min())
}

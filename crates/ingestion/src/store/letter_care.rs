//! Caring for dead letters: which wait, which were read, which have waited too long.

use kit::TenantId;
use sqlx::QueryBuilder;
use store::{Db, Error, Tx};

use super::is_nowhere;

/// Dead letters of one source with one reason.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub(crate) struct WaitingRow {
    pub(crate) source_id: String,
    pub(crate) reason: String,
    pub(crate) letters: i64,
    pub(crate) unread: i64,
    pub(crate) oldest_us: i64,
}

/// All dead letters there are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Waiting {
    pub(crate) letters: i64,
    pub(crate) unread: i64,
    /// When the oldest was received.
    pub(crate) oldest_us: Option<i64>,
}

/// A dead letter that was removed because it was too old.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Expired {
    pub(crate) source_id: String,
    pub(crate) was_read: bool,
}

const SUMMARIZE: &str = "
    SELECT source_id,
           reason,
           COUNT(*) AS letters,
           COUNT(*) - COUNT(read_us) AS unread,
           MIN(receive_us) AS oldest_us
      FROM dead_letters
     WHERE tenant_id = $1
       AND ($2 = '' OR source_id = $2)
     GROUP BY source_id, reason
     ORDER BY source_id, reason
     LIMIT $3";
const COUNT: &str = "
    SELECT COUNT(*), COUNT(*) - COUNT(read_us), MIN(receive_us)
      FROM dead_letters";
/// The oldest of a tenant first; few at a time, so that the one writer of SQLite is not held for long.
const EXPIRE: &str = "
    DELETE FROM dead_letters
     WHERE tenant_id = $1
       AND dead_letter_id IN (
           SELECT dead_letter_id
             FROM dead_letters
            WHERE tenant_id = $1 AND receive_us < $2
            ORDER BY receive_us, dead_letter_id
            LIMIT $3)
    RETURNING source_id, CASE WHEN read_us IS NULL THEN 0 ELSE 1 END";
const ANY_EXPIRED: &str = "
    SELECT 1
      FROM dead_letters
     WHERE tenant_id = $1 AND receive_us < $2
     LIMIT 1";

/// Counts the dead letters of one source, or of all when `source_id` is empty, by source and reason.
pub(crate) async fn summarize(
    db: &Db,
    tenant: &TenantId,
    source_id: &str,
    limit: i64,
) -> Result<Vec<WaitingRow>, Error> {
    if is_nowhere(source_id) {
        return Ok(Vec::new());
    }
    let rows = store::on!(db, pool => {
        sqlx::query_as(SUMMARIZE).bind(tenant.as_str()).bind(source_id).bind(limit).fetch_all(pool).await
    })?;
    Ok(rows)
}

/// Counts all dead letters.
pub(crate) async fn count(db: &Db) -> Result<Waiting, Error> {
    let (letters, unread, oldest_us): (i64, i64, Option<i64>) =
        store::on!(db, pool => sqlx::query_as(COUNT).fetch_one(pool).await)?;
    Ok(Waiting { letters, unread, oldest_us })
}

/// Notes that somebody has seen these dead letters.
pub(crate) async fn mark_read(tx: &mut Tx, tenant: &TenantId, ids: &[&str], now_us: i64) -> Result<(), Error> {
    for chunk in store::chunks(ids, 1) {
        store::within!(tx, conn => {
            let mut query = QueryBuilder::new("UPDATE dead_letters SET read_us = ");
            query.push_bind(now_us).push(" WHERE tenant_id = ").push_bind(tenant.as_str());
            query.push(" AND read_us IS NULL AND dead_letter_id IN (");
            let mut list = query.separated(", ");
            for id in chunk {
                list.push_bind(*id);
            }
            query.push(")");
            query.build().persistent(false).execute(&mut *conn).await.map(|_| ())
        })?;
    }
    Ok(())
}

/// Removes at most `limit` dead letters of a tenant that were received before `cutoff_us`.
pub(crate) async fn expire(db: &Db, tenant: &TenantId, cutoff_us: i64, limit: i64) -> Result<Vec<Expired>, Error> {
    // Asked first on a reading connection: nearly always there is nothing to remove, and writers are few.
    let any: Option<i32> = store::on!(db, pool => {
        let query = sqlx::query(ANY_EXPIRED).bind(tenant.as_str()).bind(cutoff_us);
        query.fetch_optional(pool).await.map(|row| row.map(|_| 1))
    })?;
    if any.is_none() {
        return Ok(Vec::new());
    }
    let mut tx = db.begin().await?;
    let rows: Vec<(String, i32)> = store::within!(tx, conn => {
        let query = sqlx::query_as(EXPIRE).bind(tenant.as_str()).bind(cutoff_us).bind(limit);
        query.fetch_all(&mut *conn).await
    })?;
    tx.commit().await?;
    Ok(rows.into_iter().map(|(source_id, read)| Expired { source_id, was_read: read != 0 }).collect())
}

/// Every whole statement, for the test that prepares them.
#[cfg(test)]
pub(crate) const STATEMENTS: &[&str] = &[SUMMARIZE, COUNT, EXPIRE, ANY_EXPIRED];

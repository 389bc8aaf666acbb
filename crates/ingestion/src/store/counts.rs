//! What each source sent.

use std::collections::BTreeMap;

use kit::TenantId;
use store::{Db, Error, Tx};

use super::is_nowhere;

/// Counts of one source.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, sqlx::FromRow)]
pub(crate) struct Counts {
    pub(crate) accepted: i64,
    pub(crate) duplicate: i64,
    pub(crate) quarantined: i64,
    /// Of the accepted: from machines.
    pub(crate) bot: i64,
    /// Of the accepted: long past when received.
    pub(crate) late: i64,
    /// Of the quarantined: no good events, plan or not.
    pub(crate) invalid: i64,
    /// Of the accepted: not as the tracking plan has them.
    pub(crate) off_plan: i64,
}

/// Additions by tenant and source; ordered, so that transactions lock the rows in one order.
pub(crate) type CountsBySource = BTreeMap<(TenantId, String), Counts>;

const ADD: &str = "
    INSERT INTO event_counts
           (tenant_id, source_id, accepted, duplicate, quarantined, bot, late, invalid, off_plan)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
    ON CONFLICT (tenant_id, source_id) DO UPDATE
       SET accepted = event_counts.accepted + excluded.accepted,
           duplicate = event_counts.duplicate + excluded.duplicate,
           quarantined = event_counts.quarantined + excluded.quarantined,
           bot = event_counts.bot + excluded.bot,
           late = event_counts.late + excluded.late,
           invalid = event_counts.invalid + excluded.invalid,
           off_plan = event_counts.off_plan + excluded.off_plan";
const LIST: &str = "
    SELECT sources.source_id,
           COALESCE(event_counts.accepted, 0) AS accepted,
           COALESCE(event_counts.duplicate, 0) AS duplicate,
           COALESCE(event_counts.quarantined, 0) AS quarantined,
           COALESCE(event_counts.bot, 0) AS bot,
           COALESCE(event_counts.late, 0) AS late,
           COALESCE(event_counts.invalid, 0) AS invalid,
           COALESCE(event_counts.off_plan, 0) AS off_plan
      FROM sources
      LEFT JOIN event_counts
        ON event_counts.tenant_id = sources.tenant_id
       AND event_counts.source_id = sources.source_id
     WHERE sources.tenant_id = $1
       AND ($2 = '' OR sources.source_id = $2)
     ORDER BY sources.source_id";

#[derive(sqlx::FromRow)]
struct Row {
    source_id: String,
    #[sqlx(flatten)]
    counts: Counts,
}

/// Adds to the counts.
pub(crate) async fn add(tx: &mut Tx, additions: &CountsBySource) -> Result<(), Error> {
    for ((tenant, source_id), counts) in additions {
        store::within!(tx, conn => {
            let query = sqlx::query(ADD).bind(tenant.as_str()).bind(source_id);
            let query = query.bind(counts.accepted).bind(counts.duplicate).bind(counts.quarantined);
            let query = query.bind(counts.bot).bind(counts.late).bind(counts.invalid).bind(counts.off_plan);
            query.execute(&mut *conn).await.map(|_| ())
        })?;
    }
    Ok(())
}

/// Returns the counts of one source, or of all when `source_id` is empty, by source id.
pub(crate) async fn list(db: &Db, tenant: &TenantId, source_id: &str) -> Result<Vec<(String, Counts)>, Error> {
    if is_nowhere(source_id) {
        return Ok(Vec::new());
    }
    let rows: Vec<Row> = store::on!(db, pool => {
        sqlx::query_as(LIST).bind(tenant.as_str()).bind(source_id).fetch_all(pool).await
    })?;
    Ok(rows.into_iter().map(|row| (row.source_id, row.counts)).collect())
}

/// Every statement, for the test that prepares them.
#[cfg(test)]
pub(crate) const STATEMENTS: &[&str] = &[ADD, LIST];

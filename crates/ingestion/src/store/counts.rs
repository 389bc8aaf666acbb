//! What each source sent.

use std::collections::BTreeMap;

use kit::TenantId;
use store::{Db, Error, Tx};

use super::is_nowhere;

/// Counts of one source.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) accepted: i64,
    pub(crate) duplicate: i64,
    pub(crate) quarantined: i64,
}

/// Additions by tenant and source; ordered, so that transactions lock the rows in one order.
pub(crate) type CountsBySource = BTreeMap<(TenantId, String), Counts>;

const ADD: &str = "
    INSERT INTO event_counts (tenant_id, source_id, accepted, duplicate, quarantined)
    VALUES ($1, $2, $3, $4, $5)
    ON CONFLICT (tenant_id, source_id) DO UPDATE
       SET accepted = event_counts.accepted + excluded.accepted,
           duplicate = event_counts.duplicate + excluded.duplicate,
           quarantined = event_counts.quarantined + excluded.quarantined";
const LIST: &str = "
    SELECT sources.source_id,
           COALESCE(event_counts.accepted, 0),
           COALESCE(event_counts.duplicate, 0),
           COALESCE(event_counts.quarantined, 0)
      FROM sources
      LEFT JOIN event_counts
        ON event_counts.tenant_id = sources.tenant_id
       AND event_counts.source_id = sources.source_id
     WHERE sources.tenant_id = $1
       AND ($2 = '' OR sources.source_id = $2)
     ORDER BY sources.source_id";

/// Adds to the counts.
pub(crate) async fn add(tx: &mut Tx, additions: &CountsBySource) -> Result<(), Error> {
    for ((tenant, source_id), counts) in additions {
        store::within!(tx, conn => {
            let query = sqlx::query(ADD).bind(tenant.as_str()).bind(source_id);
            let query = query.bind(counts.accepted).bind(counts.duplicate).bind(counts.quarantined);
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
    let rows: Vec<(String, i64, i64, i64)> = store::on!(db, pool => {
        sqlx::query_as(LIST).bind(tenant.as_str()).bind(source_id).fetch_all(pool).await
    })?;
    let counts =
        |(source_id, accepted, duplicate, quarantined)| (source_id, Counts { accepted, duplicate, quarantined });
    Ok(rows.into_iter().map(counts).collect())
}

/// Every statement, for the test that prepares them.
#[cfg(test)]
pub(crate) const STATEMENTS: &[&str] = &[ADD, LIST];

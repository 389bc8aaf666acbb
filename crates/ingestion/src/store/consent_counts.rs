//! What became of events for want of consent.

use std::collections::BTreeMap;

use kit::TenantId;
use store::{Db, Error, Tx};

use super::is_nowhere;

/// Counts of one source.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct ConsentCounts {
    pub(crate) denied: i64,
    pub(crate) held: i64,
    pub(crate) released: i64,
    pub(crate) destroyed: i64,
}

/// Additions by tenant and source; ordered, so that transactions lock the rows in one order.
pub(crate) type ConsentCountsBySource = BTreeMap<(TenantId, String), ConsentCounts>;

const ADD: &str = "
    INSERT INTO consent_counts (tenant_id, source_id, denied, held, released, destroyed)
    VALUES ($1, $2, $3, $4, $5, $6)
    ON CONFLICT (tenant_id, source_id) DO UPDATE
       SET denied = consent_counts.denied + excluded.denied,
           held = consent_counts.held + excluded.held,
           released = consent_counts.released + excluded.released,
           destroyed = consent_counts.destroyed + excluded.destroyed";
const LIST: &str = "
    SELECT source_id, denied, held, released, destroyed
      FROM consent_counts
     WHERE tenant_id = $1
       AND ($2 = '' OR source_id = $2)
     ORDER BY source_id";

/// Adds to the counts.
pub(crate) async fn add(tx: &mut Tx, additions: &ConsentCountsBySource) -> Result<(), Error> {
    for ((tenant, source_id), counts) in additions.iter().filter(|(_, counts)| **counts != ConsentCounts::default()) {
        store::within!(tx, conn => {
            let query = sqlx::query(ADD).bind(tenant.as_str()).bind(source_id);
            let query = query.bind(counts.denied).bind(counts.held).bind(counts.released).bind(counts.destroyed);
            query.execute(&mut *conn).await.map(|_| ())
        })?;
    }
    Ok(())
}

/// Returns the counts of one source, or of all when `source_id` is empty, by source id.
pub(crate) async fn list(db: &Db, tenant: &TenantId, source_id: &str) -> Result<Vec<(String, ConsentCounts)>, Error> {
    if is_nowhere(source_id) {
        return Ok(Vec::new());
    }
    let rows: Vec<(String, i64, i64, i64, i64)> = store::on!(db, pool => {
        sqlx::query_as(LIST).bind(tenant.as_str()).bind(source_id).fetch_all(pool).await
    })?;
    let counts = |(source_id, denied, held, released, destroyed)| {
        (source_id, ConsentCounts { denied, held, released, destroyed })
    };
    Ok(rows.into_iter().map(counts).collect())
}

/// Every statement, for the test that prepares them.
#[cfg(test)]
pub(crate) const STATEMENTS: &[&str] = &[ADD, LIST];

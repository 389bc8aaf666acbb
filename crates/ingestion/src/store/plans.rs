//! Tracking plans.

use kit::TenantId;
use store::{Db, Error, Tx};

use super::is_nowhere;

/// A plan as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub(crate) struct PlanRow {
    pub(crate) source_id: String,
    pub(crate) version: i64,
    pub(crate) update_us: i64,
    /// A serialised `comptoir.ingestion.v1.TrackingPlan`.
    pub(crate) plan: Vec<u8>,
}

const FIND: &str = "
    SELECT source_id, version, update_us, plan
      FROM tracking_plans
     WHERE tenant_id = $1 AND source_id = $2";
const LIST_AFTER: &str = "
    SELECT source_id, version, update_us, plan
      FROM tracking_plans
     WHERE tenant_id = $1 AND source_id > $2
     ORDER BY source_id
     LIMIT $3";
/// Two changes at once wait for each other here, and count up twice.
const PUT: &str = "
    INSERT INTO tracking_plans (tenant_id, source_id, version, update_us, plan)
    VALUES ($1, $2, 1, $3, $4)
    ON CONFLICT (tenant_id, source_id) DO UPDATE
       SET version = tracking_plans.version + 1, update_us = excluded.update_us, plan = excluded.plan
    RETURNING version";
const DELETE: &str = "
    DELETE FROM tracking_plans
     WHERE tenant_id = $1 AND source_id = $2";

pub(crate) async fn find(db: &Db, tenant: &TenantId, source_id: &str) -> Result<Option<PlanRow>, Error> {
    if is_nowhere(source_id) {
        return Ok(None);
    }
    let found = store::on!(db, pool => {
        sqlx::query_as(FIND).bind(tenant.as_str()).bind(source_id).fetch_optional(pool).await
    })?;
    Ok(found)
}

/// Returns at most `limit` plans of sources after `after`, by source id.
pub(crate) async fn list_after(db: &Db, tenant: &TenantId, after: &str, limit: i64) -> Result<Vec<PlanRow>, Error> {
    let rows = store::on!(db, pool => {
        sqlx::query_as(LIST_AFTER).bind(tenant.as_str()).bind(after).bind(limit).fetch_all(pool).await
    })?;
    Ok(rows)
}

/// Keeps a plan in the place of the one before. Returns its version.
pub(crate) async fn put(
    tx: &mut Tx,
    tenant: &TenantId,
    source_id: &str,
    update_us: i64,
    plan: &[u8],
) -> Result<i64, Error> {
    let version = store::within!(tx, conn => {
        let query = sqlx::query_scalar(PUT).bind(tenant.as_str()).bind(source_id).bind(update_us).bind(plan);
        query.fetch_one(&mut *conn).await
    })?;
    Ok(version)
}

pub(crate) async fn delete(tx: &mut Tx, tenant: &TenantId, source_id: &str) -> Result<(), Error> {
    store::within!(tx, conn => {
        sqlx::query(DELETE).bind(tenant.as_str()).bind(source_id).execute(&mut *conn).await.map(|_| ())
    })?;
    Ok(())
}

/// Every statement, for the test that prepares them.
#[cfg(test)]
pub(crate) const STATEMENTS: &[&str] = &[FIND, LIST_AFTER, PUT, DELETE];

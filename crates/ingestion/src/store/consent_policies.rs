//! Consent policies.

use kit::TenantId;
use store::{Db, Error, Tx};

use super::is_nowhere;

/// A policy as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub(crate) struct PolicyRow {
    /// Empty for the tenant.
    pub(crate) source_id: String,
    pub(crate) version: i64,
    pub(crate) update_us: i64,
    /// A serialised `comptoir.ingestion.v1.ConsentPolicy`.
    pub(crate) policy: Vec<u8>,
}

const PUT: &str = "
    INSERT INTO consent_policies (tenant_id, source_id, version, update_us, removed, policy)
    VALUES ($1, $2, 1, $3, 0, $4)
    ON CONFLICT (tenant_id, source_id) DO UPDATE
       SET version = consent_policies.version + 1,
           update_us = excluded.update_us,
           removed = 0,
           policy = excluded.policy
    RETURNING source_id, version, update_us, policy";
// The number stays, so that no two policies are told by the same.
const REMOVE: &str = "
    UPDATE consent_policies
       SET version = version + 1, update_us = $3, removed = 1
     WHERE tenant_id = $1 AND source_id = $2 AND removed = 0";
const FIND: &str = "
    SELECT source_id, version, update_us, policy
      FROM consent_policies
     WHERE tenant_id = $1 AND removed = 0 AND (source_id = $2 OR source_id = '')
     ORDER BY source_id DESC
     LIMIT 1";
const LIST_AFTER: &str = "
    SELECT source_id, version, update_us, policy
      FROM consent_policies
     WHERE tenant_id = $1 AND removed = 0 AND source_id >= $2
     ORDER BY source_id
     LIMIT $3";

const UNSETTLED: &str = "
    SELECT tenant_id, source_id, version, update_us
      FROM consent_policies
     WHERE settled_version < version
     ORDER BY update_us
     LIMIT $1";
const SETTLE: &str = "
    UPDATE consent_policies
       SET settled_version = $3
     WHERE tenant_id = $1 AND source_id = $2 AND settled_version < $3";

/// A policy that was put or removed, and what waits not yet decided again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unsettled {
    pub(crate) tenant: TenantId,
    /// Empty for the tenant.
    pub(crate) source_id: String,
    pub(crate) version: i64,
    pub(crate) update_us: i64,
}

/// Puts a policy.
pub(crate) async fn put(
    tx: &mut Tx,
    tenant: &TenantId,
    source_id: &str,
    update_us: i64,
    policy: &[u8],
) -> Result<PolicyRow, Error> {
    let row = store::within!(tx, conn => {
        let query = sqlx::query_as(PUT).bind(tenant.as_str()).bind(source_id).bind(update_us).bind(policy);
        query.fetch_one(&mut *conn).await
    })?;
    Ok(row)
}

/// Removes a policy, if it is there.
pub(crate) async fn remove(tx: &mut Tx, tenant: &TenantId, source_id: &str, update_us: i64) -> Result<(), Error> {
    store::within!(tx, conn => {
        let query = sqlx::query(REMOVE).bind(tenant.as_str()).bind(source_id).bind(update_us);
        query.execute(&mut *conn).await.map(|_| ())
    })?;
    Ok(())
}

/// Returns the policy of a source, else that of the tenant.
pub(crate) async fn find(db: &Db, tenant: &TenantId, source_id: &str) -> Result<Option<PolicyRow>, Error> {
    if is_nowhere(source_id) {
        return Ok(None);
    }
    let found = store::on!(db, pool => {
        sqlx::query_as(FIND).bind(tenant.as_str()).bind(source_id).fetch_optional(pool).await
    })?;
    Ok(found)
}

/// Returns the policy of a source, else that of the tenant, as the transaction sees it.
pub(crate) async fn find_within(tx: &mut Tx, tenant: &TenantId, source_id: &str) -> Result<Option<PolicyRow>, Error> {
    let found = store::within!(tx, conn => {
        sqlx::query_as(FIND).bind(tenant.as_str()).bind(source_id).fetch_optional(&mut *conn).await
    })?;
    Ok(found)
}

/// Returns at most `limit` policies that changed since what waits was decided, the first changed first.
pub(crate) async fn unsettled(db: &Db, limit: i64) -> Result<Vec<Unsettled>, Error> {
    let rows: Vec<(String, String, i64, i64)> = store::on!(db, pool => {
        sqlx::query_as(UNSETTLED).bind(limit).fetch_all(pool).await
    })?;
    let read = |(tenant_id, source_id, version, update_us): (String, String, i64, i64)| {
        let tenant = TenantId::try_from(tenant_id).map_err(|_| Error::Damaged("a tenant id".into()))?;
        Ok(Unsettled { tenant, source_id, version, update_us })
    };
    rows.into_iter().map(read).collect()
}

/// Notes that what waits was decided again by this version.
pub(crate) async fn settle(tx: &mut Tx, change: &Unsettled) -> Result<(), Error> {
    let Unsettled { tenant, source_id, version, .. } = change;
    store::within!(tx, conn => {
        let query = sqlx::query(SETTLE).bind(tenant.as_str()).bind(source_id).bind(version);
        query.execute(&mut *conn).await.map(|_| ())
    })?;
    Ok(())
}

/// Returns at most `limit` policies from a source on, by source.
pub(crate) async fn list_from(db: &Db, tenant: &TenantId, from: &str, limit: i64) -> Result<Vec<PolicyRow>, Error> {
    let rows = store::on!(db, pool => {
        sqlx::query_as(LIST_AFTER).bind(tenant.as_str()).bind(from).bind(limit).fetch_all(pool).await
    })?;
    Ok(rows)
}

/// Every statement, for the test that prepares them.
#[cfg(test)]
pub(crate) const STATEMENTS: &[&str] = &[PUT, REMOVE, FIND, LIST_AFTER, UNSETTLED, SETTLE];

//! What sources are held to: quotas, sites, and which version of a plan is in force.

use std::collections::HashMap;

use kit::{Origins, TenantId};
use sqlx::QueryBuilder;
use store::{Db, Error, Tx};

use super::is_nowhere;
use crate::domain::quota::Quota;

/// What a source is held to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ControlsRow {
    pub(crate) quota: Quota,
    pub(crate) origins: Origins,
    /// Version of its plan and when it was put, if it has one.
    pub(crate) plan: Option<(i64, i64)>,
}

/// Events and bytes a second, sites, version of the plan and when it was put.
type Found = (i64, i64, String, Option<i64>, Option<i64>);

const FIND: &str = "
    SELECT COALESCE(source_quotas.events_per_second, 0),
           COALESCE(source_quotas.bytes_per_second, 0),
           COALESCE(source_origins.origins, ''),
           tracking_plans.version,
           tracking_plans.update_us
      FROM sources
      LEFT JOIN source_quotas
        ON source_quotas.tenant_id = sources.tenant_id AND source_quotas.source_id = sources.source_id
      LEFT JOIN source_origins
        ON source_origins.tenant_id = sources.tenant_id AND source_origins.source_id = sources.source_id
      LEFT JOIN tracking_plans
        ON tracking_plans.tenant_id = sources.tenant_id AND tracking_plans.source_id = sources.source_id
     WHERE sources.tenant_id = $1 AND sources.source_id = $2";
const LIST: &str = "
    SELECT sources.source_id,
           COALESCE(source_quotas.events_per_second, 0),
           COALESCE(source_quotas.bytes_per_second, 0),
           COALESCE(source_origins.origins, '')
      FROM sources
      LEFT JOIN source_quotas
        ON source_quotas.tenant_id = sources.tenant_id AND source_quotas.source_id = sources.source_id
      LEFT JOIN source_origins
        ON source_origins.tenant_id = sources.tenant_id AND source_origins.source_id = sources.source_id
     WHERE sources.tenant_id = ";
const PUT_QUOTA: &str = "
    INSERT INTO source_quotas (tenant_id, source_id, events_per_second, bytes_per_second)
    VALUES ($1, $2, $3, $4)
    ON CONFLICT (tenant_id, source_id) DO UPDATE
       SET events_per_second = excluded.events_per_second, bytes_per_second = excluded.bytes_per_second";

const PUT_ORIGINS: &str = "
    INSERT INTO source_origins (tenant_id, source_id, origins)
    VALUES ($1, $2, $3)
    ON CONFLICT (tenant_id, source_id) DO UPDATE
       SET origins = excluded.origins";

/// Returns what a source is held to; nothing for a source that is not there.
pub(crate) async fn find(db: &Db, tenant: &TenantId, source_id: &str) -> Result<ControlsRow, Error> {
    if is_nowhere(source_id) {
        return Ok(ControlsRow::default());
    }
    let row: Option<Found> = store::on!(db, pool => {
        sqlx::query_as(FIND).bind(tenant.as_str()).bind(source_id).fetch_optional(pool).await
    })?;
    let Some((events, bytes, origins, version, update_us)) = row else { return Ok(ControlsRow::default()) };
    Ok(ControlsRow { quota: quota(events, bytes), origins: stored(&origins)?, plan: version.zip(update_us) })
}

/// Returns what those sources are held to, but for their plans.
pub(crate) async fn list(
    db: &Db,
    tenant: &TenantId,
    source_ids: &[&str],
) -> Result<HashMap<String, ControlsRow>, Error> {
    let rows: Vec<(String, i64, i64, String)> = store::on!(db, pool => {
        let mut query = QueryBuilder::new(LIST);
        query.push_bind(tenant.as_str()).push(" AND sources.source_id IN (''");
        for source_id in source_ids.iter().filter(|source_id| !is_nowhere(source_id)) {
            query.push(", ").push_bind(*source_id);
        }
        query.push(")");
        query.build_query_as().persistent(false).fetch_all(pool).await
    })?;
    let controls = |(source_id, events, bytes, origins): (String, i64, i64, String)| {
        let held = ControlsRow { quota: quota(events, bytes), origins: stored(&origins)?, plan: None };
        Ok((source_id, held))
    };
    rows.into_iter().map(controls).collect()
}

fn stored(origins: &str) -> Result<Origins, Error> {
    let list: Vec<&str> = origins.split_whitespace().collect();
    Origins::parse(&list).map_err(|_| Error::Damaged("the sites of a source".into()))
}

fn quota(events: i64, bytes: i64) -> Quota {
    let events_per_second = u32::try_from(events).unwrap_or(Quota::MAX_EVENTS);
    Quota { events_per_second, bytes_per_second: bytes.unsigned_abs() }
}

pub(crate) async fn put_quota(tx: &mut Tx, tenant: &TenantId, source_id: &str, quota: Quota) -> Result<(), Error> {
    let bytes = i64::try_from(quota.bytes_per_second).unwrap_or(i64::MAX);
    store::within!(tx, conn => {
        let query = sqlx::query(PUT_QUOTA).bind(tenant.as_str()).bind(source_id);
        query.bind(i64::from(quota.events_per_second)).bind(bytes).execute(&mut *conn).await.map(|_| ())
    })?;
    Ok(())
}

/// Sets the sites of a source.
pub(crate) async fn put_origins(
    tx: &mut Tx,
    tenant: &TenantId,
    source_id: &str,
    origins: &Origins,
) -> Result<(), Error> {
    let list = origins.list().join(" ");
    store::within!(tx, conn => {
        let query = sqlx::query(PUT_ORIGINS).bind(tenant.as_str()).bind(source_id).bind(&list);
        query.execute(&mut *conn).await.map(|_| ())
    })?;
    Ok(())
}

/// Every statement, for the test that prepares them.
#[cfg(test)]
pub(crate) const STATEMENTS: &[&str] = &[FIND, PUT_QUOTA, PUT_ORIGINS];

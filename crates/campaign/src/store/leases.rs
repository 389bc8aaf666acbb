//! Which replica decides and sends for which tenant.
//!
//! A lease holds until it expires by the system clock; every change of owner raises the epoch, and every commit of a
//! decision or a hand-over checks owner and epoch. So what is decided for a person is decided serially, and a replica that
//! was taken for dead can wake up and try, but not commit.

use std::collections::HashMap;

use ::store::{Db, Error, Tx, on, within};
use kit::TenantId;

const TAKE: &str = "
    INSERT INTO send_leases (tenant_id, owner, epoch, expire_us)
    VALUES ($1, $2, 1, $3)
    ON CONFLICT (tenant_id) DO UPDATE
       SET owner = excluded.owner, epoch = send_leases.epoch + 1, expire_us = excluded.expire_us
     WHERE send_leases.owner = '' OR send_leases.expire_us < $4
    RETURNING epoch";
const RENEW: &str = "UPDATE send_leases SET expire_us = $2 WHERE owner = $1";
const RELEASE: &str = "UPDATE send_leases SET owner = '', expire_us = 0 WHERE owner = $1";
const HELD: &str = "SELECT tenant_id, epoch FROM send_leases WHERE owner = $1";
const ALL: &str = "
    SELECT tenant_id, CASE WHEN owner = '' THEN 0 ELSE expire_us END
      FROM send_leases";
const FENCE: &str = "
    UPDATE send_leases
       SET owner = owner
     WHERE tenant_id = $1 AND owner = $2 AND epoch = $3";
const LOCK: &str = "UPDATE send_leases SET owner = owner WHERE tenant_id = $1";

/// Takes the lease of a tenant when nobody living holds it; returns its epoch.
pub(crate) async fn take(
    tx: &mut Tx,
    tenant: &TenantId,
    owner: &str,
    now_us: i64,
    expire_us: i64,
) -> Result<Option<i64>, Error> {
    Ok(within!(tx, conn => {
        sqlx::query_scalar(TAKE)
            .bind(tenant.as_str())
            .bind(owner)
            .bind(expire_us)
            .bind(now_us)
            .fetch_optional(&mut *conn)
            .await
    })?)
}

/// Prolongs the leases of an owner.
pub(crate) async fn renew(tx: &mut Tx, owner: &str, expire_us: i64) -> Result<(), Error> {
    within!(tx, conn => sqlx::query(RENEW).bind(owner).bind(expire_us).execute(&mut *conn).await.map(|_| ()))?;
    Ok(())
}

/// Gives the leases of an owner up.
pub(crate) async fn release(tx: &mut Tx, owner: &str) -> Result<(), Error> {
    within!(tx, conn => sqlx::query(RELEASE).bind(owner).execute(&mut *conn).await.map(|_| ()))?;
    Ok(())
}

/// Returns the tenants whose lease an owner holds, with the epoch.
pub(crate) async fn held(db: &Db, owner: &str) -> Result<Vec<(String, i64)>, Error> {
    Ok(on!(*db, pool => sqlx::query_as(HELD).bind(owner).fetch_all(pool).await)?)
}

/// Returns all leases with when they expire; 0 where nobody holds them.
pub(crate) async fn all(db: &Db) -> Result<HashMap<String, i64>, Error> {
    let rows: Vec<(String, i64)> = on!(*db, pool => sqlx::query_as(ALL).fetch_all(pool).await)?;
    Ok(rows.into_iter().collect())
}

/// Whether the lease is still held; if so nobody takes it before `tx` ends.
pub(crate) async fn is_held(tx: &mut Tx, tenant: &TenantId, owner: &str, epoch: i64) -> Result<bool, Error> {
    let held = within!(tx, conn => {
        sqlx::query(FENCE)
            .bind(tenant.as_str())
            .bind(owner)
            .bind(epoch)
            .execute(&mut *conn)
            .await
            .map(|done| done.rows_affected())
    })?;
    Ok(held == 1)
}

/// Keeps decisions of a tenant out until `tx` ends, whoever holds the lease.
pub(crate) async fn lock(tx: &mut Tx, tenant: &TenantId) -> Result<(), Error> {
    within!(tx, conn => sqlx::query(LOCK).bind(tenant.as_str()).execute(&mut *conn).await.map(|_| ()))?;
    Ok(())
}

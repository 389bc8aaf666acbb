//! The row that serialises a tenant's writers, and the counts in it.

use kit::TenantId;
use store::{Db, Error, Tx};

const LOCK: &str = "
    INSERT INTO tenants (tenant_id, version, last_component, last_change, profiles, identified, identifiers, refused,
                         merges, splits, events)
    VALUES ($1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0)
    ON CONFLICT (tenant_id) DO UPDATE SET version = tenants.version + 1
    RETURNING version, last_component, last_change";

const FINISH: &str = "
    UPDATE tenants
       SET last_component = $2,
           last_change = $3,
           profiles = profiles + $4,
           identified = identified + $5,
           identifiers = identifiers + $6,
           refused = refused + $7,
           merges = merges + $8,
           splits = splits + $9,
           events = events + $10
     WHERE tenant_id = $1";

const SUMMARY: &str = "
    SELECT profiles, identified, identifiers, refused, merges, splits, events
      FROM tenants
     WHERE tenant_id = $1";

/// What the tenant's row held when it was locked.
#[derive(Debug, Clone, Copy, sqlx::FromRow)]
pub(crate) struct Tenant {
    /// How many transactions have written, this one included.
    pub(crate) version: i64,
    /// Number given to a component last.
    pub(crate) last_component: i64,
    /// Number given to a change last.
    pub(crate) last_change: i64,
}

/// Counts of the tenant, or what is to be added to them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, sqlx::FromRow)]
pub(crate) struct Totals {
    pub(crate) profiles: i64,
    pub(crate) identified: i64,
    pub(crate) identifiers: i64,
    pub(crate) refused: i64,
    pub(crate) merges: i64,
    pub(crate) splits: i64,
    pub(crate) events: i64,
}

/// Makes this transaction the tenant's only writer until it ends. Must come before anything of the tenant is read.
pub(crate) async fn lock(tx: &mut Tx, tenant: &TenantId) -> Result<Tenant, Error> {
    let row = store::within!(tx, connection => {
        sqlx::query_as::<_, Tenant>(LOCK).bind(tenant.as_str()).fetch_one(&mut *connection).await
    })?;
    Ok(row)
}

/// Writes back what was numbered and counted under the lock.
pub(crate) async fn finish(
    tx: &mut Tx,
    tenant: &TenantId,
    last_component: i64,
    last_change: i64,
    added: Totals,
) -> Result<(), Error> {
    store::within!(tx, connection => {
        sqlx::query(FINISH)
            .bind(tenant.as_str())
            .bind(last_component)
            .bind(last_change)
            .bind(added.profiles)
            .bind(added.identified)
            .bind(added.identifiers)
            .bind(added.refused)
            .bind(added.merges)
            .bind(added.splits)
            .bind(added.events)
            .execute(&mut *connection)
            .await
            .map(|_| ())
    })?;
    Ok(())
}

/// Returns the tenant's counts; all 0 for one that was never seen.
pub(crate) async fn summary(db: &Db, tenant: &TenantId) -> Result<Totals, Error> {
    let row = store::on!(*db, pool => {
        sqlx::query_as::<_, Totals>(SUMMARY).bind(tenant.as_str()).fetch_optional(pool).await
    })?;
    Ok(row.unwrap_or_default())
}

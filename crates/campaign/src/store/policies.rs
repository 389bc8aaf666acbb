//! Contact policies.

use ::store::{Db, Error, Tx, on, within};
use kit::TenantId;
use prost::Message;
use proto::campaign::v1::ContactPolicy;

use super::unpack;
use crate::domain::policy::{self, Policy};

const PUT: &str = "
    INSERT INTO contact_policies (tenant_id, policy)
    VALUES ($1, $2)
    ON CONFLICT (tenant_id) DO UPDATE SET policy = excluded.policy";
const FIND: &str = "SELECT policy FROM contact_policies WHERE tenant_id = $1";

/// Keeps the policy of a tenant.
pub(crate) async fn put(tx: &mut Tx, tenant: &TenantId, policy: &ContactPolicy) -> Result<(), Error> {
    within!(tx, conn => {
        sqlx::query(PUT).bind(tenant.as_str()).bind(policy.encode_to_vec()).execute(&mut *conn).await.map(|_| ())
    })?;
    Ok(())
}

/// Returns the policy of a tenant; the first one when none was set.
pub(crate) async fn get(db: &Db, tenant: &TenantId) -> Result<ContactPolicy, Error> {
    let row: Option<Vec<u8>> = on!(*db, pool => {
        sqlx::query_scalar(FIND).bind(tenant.as_str()).fetch_optional(pool).await
    })?;
    row.map_or_else(|| Ok(policy::first()), |bytes| unpack(&bytes, "contact policy"))
}

/// Returns the policy in force, as it stands in a transaction.
pub(crate) async fn in_force(tx: &mut Tx, tenant: &TenantId) -> Result<Policy, Error> {
    let row: Option<Vec<u8>> = within!(tx, conn => {
        sqlx::query_scalar(FIND).bind(tenant.as_str()).fetch_optional(&mut *conn).await
    })?;
    let kept = row.map_or_else(|| Ok(policy::first()), |bytes| unpack(&bytes, "contact policy"))?;
    let (_, used) = policy::check(kept).map_err(|_| Error::Damaged("a stored contact policy".into()))?;
    Ok(used)
}

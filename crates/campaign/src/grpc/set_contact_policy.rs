use kit::{Error, TenantId};
use proto::campaign::v1::{SetContactPolicyRequest, SetContactPolicyResponse};

use super::Rpc;
use crate::{domain::policy, store::policies};

pub(super) async fn handle(
    rpc: &Rpc,
    tenant: &TenantId,
    request: SetContactPolicyRequest,
) -> Result<SetContactPolicyResponse, Error> {
    let asked = request.policy.ok_or_else(|| Error::violations([("policy", "must be given")]))?;
    let (policy, _) = policy::check(asked)?;

    let mut tx = rpc.engine.db.begin().await?;
    policies::put(&mut tx, tenant, &policy).await?;
    tx.commit().await?;
    Ok(SetContactPolicyResponse { policy: Some(policy) })
}

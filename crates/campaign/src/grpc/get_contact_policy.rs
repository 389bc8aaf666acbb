use kit::{Error, TenantId};
use proto::campaign::v1::{GetContactPolicyRequest, GetContactPolicyResponse};

use super::Rpc;
use crate::store::policies;

pub(super) async fn handle(
    rpc: &Rpc,
    tenant: &TenantId,
    _request: GetContactPolicyRequest,
) -> Result<GetContactPolicyResponse, Error> {
    Ok(GetContactPolicyResponse { policy: Some(policies::get(&rpc.engine.db, tenant).await?) })
}

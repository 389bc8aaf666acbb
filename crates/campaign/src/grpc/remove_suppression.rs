use kit::{Error, TenantId, Violations};
use proto::campaign::v1::{RemoveSuppressionRequest, RemoveSuppressionResponse};

use super::{Rpc, suppressed};
use crate::store::suppressions;

pub(super) async fn handle(
    rpc: &Rpc,
    tenant: &TenantId,
    request: RemoveSuppressionRequest,
) -> Result<RemoveSuppressionResponse, Error> {
    let (channel, address_hash) =
        suppressed::target(rpc, tenant, request.channel(), &request.address, Violations::new())?;

    let mut tx = rpc.engine.db.begin().await?;
    suppressions::remove(&mut tx, tenant, channel, &address_hash).await?;
    tx.commit().await?;
    Ok(RemoveSuppressionResponse {})
}

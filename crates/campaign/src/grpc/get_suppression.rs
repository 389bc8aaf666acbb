use kit::{Error, TenantId, Violations};
use proto::campaign::v1::{GetSuppressionRequest, GetSuppressionResponse};

use super::{Rpc, suppressed};
use crate::{domain::time::timestamp, store::suppressions};

pub(super) async fn handle(
    rpc: &Rpc,
    tenant: &TenantId,
    request: GetSuppressionRequest,
) -> Result<GetSuppressionResponse, Error> {
    let (channel, address_hash) =
        suppressed::target(rpc, tenant, request.channel(), &request.address, Violations::new())?;

    let found = suppressions::find(&rpc.engine.db, tenant, channel, &address_hash).await?;
    Ok(found.map_or_else(GetSuppressionResponse::default, |(cause, create_us)| GetSuppressionResponse {
        suppressed: true,
        cause,
        create_time: Some(timestamp(create_us)),
    }))
}

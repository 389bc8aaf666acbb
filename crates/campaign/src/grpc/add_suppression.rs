use kit::{Error, TenantId, Violations};
use proto::campaign::v1::{AddSuppressionRequest, AddSuppressionResponse};

use super::{Rpc, suppressed};
use crate::store::suppressions;

const LONGEST_CAUSE: usize = 100;

pub(super) async fn handle(
    rpc: &Rpc,
    tenant: &TenantId,
    request: AddSuppressionRequest,
) -> Result<AddSuppressionResponse, Error> {
    let mut wrong = Violations::new();
    let cause = request.cause.trim();
    let fits = (1..=LONGEST_CAUSE).contains(&cause.chars().count()) && !cause.chars().any(char::is_control);
    wrong.check(fits, "cause", "must be 1 to 100 characters");
    let (channel, address_hash) = suppressed::target(rpc, tenant, request.channel(), &request.address, wrong)?;

    let mut tx = rpc.engine.db.begin().await?;
    suppressions::add(&mut tx, tenant, channel, &address_hash, cause, rpc.engine.clock.now_us()).await?;
    tx.commit().await?;
    Ok(AddSuppressionResponse {})
}

use kit::{Error, TenantId};
use proto::campaign::v1::{GetMessageRequest, GetMessageResponse};

use super::Rpc;
use crate::store::messages;

pub(super) async fn handle(
    rpc: &Rpc,
    tenant: &TenantId,
    request: GetMessageRequest,
) -> Result<GetMessageResponse, Error> {
    let found = messages::find(&rpc.engine.db, tenant, &request.message_id).await?;
    let message = found.ok_or_else(|| Error::not_found("MESSAGE_NOT_FOUND", "there is no such message"))?;
    Ok(GetMessageResponse { message: Some(message.shown()) })
}

use kit::{Error, TenantId};
use proto::campaign::v1::{GetTemplateRequest, GetTemplateResponse};

use super::Rpc;
use crate::store::templates;

pub(super) async fn handle(
    rpc: &Rpc,
    tenant: &TenantId,
    request: GetTemplateRequest,
) -> Result<GetTemplateResponse, Error> {
    let found = templates::find(&rpc.engine.db, tenant, &request.template_id).await?;
    let template = found.ok_or_else(|| Error::not_found("TEMPLATE_NOT_FOUND", "there is no such template"))?;
    Ok(GetTemplateResponse { template: Some(template) })
}

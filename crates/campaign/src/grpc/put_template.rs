use kit::{Error, TenantId};
use proto::campaign::v1::{PutTemplateRequest, PutTemplateResponse, Template};

use super::Rpc;
use crate::{
    domain::{template, time::timestamp},
    store::templates,
};

pub(super) async fn handle(
    rpc: &Rpc,
    tenant: &TenantId,
    request: PutTemplateRequest,
) -> Result<PutTemplateResponse, Error> {
    let asked = request.template.unwrap_or_default();
    template::check(&asked)?;

    let now_us = rpc.engine.clock.now_us();
    let mut tx = rpc.engine.db.begin().await?;
    let version = templates::put(&mut tx, tenant, &asked, now_us).await?;
    tx.commit().await?;
    rpc.engine.templates.forget(tenant, &asked.template_id);

    let template = Template { version, update_time: Some(timestamp(now_us)), ..asked };
    Ok(PutTemplateResponse { template: Some(template) })
}

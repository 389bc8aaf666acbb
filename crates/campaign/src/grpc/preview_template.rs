use kit::{Error, TenantId};
use proto::campaign::v1::{PreviewTemplateRequest, PreviewTemplateResponse};

use super::Rpc;
use crate::{
    domain::{basket, content, template::Compiled},
    store::{contacts, templates},
};

pub(super) async fn handle(
    rpc: &Rpc,
    tenant: &TenantId,
    request: PreviewTemplateRequest,
) -> Result<PreviewTemplateResponse, Error> {
    let found = templates::find(&rpc.engine.db, tenant, &request.template_id).await?;
    let template = found.ok_or_else(|| Error::not_found("TEMPLATE_NOT_FOUND", "there is no such template"))?;
    let found = contacts::find(&rpc.engine.db, tenant, &request.profile_id).await?;
    let contact = found.ok_or_else(|| Error::not_found("PROFILE_NOT_FOUND", "nothing is known of such a profile"))?;

    let now_us = rpc.engine.clock.now_us();
    let at_hand = basket::content(&contact, now_us).into_iter().map(|product| product.product_id.clone()).collect();
    let count = content::preview_count(&request);
    let products =
        rpc.engine.recommend_for(tenant, &request.profile_id, at_hand, count, now_us).await.unwrap_or_default();
    let unsubscribe_url = format!("{}/u/preview", rpc.engine.public_base_url);
    let values = content::preview_values(&request.profile_id, &contact, &products, &unsubscribe_url);

    let rendered = Compiled::new(&template)
        .and_then(|compiled| compiled.render(&values))
        .map_err(|error| Error::failed_precondition("RENDER_FAILED", error.to_string()))?;
    Ok(PreviewTemplateResponse { subject: rendered.subject, html: rendered.html, text: rendered.text })
}

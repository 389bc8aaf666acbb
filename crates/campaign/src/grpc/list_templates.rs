use kit::{Error, TenantId, Violations, paging};
use proto::campaign::v1::{ListTemplatesRequest, ListTemplatesResponse};

use super::Rpc;
use crate::store::templates;

pub(super) async fn handle(
    rpc: &Rpc,
    tenant: &TenantId,
    request: ListTemplatesRequest,
) -> Result<ListTemplatesResponse, Error> {
    let mut violations = Violations::new();
    let size = paging::size(request.page_size, 100, 1_000, &mut violations);
    let after = paging::after(&request.page_token, &mut violations);
    violations.finish()?;

    let mut templates = templates::list(&rpc.engine.db, tenant, &after, size as i64 + 1).await?;
    let next_page_token = paging::cut(&mut templates, size, |template| template.template_id.clone());
    Ok(ListTemplatesResponse { templates, next_page_token })
}

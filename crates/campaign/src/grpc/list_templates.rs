use kit::{Error, TenantId};
use proto::campaign::v1::{ListTemplatesRequest, ListTemplatesResponse};

use super::{Rpc, page};
use crate::store::templates;

pub(super) async fn handle(
    rpc: &Rpc,
    tenant: &TenantId,
    request: ListTemplatesRequest,
) -> Result<ListTemplatesResponse, Error> {
    let size = page::size(request.page_size, 100, 1_000)?;
    let after = page::after(&request.page_token)?;
    let mut templates = templates::list(&rpc.engine.db, tenant, &after, size + 1).await?;
    let next_page_token = page::cut(&mut templates, size, |template| template.template_id.clone());
    Ok(ListTemplatesResponse { templates, next_page_token })
}

use kit::{Error, TenantId, Violations};
use proto::recommendation::v1::{ListProductsRequest, ListProductsResponse};

use super::{Rpc, page_token::PageToken, product};
use crate::store::catalogue;

const DEFAULT_PAGE: usize = 100;
const MAX_PAGE: usize = 1_000;

pub(super) async fn handle(
    rpc: &Rpc,
    tenant: &TenantId,
    request: ListProductsRequest,
) -> Result<ListProductsResponse, Error> {
    let mut violations = Violations::new();
    let category = product::parse_category(&mut violations, "category", &request.category);
    violations.check(request.page_size >= 0, "page_size", "must not be negative");
    let token = PageToken::from_text(&request.page_token, &category);
    violations.check(token.is_some(), "page_token", "must be the next_page_token of the same list");
    violations.finish()?;
    let after = token.map(|token| token.after).unwrap_or_default();
    let page_size = match request.page_size as usize {
        0 => DEFAULT_PAGE,
        asked => asked.min(MAX_PAGE),
    };

    // One more than asked tells whether there is a next page.
    let mut found = catalogue::list(&rpc.db, tenant, &category, &after, page_size as i64 + 1).await?;
    let has_more = found.len() > page_size;
    found.truncate(page_size);
    let next_page_token = match found.last() {
        Some(last) if has_more => PageToken { after: last.product_id.to_string(), category }.to_text(),
        _ => String::new(),
    };
    Ok(ListProductsResponse { products: found.iter().map(product::render).collect(), next_page_token })
}

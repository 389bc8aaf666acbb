use kit::{Error, TenantId, Violations, paging};
use proto::recommendation::v1::{ListProductsRequest, ListProductsResponse};

use super::{Rpc, product};
use crate::store::catalogue;

const USUAL_PAGE: usize = 100;
const MAX_PAGE: usize = 1_000;

pub(super) async fn handle(
    rpc: &Rpc,
    tenant: &TenantId,
    request: ListProductsRequest,
) -> Result<ListProductsResponse, Error> {
    let mut violations = Violations::new();
    let category = product::parse_category(&mut violations, "category", &request.category);
    let size = paging::size(request.page_size, USUAL_PAGE, MAX_PAGE, &mut violations);
    let listed = listed(&category);
    let after = |key: &str| key.strip_prefix(&listed).map(str::to_owned);
    let after = paging::place(&request.page_token, after, &mut violations).unwrap_or_default();
    violations.finish()?;

    let mut found = catalogue::list(&rpc.db, tenant, &category, &after, size as i64 + 1).await?;
    let next_page_token = paging::cut(&mut found, size, |last| format!("{listed}{}", last.product_id));
    Ok(ListProductsResponse { products: found.iter().map(product::render).collect(), next_page_token })
}

/// Returns what the keys of one category's list begin with: a token is good for no other. The length makes it unambiguous.
fn listed(category: &str) -> String {
    format!("{}:{category}:", category.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_category_s_keys_look_like_another_s() {
        assert!(!format!("{}p", listed("Home")).starts_with(&listed("")));
        assert!(!format!("{}p", listed("Home:Candles")).starts_with(&listed("Home")));
    }
}

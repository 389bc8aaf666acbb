use kit::{Error, TenantId, Violations};
use proto::recommendation::v1::{GetProductRequest, GetProductResponse};

use super::{Rpc, product};
use crate::store::catalogue;

pub(super) async fn handle(
    rpc: &Rpc,
    tenant: &TenantId,
    request: GetProductRequest,
) -> Result<GetProductResponse, Error> {
    let mut violations = Violations::new();
    product::check_id(&mut violations, "product_id", &request.product_id);
    violations.finish()?;

    let found = catalogue::find(&rpc.db, tenant, &request.product_id).await?;
    let found = found
        .ok_or_else(|| Error::not_found("PRODUCT_NOT_FOUND", format!("there is no product {}", request.product_id)))?;
    Ok(GetProductResponse { product: Some(product::render(&found)) })
}

use std::collections::HashSet;

use kit::{Error, TenantId, Violations};
use proto::recommendation::v1::{UpsertProductsRequest, UpsertProductsResponse};

use super::{Rpc, product};
use crate::{domain::catalogue::Product, store::catalogue};

const MAX_PRODUCTS: usize = 1_000;

pub(super) async fn handle(
    rpc: &Rpc,
    tenant: &TenantId,
    request: UpsertProductsRequest,
) -> Result<UpsertProductsResponse, Error> {
    let mut products = parse(request, rpc.clock.now_us())?;

    let mut tx = rpc.db.begin().await?;
    let version = catalogue::next_version(&mut tx, tenant).await?;
    products.iter_mut().for_each(|product| product.version = version);
    let created = catalogue::put(&mut tx, tenant, &products).await?;
    tx.commit().await?;
    rpc.shelves.of(tenant).mark_behind();

    let updated = products.len() - created;
    Ok(UpsertProductsResponse { created: created as u32, updated: updated as u32 })
}

fn parse(request: UpsertProductsRequest, now_us: i64) -> Result<Vec<Product>, Error> {
    let mut violations = Violations::new();
    let fits = (1..=MAX_PRODUCTS).contains(&request.products.len());
    violations.check(fits, "products", "must be 1 to 1000");
    if !fits {
        violations.finish()?;
        return Ok(Vec::new());
    }

    let mut ids = HashSet::new();
    let mut products = Vec::with_capacity(request.products.len());
    for (index, sent) in request.products.into_iter().enumerate() {
        let field = format!("products[{index}]");
        let product = product::parse(&mut violations, &field, sent, now_us);
        let is_new = ids.insert(product.product_id.clone());
        violations.check(is_new, format!("{field}.product_id"), "must not be in the request twice");
        products.push(product);
    }
    violations.finish()?;
    Ok(products)
}

//! The catalogue.

use std::collections::HashSet;

use ::store::{Db, Error, Tx, chunks, on, within};
use kit::TenantId;
use sqlx::QueryBuilder;

use crate::domain::catalogue::{Price, Product, Provenance};

const READ_VERSION: &str = "
    SELECT version
      FROM catalogue_heads
     WHERE tenant_id = $1";
// The row stays locked until the transaction ends, so versions become visible in order.
const NEXT_VERSION: &str = "
    INSERT INTO catalogue_heads (tenant_id, version)
    VALUES ($1, 1)
        ON CONFLICT (tenant_id) DO UPDATE
       SET version = catalogue_heads.version + 1
 RETURNING version";
const FIND: &str = "
    SELECT product_id, title, category, brand, price_micros, currency, stock, url, image_url, update_time_us, version,
           party, medium, library
      FROM products
     WHERE tenant_id = $1 AND product_id = $2";
const CHANGED: &str = "
    SELECT product_id, title, category, brand, price_micros, currency, stock, url, image_url, update_time_us, version,
           party, medium, library
      FROM products
     WHERE tenant_id = $1 AND version > $2 AND product_id > $3
     ORDER BY product_id
     LIMIT $4";
// What begins with "A/" sorts from "A/" up to, and without, "A0": "0" is the byte after "/".
const LIST: &str = "
    SELECT product_id, title, category, brand, price_micros, currency, stock, url, image_url, update_time_us, version,
           party, medium, library
      FROM products
     WHERE tenant_id = $1 AND product_id > $2
       AND ($3 = '' OR category = $3 OR (category >= $4 AND category < $5))
     ORDER BY product_id
     LIMIT $6";
const FIND_IDS: &str = "SELECT product_id FROM products WHERE tenant_id = ";
const PUT: &str = "
    INSERT INTO products (
        tenant_id, product_id, title, category, brand, price_micros, currency, stock, url, image_url,
        update_time_us, version, party, medium, library) ";
const PUT_CONFLICT: &str = "
        ON CONFLICT (tenant_id, product_id) DO UPDATE
       SET title = excluded.title, category = excluded.category, brand = excluded.brand,
           price_micros = excluded.price_micros, currency = excluded.currency, stock = excluded.stock,
           url = excluded.url, image_url = excluded.image_url, update_time_us = excluded.update_time_us,
           version = excluded.version, party = excluded.party, medium = excluded.medium, library = excluded.library";

#[derive(sqlx::FromRow)]
struct ProductRow {
    product_id: String,
    title: String,
    category: String,
    brand: String,
    price_micros: Option<i64>,
    currency: Option<String>,
    stock: Option<i64>,
    url: String,
    image_url: String,
    update_time_us: i64,
    version: i64,
    party: i64,
    medium: i64,
    library: String,
}

impl From<ProductRow> for Product {
    fn from(row: ProductRow) -> Self {
        let price = row.price_micros.zip(row.currency).map(|(micros, currency)| Price { micros, currency });
        Self {
            product_id: row.product_id.into(),
            title: row.title,
            category: row.category.into(),
            brand: row.brand,
            price,
            stock: row.stock,
            url: row.url,
            image_url: row.image_url,
            update_time_us: row.update_time_us,
            version: row.version,
            provenance: Provenance { party: row.party, medium: row.medium, library: row.library },
        }
    }
}

/// Returns the newest version of a tenant's catalogue; 0 before the first product.
pub(crate) async fn version(db: &Db, tenant: &TenantId) -> Result<i64, Error> {
    let version: Option<i64> =
        on!(*db, pool => sqlx::query_scalar(READ_VERSION).bind(tenant.as_str()).fetch_optional(pool).await)?;
    Ok(version.unwrap_or_default())
}

/// Begins the next version of a tenant's catalogue; others wait until `tx` ends.
pub(crate) async fn next_version(tx: &mut Tx, tenant: &TenantId) -> Result<i64, Error> {
    Ok(within!(tx, conn => sqlx::query_scalar(NEXT_VERSION).bind(tenant.as_str()).fetch_one(&mut *conn).await)?)
}

/// Returns a product.
pub(crate) async fn find(db: &Db, tenant: &TenantId, product_id: &str) -> Result<Option<Product>, Error> {
    let row: Option<ProductRow> = on!(*db, pool => {
        sqlx::query_as(FIND).bind(tenant.as_str()).bind(product_id).fetch_optional(pool).await
    })?;
    Ok(row.map(Product::from))
}

/// Returns products after `after` that were put after `version`, by id, at most `limit`.
pub(crate) async fn changed(
    db: &Db,
    tenant: &TenantId,
    version: i64,
    after: &str,
    limit: i64,
) -> Result<Vec<Product>, Error> {
    let rows: Vec<ProductRow> = on!(*db, pool => {
        sqlx::query_as(CHANGED)
            .bind(tenant.as_str())
            .bind(version)
            .bind(after)
            .bind(limit)
            .fetch_all(pool)
            .await
    })?;
    Ok(rows.into_iter().map(Product::from).collect())
}

/// Returns products of a category in normal form and of those below, after `after`, by id, at most `limit`.
pub(crate) async fn list(
    db: &Db,
    tenant: &TenantId,
    category: &str,
    after: &str,
    limit: i64,
) -> Result<Vec<Product>, Error> {
    let rows: Vec<ProductRow> = on!(*db, pool => {
        sqlx::query_as(LIST)
            .bind(tenant.as_str())
            .bind(after)
            .bind(category)
            .bind(format!("{category}/"))
            .bind(format!("{category}0"))
            .bind(limit)
            .fetch_all(pool)
            .await
    })?;
    Ok(rows.into_iter().map(Product::from).collect())
}

/// Writes products with different ids; returns how many of them were not there.
pub(crate) async fn put(tx: &mut Tx, tenant: &TenantId, products: &[Product]) -> Result<usize, Error> {
    let known = known_ids(tx, tenant, products).await?;
    for chunk in chunks(products, 15) {
        within!(tx, conn => {
            let mut insert = QueryBuilder::new(PUT);
            insert.push_values(chunk, |mut row, product| {
                row.push_bind(tenant.as_str())
                    .push_bind(&*product.product_id)
                    .push_bind(product.title.as_str())
                    .push_bind(&*product.category)
                    .push_bind(product.brand.as_str())
                    .push_bind(product.price.as_ref().map(|price| price.micros))
                    .push_bind(product.price.as_ref().map(|price| price.currency.as_str()))
                    .push_bind(product.stock)
                    .push_bind(product.url.as_str())
                    .push_bind(product.image_url.as_str())
                    .push_bind(product.update_time_us)
                    .push_bind(product.version)
                    .push_bind(product.provenance.party)
                    .push_bind(product.provenance.medium)
                    .push_bind(product.provenance.library.as_str());
            });
            insert.push(PUT_CONFLICT);
            insert.build().execute(&mut *conn).await.map(|_| ())
        })?;
    }
    Ok(products.len() - known.len())
}

async fn known_ids(tx: &mut Tx, tenant: &TenantId, products: &[Product]) -> Result<HashSet<String>, Error> {
    let mut known = HashSet::new();
    for chunk in chunks(products, 1) {
        let ids: Vec<String> = within!(tx, conn => {
            let mut select = QueryBuilder::new(FIND_IDS);
            select.push_bind(tenant.as_str()).push(" AND product_id IN (");
            let mut ids = select.separated(", ");
            for product in chunk {
                ids.push_bind(&*product.product_id);
            }
            select.push(")");
            select.build_query_scalar().fetch_all(&mut *conn).await
        })?;
        known.extend(ids);
    }
    Ok(known)
}

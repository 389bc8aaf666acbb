//! Items and the head that tells how far they are.

use std::sync::Arc;

use ::store::{Db, Error, Tx, chunks, on, within};
use kit::TenantId;
use sqlx::QueryBuilder;

use super::codec;
use crate::domain::item::Item;

const READ_HEAD: &str = "
    SELECT version, baskets
      FROM item_heads
     WHERE tenant_id = $1";
const PUT_HEAD: &str = "
    INSERT INTO item_heads (tenant_id, version, baskets)
    VALUES ($1, $2, $3)
        ON CONFLICT (tenant_id) DO UPDATE
       SET version = excluded.version, baskets = excluded.baskets";
const READ_CHANGED: &str = "
    SELECT item_no, product_id, version, state
      FROM items
     WHERE tenant_id = $1 AND version > $2 AND item_no > $3
     ORDER BY item_no
     LIMIT $4";
const PUT: &str = "INSERT INTO items (tenant_id, item_no, product_id, version, state) ";
const PUT_CONFLICT: &str = "
        ON CONFLICT (tenant_id, item_no) DO UPDATE
       SET version = excluded.version, state = excluded.state";

/// How far the items of a tenant are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Head {
    /// The newest batch.
    pub(crate) version: i64,
    /// Orders counted, ever.
    pub(crate) baskets: u64,
}

/// Returns how far the items of a tenant are; all zero before the first batch.
pub(crate) async fn head(db: &Db, tenant: &TenantId) -> Result<Head, Error> {
    let row: Option<(i64, i64)> =
        on!(*db, pool => sqlx::query_as(READ_HEAD).bind(tenant.as_str()).fetch_optional(pool).await)?;
    let (version, baskets) = row.unwrap_or_default();
    Ok(Head { version, baskets: baskets.max(0) as u64 })
}

/// Returns items after number `after` that changed after `version`, by number, at most `limit`.
pub(crate) async fn changed(
    db: &Db,
    tenant: &TenantId,
    version: i64,
    after: i64,
    limit: i64,
) -> Result<Vec<(u32, Item)>, Error> {
    type Row = (i64, String, i64, Vec<u8>);
    let rows: Vec<Row> = on!(*db, pool => {
        sqlx::query_as(READ_CHANGED)
            .bind(tenant.as_str())
            .bind(version)
            .bind(after)
            .bind(limit)
            .fetch_all(pool)
            .await
    })?;
    let unpack = |(number, product_id, version, state): Row| {
        let number = u32::try_from(number).map_err(|_| Error::Damaged("an item has no number".to_owned()))?;
        Ok((number, codec::unpack_item(&product_id, version, &state)?))
    };
    rows.into_iter().map(unpack).collect()
}

/// Writes items, several hundred to a statement, and the head.
pub(crate) async fn put(tx: &mut Tx, tenant: &TenantId, head: Head, items: &[(u32, Arc<Item>)]) -> Result<(), Error> {
    for chunk in chunks(items, 5) {
        let packed: Vec<Vec<u8>> = chunk.iter().map(|(_, item)| codec::pack_item(item)).collect();
        within!(tx, conn => {
            let mut insert = QueryBuilder::new(PUT);
            insert.push_values(chunk.iter().zip(&packed), |mut row, ((number, item), state)| {
                row.push_bind(tenant.as_str())
                    .push_bind(i64::from(*number))
                    .push_bind(&*item.product_id)
                    .push_bind(item.version)
                    .push_bind(state.as_slice());
            });
            insert.push(PUT_CONFLICT);
            insert.build().execute(&mut *conn).await.map(|_| ())
        })?;
    }
    within!(tx, conn => {
        sqlx::query(PUT_HEAD)
            .bind(tenant.as_str())
            .bind(head.version)
            .bind(head.baskets as i64)
            .execute(&mut *conn)
            .await
            .map(|_| ())
    })?;
    Ok(())
}

//! What each order has added to the items.

use std::collections::HashMap;

use ::store::{Error, Tx, chunks, within};
use kit::TenantId;
use sqlx::QueryBuilder;

use super::codec;
use crate::domain::order::{Order, OrderKey};

const READ_MANY: &str = "SELECT order_key, state FROM orders WHERE tenant_id = ";
const PUT: &str = "INSERT INTO orders (tenant_id, order_key, state) ";
const PUT_CONFLICT: &str = "
        ON CONFLICT (tenant_id, order_key) DO UPDATE
       SET state = excluded.state";

/// Returns those of the orders that are known.
pub(crate) async fn find_many(
    tx: &mut Tx,
    tenant: &TenantId,
    keys: &[OrderKey],
) -> Result<HashMap<OrderKey, Order>, Error> {
    let mut found = HashMap::with_capacity(keys.len());
    for chunk in chunks(keys, 1) {
        let rows: Vec<(Vec<u8>, Vec<u8>)> = within!(tx, conn => {
            let mut select = QueryBuilder::new(READ_MANY);
            select.push_bind(tenant.as_str()).push(" AND order_key IN (");
            let mut ids = select.separated(", ");
            for key in chunk {
                ids.push_bind(key.as_slice());
            }
            select.push(")");
            select.build_query_as().fetch_all(&mut *conn).await
        })?;
        for (key, state) in rows {
            found.insert(codec::unpack_key(&key)?, codec::unpack_order(&state)?);
        }
    }
    Ok(found)
}

/// Writes orders.
pub(crate) async fn put(tx: &mut Tx, tenant: &TenantId, orders: &[(OrderKey, Order)]) -> Result<(), Error> {
    for chunk in chunks(orders, 3) {
        let packed: Vec<Vec<u8>> = chunk.iter().map(|(_, order)| codec::pack_order(order)).collect();
        within!(tx, conn => {
            let mut insert = QueryBuilder::new(PUT);
            insert.push_values(chunk.iter().zip(&packed), |mut row, ((key, _), state)| {
                row.push_bind(tenant.as_str()).push_bind(key.as_slice()).push_bind(state.as_slice());
            });
            insert.push(PUT_CONFLICT);
            insert.build().execute(&mut *conn).await.map(|_| ())
        })?;
    }
    Ok(())
}

//! What was told of orders.

use std::collections::BTreeMap;

use kit::TenantId;
use sqlx::QueryBuilder;
use store::{Db, Error, Tx};

use super::blob::{pack_order, unpack_order};
use super::push_list;
use crate::domain::order::Order;

const PAGE: &str = "
    SELECT order_id, profile_id, facts
      FROM orders
     WHERE tenant_id = $1 AND (order_id, profile_id) > ($2, $3)
     ORDER BY order_id, profile_id
     LIMIT $4";

/// What one person's profile was told of one order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ToldOrder {
    /// Which order.
    pub(crate) order_id: String,
    /// Whose profile.
    pub(crate) profile_id: String,
    /// What was told.
    pub(crate) order: Order,
}

/// Loads all orders of some people, by person and order id.
pub(crate) async fn load(
    tx: &mut Tx,
    tenant: &TenantId,
    profile_ids: &[&str],
) -> Result<BTreeMap<String, BTreeMap<String, Order>>, Error> {
    let mut found: BTreeMap<String, BTreeMap<String, Order>> = BTreeMap::new();
    for chunk in store::chunks(profile_ids, 1) {
        let rows: Vec<(String, String, Vec<u8>)> = store::within!(tx, conn => {
            let mut query = QueryBuilder::new("SELECT profile_id, order_id, facts FROM orders WHERE tenant_id = ");
            query.push_bind(tenant.to_string()).push(" AND profile_id IN (");
            push_list!(query, chunk);
            query.build_query_as().persistent(false).fetch_all(&mut *conn).await
        })?;
        for (profile_id, order_id, facts) in rows {
            found.entry(profile_id).or_default().insert(order_id, unpack_order(&facts)?);
        }
    }
    Ok(found)
}

/// Writes orders: (person, order id, order).
pub(crate) async fn save(tx: &mut Tx, tenant: &TenantId, orders: &[(&str, &str, &Order)]) -> Result<(), Error> {
    const COLUMNS: usize = 4;
    for chunk in store::chunks(orders, COLUMNS) {
        store::within!(tx, conn => {
            let mut query = QueryBuilder::new("INSERT INTO orders (tenant_id, profile_id, order_id, facts) ");
            query.push_values(chunk, |mut row, (profile_id, order_id, order)| {
                row.push_bind(tenant.to_string())
                    .push_bind(profile_id.to_string())
                    .push_bind(order_id.to_string())
                    .push_bind(pack_order(order));
            });
            query.push(" ON CONFLICT (tenant_id, profile_id, order_id) DO UPDATE SET facts = excluded.facts");
            query.build().persistent(false).execute(&mut *conn).await.map(|_| ())
        })?;
    }
    Ok(())
}

/// Returns orders after a place, by order and person.
pub(crate) async fn page(db: &Db, tenant: &TenantId, after: (&str, &str), limit: u32) -> Result<Vec<ToldOrder>, Error> {
    let rows: Vec<(String, String, Vec<u8>)> = store::on!(db, pool => {
        sqlx::query_as(PAGE)
            .bind(tenant.as_str())
            .bind(after.0)
            .bind(after.1)
            .bind(i64::from(limit))
            .fetch_all(pool)
            .await
    })?;
    let told = |(order_id, profile_id, facts): (String, String, Vec<u8>)| {
        Ok(ToldOrder { order_id, profile_id, order: unpack_order(&facts)? })
    };
    rows.into_iter().map(told).collect()
}

/// Every statement that stands as a constant, to be prepared by a test on both engines.
#[cfg(test)]
pub(crate) const STATEMENTS: [&str; 1] = [PAGE];

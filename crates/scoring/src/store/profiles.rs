//! People.

use kit::TenantId;
use sqlx::QueryBuilder;
use store::{Db, Error, Tx};

use super::blob::{pack_state, unpack_state};
use super::{push_list, signed};
use crate::domain::state::State;

const FIND: &str = "
    SELECT state
      FROM profiles
     WHERE tenant_id = $1 AND profile_id = $2";
const AFTER: &str = "
    SELECT profile_id, state
      FROM profiles
     WHERE tenant_id = $1 AND partition = $2 AND profile_id > $3 AND order_count >= $4
     ORDER BY profile_id
     LIMIT $5";
const DUE: &str = "
    SELECT profile_id, state
      FROM profiles
     WHERE due_us <= $1 AND tenant_id = $2 AND partition = $3
     ORDER BY due_us, tenant_id, partition
     LIMIT $4";
const DUE_PARTITIONS: &str = "
    SELECT DISTINCT partition
      FROM (SELECT partition
              FROM profiles
             WHERE due_us <= $1 AND tenant_id = $2
             ORDER BY due_us
             LIMIT $3) AS due
     ORDER BY partition";
const FIRST_DUE: &str = "
    SELECT tenant_id, due_us
      FROM profiles
     WHERE due_us IS NOT NULL
     ORDER BY due_us
     LIMIT 1";

/// A person as stored.
pub(crate) type Found = (String, State);

/// Returns one person.
pub(crate) async fn find(db: &Db, tenant: &TenantId, profile_id: &str) -> Result<Option<State>, Error> {
    let bytes: Option<Vec<u8>> = store::on!(db, pool => {
        sqlx::query_scalar(FIND).bind(tenant.as_str()).bind(profile_id).fetch_optional(pool).await
    })?;
    bytes.map(|bytes| unpack_state(&bytes)).transpose()
}

/// Returns those of some people that are known.
pub(crate) async fn find_all(db: &Db, tenant: &TenantId, profile_ids: &[&str]) -> Result<Vec<Found>, Error> {
    let mut found = Vec::with_capacity(profile_ids.len());
    for chunk in store::chunks(profile_ids, 1) {
        let rows: Vec<(String, Vec<u8>)> = store::on!(db, pool => {
            let mut query = QueryBuilder::new("SELECT profile_id, state FROM profiles WHERE tenant_id = ");
            query.push_bind(tenant.to_string()).push(" AND profile_id IN (");
            push_list!(query, chunk);
            query.build_query_as().persistent(false).fetch_all(pool).await
        })?;
        found.append(&mut unpack_all(rows)?);
    }
    Ok(found)
}

/// Loads those of some people that are known.
pub(crate) async fn load(tx: &mut Tx, tenant: &TenantId, profile_ids: &[&str]) -> Result<Vec<Found>, Error> {
    let mut found = Vec::with_capacity(profile_ids.len());
    for chunk in store::chunks(profile_ids, 1) {
        let rows: Vec<(String, Vec<u8>)> = store::within!(tx, conn => {
            let mut query = QueryBuilder::new("SELECT profile_id, state FROM profiles WHERE tenant_id = ");
            query.push_bind(tenant.to_string()).push(" AND profile_id IN (");
            push_list!(query, chunk);
            query.build_query_as().persistent(false).fetch_all(&mut *conn).await
        })?;
        found.append(&mut unpack_all(rows)?);
    }
    Ok(found)
}

/// Returns which of some people live in a partition.
pub(crate) async fn in_partition(
    tx: &mut Tx,
    tenant: &TenantId,
    partition: u32,
    profile_ids: &[String],
) -> Result<Vec<String>, Error> {
    let mut found = Vec::new();
    for chunk in store::chunks(profile_ids, 1) {
        let mut rows: Vec<String> = store::within!(tx, conn => {
            let mut query = QueryBuilder::new("SELECT profile_id FROM profiles WHERE tenant_id = ");
            query.push_bind(tenant.to_string()).push(" AND partition = ").push_bind(i64::from(partition));
            query.push(" AND profile_id IN (");
            push_list!(query, chunk);
            query.build_query_scalar().persistent(false).fetch_all(&mut *conn).await
        })?;
        found.append(&mut rows);
    }
    Ok(found)
}

/// Returns people of a partition after `after`, by id; with `min_orders` only those with so many orders.
pub(crate) async fn after(
    tx: &mut Tx,
    tenant: &TenantId,
    partition: u32,
    after: &str,
    min_orders: u64,
    limit: u32,
) -> Result<Vec<Found>, Error> {
    let rows: Vec<(String, Vec<u8>)> = store::within!(tx, conn => {
        sqlx::query_as(AFTER)
            .bind(tenant.as_str())
            .bind(i64::from(partition))
            .bind(after)
            .bind(signed(min_orders))
            .bind(i64::from(limit))
            .fetch_all(&mut *conn)
            .await
    })?;
    unpack_all(rows)
}

/// Returns people of a partition who are due, the longest due first.
pub(crate) async fn due(
    tx: &mut Tx,
    tenant: &TenantId,
    partition: u32,
    now_us: i64,
    limit: u32,
) -> Result<Vec<Found>, Error> {
    let rows: Vec<(String, Vec<u8>)> = store::within!(tx, conn => {
        sqlx::query_as(DUE)
            .bind(now_us)
            .bind(tenant.as_str())
            .bind(i64::from(partition))
            .bind(i64::from(limit))
            .fetch_all(&mut *conn)
            .await
    })?;
    unpack_all(rows)
}

/// Returns the tenant of the person who is due first, and when.
pub(crate) async fn first_due(db: &Db) -> Result<Option<(String, i64)>, Error> {
    Ok(store::on!(db, pool => sqlx::query_as(FIRST_DUE).fetch_optional(pool).await)?)
}

/// Returns the partitions of the first `limit` people of a tenant who are due.
pub(crate) async fn due_partitions(db: &Db, tenant: &TenantId, now_us: i64, limit: u32) -> Result<Vec<i64>, Error> {
    Ok(store::on!(db, pool => {
        sqlx::query_scalar(DUE_PARTITIONS)
            .bind(now_us)
            .bind(tenant.as_str())
            .bind(i64::from(limit))
            .fetch_all(pool)
            .await
    })?)
}

/// Writes people, without their orders.
pub(crate) async fn save(
    tx: &mut Tx,
    tenant: &TenantId,
    partition: u32,
    people: &[(&str, &State)],
) -> Result<(), Error> {
    const COLUMNS: usize = 6;
    for chunk in store::chunks(people, COLUMNS) {
        store::within!(tx, conn => {
            let mut query = QueryBuilder::new(
                "INSERT INTO profiles (tenant_id, profile_id, partition, order_count, due_us, state) ",
            );
            query.push_values(chunk, |mut row, (profile_id, state)| {
                row.push_bind(tenant.to_string())
                    .push_bind(profile_id.to_string())
                    .push_bind(i64::from(partition))
                    .push_bind(signed(state.stats.order_count))
                    .push_bind(state.due_us)
                    .push_bind(pack_state(state));
            });
            query.push(
                " ON CONFLICT (tenant_id, profile_id) DO UPDATE
                  SET partition = excluded.partition, order_count = excluded.order_count,
                      due_us = excluded.due_us, state = excluded.state",
            );
            query.build().persistent(false).execute(&mut *conn).await.map(|_| ())
        })?;
    }
    Ok(())
}

/// Removes people with their orders and values.
pub(crate) async fn remove(tx: &mut Tx, tenant: &TenantId, profile_ids: &[&str]) -> Result<(), Error> {
    for table in ["profiles", "orders", "buyers"] {
        for chunk in store::chunks(profile_ids, 1) {
            store::within!(tx, conn => {
                let mut query = QueryBuilder::new("DELETE FROM ");
                query.push(table).push(" WHERE tenant_id = ").push_bind(tenant.to_string());
                query.push(" AND profile_id IN (");
                push_list!(query, chunk);
                query.build().persistent(false).execute(&mut *conn).await.map(|_| ())
            })?;
        }
    }
    Ok(())
}

fn unpack_all(rows: Vec<(String, Vec<u8>)>) -> Result<Vec<Found>, Error> {
    rows.into_iter().map(|(profile_id, bytes)| Ok((profile_id, unpack_state(&bytes)?))).collect()
}

/// Every statement that stands as a constant, to be prepared by a test on both engines.
#[cfg(test)]
pub(crate) const STATEMENTS: [&str; 5] = [FIND, AFTER, DUE, DUE_PARTITIONS, FIRST_DUE];

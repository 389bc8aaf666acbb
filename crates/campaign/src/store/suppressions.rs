//! Addresses that must not be written to, as keyed hashes.

use std::collections::HashMap;

use ::store::{Db, Error, Tx, chunks, on, within};
use kit::TenantId;
use sqlx::QueryBuilder;

const ADD: &str = "
    INSERT INTO suppressions (tenant_id, channel, address_hash, cause, create_us)
    VALUES ($1, $2, $3, $4, $5)
    ON CONFLICT (tenant_id, channel, address_hash) DO NOTHING";
const REMOVE: &str = "
    DELETE FROM suppressions
     WHERE tenant_id = $1 AND channel = $2 AND address_hash = $3";
const FIND: &str = "
    SELECT cause, create_us
      FROM suppressions
     WHERE tenant_id = $1 AND channel = $2 AND address_hash = $3";
const FIND_MANY: &str = "SELECT address_hash, cause FROM suppressions WHERE tenant_id = ";

/// Suppresses an address; the first cause stays.
pub(crate) async fn add(
    tx: &mut Tx,
    tenant: &TenantId,
    channel: i32,
    address_hash: &[u8],
    cause: &str,
    now_us: i64,
) -> Result<(), Error> {
    within!(tx, conn => {
        sqlx::query(ADD)
            .bind(tenant.as_str())
            .bind(i64::from(channel))
            .bind(address_hash)
            .bind(cause)
            .bind(now_us)
            .execute(&mut *conn)
            .await
            .map(|_| ())
    })?;
    Ok(())
}

/// Lifts a suppression.
pub(crate) async fn remove(tx: &mut Tx, tenant: &TenantId, channel: i32, address_hash: &[u8]) -> Result<(), Error> {
    within!(tx, conn => {
        sqlx::query(REMOVE)
            .bind(tenant.as_str())
            .bind(i64::from(channel))
            .bind(address_hash)
            .execute(&mut *conn)
            .await
            .map(|_| ())
    })?;
    Ok(())
}

/// Returns why and since when an address is suppressed.
pub(crate) async fn find(
    db: &Db,
    tenant: &TenantId,
    channel: i32,
    address_hash: &[u8],
) -> Result<Option<(String, i64)>, Error> {
    Ok(on!(*db, pool => {
        sqlx::query_as(FIND)
            .bind(tenant.as_str())
            .bind(i64::from(channel))
            .bind(address_hash)
            .fetch_optional(pool)
            .await
    })?)
}

/// Returns those of the addresses that are suppressed, with the cause.
pub(crate) async fn find_many(
    tx: &mut Tx,
    tenant: &TenantId,
    channel: i32,
    address_hashes: &[Vec<u8>],
) -> Result<HashMap<Vec<u8>, String>, Error> {
    let mut found = HashMap::new();
    for chunk in chunks(address_hashes, 1) {
        let rows: Vec<(Vec<u8>, String)> = within!(tx, conn => {
            let mut select = QueryBuilder::new(FIND_MANY);
            select.push_bind(tenant.as_str()).push(" AND channel = ").push_bind(i64::from(channel));
            select.push(" AND address_hash IN (");
            let mut hashes = select.separated(", ");
            for hash in chunk {
                hashes.push_bind(hash.as_slice());
            }
            select.push(")");
            select.build_query_as().fetch_all(&mut *conn).await
        })?;
        found.extend(rows);
    }
    Ok(found)
}

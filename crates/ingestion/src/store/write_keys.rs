//! Write keys.

use kit::TenantId;
use sqlx::QueryBuilder;
use store::{Db, Error, Tx};

use super::is_nowhere;
use super::sources::SourceRow;
use crate::domain::write_key::KeyHash;

/// A write key that is in force, as it is listed.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub(crate) struct WriteKeyRow {
    pub(crate) write_key_id: String,
    pub(crate) source_id: String,
    pub(crate) prefix: String,
    pub(crate) create_us: i64,
}

/// A write key with the source that it opens.
#[derive(Debug, sqlx::FromRow)]
pub(crate) struct OpenedSource {
    pub(crate) tenant_id: String,
    pub(crate) key_hash: Vec<u8>,
    #[sqlx(flatten)]
    pub(crate) source: SourceRow,
}

const INSERT: &str = "
    INSERT INTO write_keys (key_hash, write_key_id, tenant_id, source_id, prefix, create_us)
    VALUES ($1, $2, $3, $4, $5, $6)";
const FIND_SOURCE: &str = "
    SELECT write_keys.tenant_id,
           write_keys.key_hash,
           sources.source_id,
           sources.name,
           sources.kind,
           sources.party,
           sources.medium,
           sources.default_currency,
           sources.create_us
      FROM write_keys
      JOIN sources
        ON sources.tenant_id = write_keys.tenant_id
       AND sources.source_id = write_keys.source_id
     WHERE write_keys.key_hash = $1
       AND write_keys.revoke_us IS NULL";
const LIST: &str = "
    SELECT write_key_id, source_id, prefix, create_us
      FROM write_keys
     WHERE revoke_us IS NULL
       AND tenant_id = ";
const REVOKE: &str = "
    UPDATE write_keys
       SET revoke_us = COALESCE(revoke_us, $3)
     WHERE tenant_id = $1 AND write_key_id = $2
    RETURNING key_hash";

/// Adds a write key. [`Error::Conflict`] when the key is known already.
pub(crate) async fn insert(tx: &mut Tx, tenant: &TenantId, hash: &KeyHash, key: &WriteKeyRow) -> Result<(), Error> {
    store::within!(tx, conn => {
        let query = sqlx::query(INSERT)
            .bind(hash.as_slice())
            .bind(&key.write_key_id)
            .bind(tenant.as_str())
            .bind(&key.source_id)
            .bind(&key.prefix)
            .bind(key.create_us);
        query.execute(&mut *conn).await.map(|_| ())
    })?;
    Ok(())
}

/// Returns the source that a key in force opens.
pub(crate) async fn find_source(db: &Db, hash: &KeyHash) -> Result<Option<OpenedSource>, Error> {
    let found = store::on!(db, pool => {
        sqlx::query_as(FIND_SOURCE).bind(hash.as_slice()).fetch_optional(pool).await
    })?;
    Ok(found)
}

/// Returns the keys in force of some sources, oldest first.
pub(crate) async fn list(db: &Db, tenant: &TenantId, source_ids: &[&str]) -> Result<Vec<WriteKeyRow>, Error> {
    if source_ids.is_empty() {
        return Ok(Vec::new());
    }
    let rows = store::on!(db, pool => {
        let mut query = QueryBuilder::new(LIST);
        query.push_bind(tenant.as_str()).push(" AND source_id IN (");
        let mut ids = query.separated(", ");
        for source_id in source_ids {
            ids.push_bind(*source_id);
        }
        query.push(") ORDER BY create_us, write_key_id");
        query.build_query_as().fetch_all(pool).await
    })?;
    Ok(rows)
}

/// Ends a key. Returns its hash, also when it had ended before; `None` when the tenant has no such key.
pub(crate) async fn revoke(
    tx: &mut Tx,
    tenant: &TenantId,
    write_key_id: &str,
    now_us: i64,
) -> Result<Option<Vec<u8>>, Error> {
    if is_nowhere(write_key_id) {
        return Ok(None);
    }
    let hash = store::within!(tx, conn => {
        let query = sqlx::query_scalar(REVOKE).bind(tenant.as_str()).bind(write_key_id).bind(now_us);
        query.fetch_optional(&mut *conn).await
    })?;
    Ok(hash)
}

/// Every statement, for the test that prepares them.
#[cfg(test)]
pub(crate) const STATEMENTS: &[&str] = &[INSERT, FIND_SOURCE, REVOKE];

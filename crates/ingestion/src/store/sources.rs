//! Sources.

use kit::TenantId;
use store::{Db, Error, Tx};

use super::is_nowhere;

/// A source as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub(crate) struct SourceRow {
    pub(crate) source_id: String,
    pub(crate) name: String,
    pub(crate) kind: String,
    /// Number of `comptoir.event.v1.Party`.
    pub(crate) party: i64,
    /// Number of `comptoir.event.v1.Medium`.
    pub(crate) medium: i64,
    /// Empty when there is none.
    pub(crate) default_currency: String,
    pub(crate) create_us: i64,
}

const INSERT: &str = "
    INSERT INTO sources
           (tenant_id, source_id, name, kind, party, medium, default_currency, create_us, request_id)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
const FIND: &str = "
    SELECT source_id, name, kind, party, medium, default_currency, create_us
      FROM sources
     WHERE tenant_id = $1 AND source_id = $2";
const FIND_BY_REQUEST: &str = "
    SELECT source_id, name, kind, party, medium, default_currency, create_us
      FROM sources
     WHERE tenant_id = $1 AND request_id = $2";
const FIND_BY_NAME: &str = "
    SELECT source_id, name, kind, party, medium, default_currency, create_us
      FROM sources
     WHERE tenant_id = $1 AND name = $2";
const LIST_AFTER: &str = "
    SELECT source_id, name, kind, party, medium, default_currency, create_us
      FROM sources
     WHERE tenant_id = $1 AND name > $2
     ORDER BY name
     LIMIT $3";
const LIST_TENANTS: &str = "
    SELECT DISTINCT tenant_id
      FROM sources
     ORDER BY tenant_id";

/// Adds a source. [`Error::Conflict`] when its name or request id is taken.
pub(crate) async fn insert(
    tx: &mut Tx,
    tenant: &TenantId,
    source: &SourceRow,
    request_id: Option<&str>,
) -> Result<(), Error> {
    store::within!(tx, conn => {
        let query = sqlx::query(INSERT)
            .bind(tenant.as_str())
            .bind(&source.source_id)
            .bind(&source.name)
            .bind(&source.kind)
            .bind(source.party)
            .bind(source.medium)
            .bind(&source.default_currency)
            .bind(source.create_us)
            .bind(request_id);
        query.execute(&mut *conn).await.map(|_| ())
    })?;
    Ok(())
}

pub(crate) async fn find(db: &Db, tenant: &TenantId, source_id: &str) -> Result<Option<SourceRow>, Error> {
    find_with(db, FIND, tenant, source_id).await
}

/// Returns the source that a request made.
pub(crate) async fn find_by_request(db: &Db, tenant: &TenantId, request_id: &str) -> Result<Option<SourceRow>, Error> {
    find_with(db, FIND_BY_REQUEST, tenant, request_id).await
}

pub(crate) async fn find_by_name(db: &Db, tenant: &TenantId, name: &str) -> Result<Option<SourceRow>, Error> {
    find_with(db, FIND_BY_NAME, tenant, name).await
}

async fn find_with(db: &Db, sql: &'static str, tenant: &TenantId, key: &str) -> Result<Option<SourceRow>, Error> {
    if is_nowhere(key) {
        return Ok(None);
    }
    let found = store::on!(db, pool => {
        sqlx::query_as(sql).bind(tenant.as_str()).bind(key).fetch_optional(pool).await
    })?;
    Ok(found)
}

/// Returns at most `limit` sources whose names come after `after`, by name.
pub(crate) async fn list_after(db: &Db, tenant: &TenantId, after: &str, limit: i64) -> Result<Vec<SourceRow>, Error> {
    let rows = store::on!(db, pool => {
        sqlx::query_as(LIST_AFTER).bind(tenant.as_str()).bind(after).bind(limit).fetch_all(pool).await
    })?;
    Ok(rows)
}

/// Returns every tenant that has a source.
pub(crate) async fn list_tenants(db: &Db) -> Result<Vec<TenantId>, Error> {
    let names: Vec<String> = store::on!(db, pool => sqlx::query_scalar(LIST_TENANTS).fetch_all(pool).await)?;
    let parse = |name: String| TenantId::try_from(name).map_err(|_| Error::Damaged("a tenant id".into()));
    names.into_iter().map(parse).collect()
}

/// Every statement, for the test that prepares them.
#[cfg(test)]
pub(crate) const STATEMENTS: &[&str] = &[INSERT, FIND, FIND_BY_REQUEST, FIND_BY_NAME, LIST_AFTER, LIST_TENANTS];

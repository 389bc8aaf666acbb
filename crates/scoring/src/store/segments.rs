//! Segments and who is in them.

use kit::TenantId;
use sqlx::QueryBuilder;
use store::{Db, Error, Tx};

const LIST: &str = "
    SELECT segment_id, name, expression, created_version, version, update_us
      FROM segments
     WHERE tenant_id = $1 AND segment_id > $2
     ORDER BY segment_id
     LIMIT $3";
const FIND: &str = "
    SELECT segment_id, name, expression, created_version, version, update_us
      FROM segments
     WHERE tenant_id = $1 AND segment_id = $2";
const COUNTS: &str = "
    SELECT segment_id, COUNT(*)
      FROM memberships
     WHERE tenant_id = $1
     GROUP BY segment_id";
const COUNT: &str = "
    SELECT COUNT(*)
      FROM memberships
     WHERE tenant_id = $1 AND segment_id = $2";
const PUT: &str = "
    INSERT INTO segments (tenant_id, segment_id, name, expression, created_version, version, update_us)
    VALUES ($1, $2, $3, $4, $5, $6, $7)
    ON CONFLICT (tenant_id, segment_id) DO UPDATE
       SET name = excluded.name, expression = excluded.expression, created_version = excluded.created_version,
           version = excluded.version, update_us = excluded.update_us";
const REMOVE: &str = "
    DELETE FROM segments
     WHERE tenant_id = $1 AND segment_id = $2";
const REMOVE_MEMBERS: &str = "
    DELETE FROM memberships
     WHERE tenant_id = $1 AND segment_id = $2";
const MEMBERS: &str = "
    SELECT profile_id, enter_us
      FROM memberships
     WHERE tenant_id = $1 AND segment_id = $2 AND profile_id > $3
     ORDER BY profile_id
     LIMIT $4";

/// A segment as stored.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub(crate) struct StoredSegment {
    /// Which.
    pub(crate) segment_id: String,
    /// Name for people.
    pub(crate) name: String,
    /// The rule.
    pub(crate) expression: String,
    /// Version of the rules at which it was created.
    pub(crate) created_version: i64,
    /// Version of the rules at which its rule last changed.
    pub(crate) version: i64,
    /// When it was last put, in microseconds since the Unix epoch.
    pub(crate) update_us: i64,
}

/// Being in a segment, as stored: (segment, person, since when).
pub(crate) type StoredMembership<'a> = (&'a str, &'a str, i64);

/// Returns segments after one, by id.
pub(crate) async fn list(db: &Db, tenant: &TenantId, after: &str, limit: u32) -> Result<Vec<StoredSegment>, Error> {
    Ok(store::on!(db, pool => {
        sqlx::query_as(LIST).bind(tenant.as_str()).bind(after).bind(i64::from(limit)).fetch_all(pool).await
    })?)
}

/// Returns segments after one, by id, as the transaction sees them.
pub(crate) async fn list_in(
    tx: &mut Tx,
    tenant: &TenantId,
    after: &str,
    limit: u32,
) -> Result<Vec<StoredSegment>, Error> {
    Ok(store::within!(tx, conn => {
        sqlx::query_as(LIST).bind(tenant.as_str()).bind(after).bind(i64::from(limit)).fetch_all(&mut *conn).await
    })?)
}

/// Returns one segment, as the transaction sees it.
pub(crate) async fn find_in(tx: &mut Tx, tenant: &TenantId, segment_id: &str) -> Result<Option<StoredSegment>, Error> {
    Ok(store::within!(tx, conn => {
        sqlx::query_as(FIND).bind(tenant.as_str()).bind(segment_id).fetch_optional(&mut *conn).await
    })?)
}

/// Returns one segment.
pub(crate) async fn find(db: &Db, tenant: &TenantId, segment_id: &str) -> Result<Option<StoredSegment>, Error> {
    Ok(store::on!(db, pool => {
        sqlx::query_as(FIND).bind(tenant.as_str()).bind(segment_id).fetch_optional(pool).await
    })?)
}

/// Returns the number of people in each segment that has any.
pub(crate) async fn counts(db: &Db, tenant: &TenantId) -> Result<Vec<(String, i64)>, Error> {
    Ok(store::on!(db, pool => sqlx::query_as(COUNTS).bind(tenant.as_str()).fetch_all(pool).await)?)
}

/// Returns the number of people in one segment.
pub(crate) async fn count(db: &Db, tenant: &TenantId, segment_id: &str) -> Result<i64, Error> {
    Ok(store::on!(db, pool => {
        sqlx::query_scalar(COUNT).bind(tenant.as_str()).bind(segment_id).fetch_one(pool).await
    })?)
}

/// Writes a segment.
pub(crate) async fn put(tx: &mut Tx, tenant: &TenantId, segment: &StoredSegment) -> Result<(), Error> {
    store::within!(tx, conn => {
        sqlx::query(PUT)
            .bind(tenant.as_str())
            .bind(&segment.segment_id)
            .bind(&segment.name)
            .bind(&segment.expression)
            .bind(segment.created_version)
            .bind(segment.version)
            .bind(segment.update_us)
            .execute(&mut *conn)
            .await
            .map(|_| ())
    })?;
    Ok(())
}

/// Removes a segment with its members.
pub(crate) async fn remove(tx: &mut Tx, tenant: &TenantId, segment_id: &str) -> Result<(), Error> {
    for statement in [REMOVE, REMOVE_MEMBERS] {
        store::within!(tx, conn => {
            sqlx::query(statement).bind(tenant.as_str()).bind(segment_id).execute(&mut *conn).await.map(|_| ())
        })?;
    }
    Ok(())
}

/// Returns people of a segment after one, by id, with the time they came in.
pub(crate) async fn members(
    db: &Db,
    tenant: &TenantId,
    segment_id: &str,
    after: &str,
    limit: u32,
) -> Result<Vec<(String, i64)>, Error> {
    Ok(store::on!(db, pool => {
        sqlx::query_as(MEMBERS)
            .bind(tenant.as_str())
            .bind(segment_id)
            .bind(after)
            .bind(i64::from(limit))
            .fetch_all(pool)
            .await
    })?)
}

/// Writes down who came in.
pub(crate) async fn enter(tx: &mut Tx, tenant: &TenantId, memberships: &[StoredMembership<'_>]) -> Result<(), Error> {
    const COLUMNS: usize = 4;
    for chunk in store::chunks(memberships, COLUMNS) {
        store::within!(tx, conn => {
            let mut query =
                QueryBuilder::new("INSERT INTO memberships (tenant_id, segment_id, profile_id, enter_us) ");
            query.push_values(chunk, |mut row, (segment_id, profile_id, enter_us)| {
                row.push_bind(tenant.to_string())
                    .push_bind(segment_id.to_string())
                    .push_bind(profile_id.to_string())
                    .push_bind(*enter_us);
            });
            query.push(
                " ON CONFLICT (tenant_id, segment_id, profile_id) DO UPDATE SET enter_us = excluded.enter_us",
            );
            query.build().persistent(false).execute(&mut *conn).await.map(|_| ())
        })?;
    }
    Ok(())
}

/// Strikes out who left: (segment, person).
pub(crate) async fn leave(tx: &mut Tx, tenant: &TenantId, memberships: &[(&str, &str)]) -> Result<(), Error> {
    for chunk in store::chunks(memberships, 2) {
        store::within!(tx, conn => {
            let mut query = QueryBuilder::new("DELETE FROM memberships WHERE tenant_id = ");
            query.push_bind(tenant.to_string()).push(" AND (segment_id, profile_id) IN (");
            query.push_values(chunk, |mut row, (segment_id, profile_id)| {
                row.push_bind(segment_id.to_string()).push_bind(profile_id.to_string());
            });
            query.push(")");
            query.build().persistent(false).execute(&mut *conn).await.map(|_| ())
        })?;
    }
    Ok(())
}

/// Every statement that stands as a constant, to be prepared by a test on both engines.
#[cfg(test)]
pub(crate) const STATEMENTS: [&str; 8] = [LIST, FIND, COUNTS, COUNT, PUT, REMOVE, REMOVE_MEMBERS, MEMBERS];

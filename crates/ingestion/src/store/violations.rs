//! What broke the tracking plans, counted.

use std::collections::BTreeMap;

use kit::TenantId;
use sqlx::QueryBuilder;
use store::{Db, Error, Tx};

use super::is_nowhere;

/// What is counted apart. Ordered, so that transactions lock the rows in one order.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ViolationKey {
    pub(crate) source_id: String,
    pub(crate) event_name: String,
    pub(crate) field: String,
    pub(crate) rule: String,
    pub(crate) library: String,
}

/// A count as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub(crate) struct ViolationRow {
    pub(crate) event_name: String,
    pub(crate) field: String,
    pub(crate) rule: String,
    pub(crate) library: String,
    pub(crate) violations: i64,
    pub(crate) first_us: i64,
    pub(crate) last_us: i64,
}

/// Where a page goes on: after this event, field, rule and library.
pub(crate) type Place = [String; 4];

const KEYS: &str = "
    SELECT event_name, field, rule, library
      FROM plan_violations
     WHERE tenant_id = $1 AND source_id = $2
     LIMIT $3";
const LIST_AFTER: &str = "
    SELECT event_name, field, rule, library, violations, first_us, last_us
      FROM plan_violations
     WHERE tenant_id = $1
       AND source_id = $2
       AND ($3 = '' OR event_name = $3)
       AND ($4 = '' OR library = $4)
       AND (event_name, field, rule, library) > ($5, $6, $7, $8)
     ORDER BY event_name, field, rule, library
     LIMIT $9";
const DELETE: &str = "
    DELETE FROM plan_violations
     WHERE tenant_id = $1 AND source_id = $2";

/// Adds to the counts of a tenant.
pub(crate) async fn add(
    tx: &mut Tx,
    tenant: &TenantId,
    additions: &BTreeMap<ViolationKey, i64>,
    now_us: i64,
) -> Result<(), Error> {
    const COLUMNS: usize = 9;
    let additions: Vec<(&ViolationKey, &i64)> = additions.iter().collect();
    for chunk in store::chunks(&additions, COLUMNS) {
        store::within!(tx, conn => {
            let mut query = QueryBuilder::new(
                "INSERT INTO plan_violations
                        (tenant_id, source_id, event_name, field, rule, library, violations, first_us, last_us) ",
            );
            query.push_values(chunk, |mut row, (key, count)| {
                row.push_bind(tenant.as_str())
                    .push_bind(&key.source_id)
                    .push_bind(&key.event_name)
                    .push_bind(&key.field)
                    .push_bind(&key.rule)
                    .push_bind(&key.library)
                    .push_bind(**count)
                    .push_bind(now_us)
                    .push_bind(now_us);
            });
            query.push(
                " ON CONFLICT (tenant_id, source_id, event_name, field, rule, library) DO UPDATE
                     SET violations = plan_violations.violations + excluded.violations, last_us = excluded.last_us",
            );
            query.build().execute(&mut *conn).await.map(|_| ())
        })?;
    }
    Ok(())
}

/// Returns what is counted of a source already, at most `limit`.
pub(crate) async fn keys(
    tx: &mut Tx,
    tenant: &TenantId,
    source_id: &str,
    limit: i64,
) -> Result<Vec<ViolationKey>, Error> {
    let rows: Vec<(String, String, String, String)> = store::within!(tx, conn => {
        sqlx::query_as(KEYS).bind(tenant.as_str()).bind(source_id).bind(limit).fetch_all(&mut *conn).await
    })?;
    let key = |(event_name, field, rule, library)| ViolationKey {
        source_id: source_id.to_owned(),
        event_name,
        field,
        rule,
        library,
    };
    Ok(rows.into_iter().map(key).collect())
}

/// Returns at most `limit` counts of a source after `after`. Empty filters let everything pass.
pub(crate) async fn list_after(
    db: &Db,
    tenant: &TenantId,
    [source_id, event_name, library]: [&str; 3],
    after: &Place,
    limit: i64,
) -> Result<Vec<ViolationRow>, Error> {
    if [source_id, event_name, library].into_iter().any(is_nowhere) || after.iter().any(|part| is_nowhere(part)) {
        return Ok(Vec::new());
    }
    let [after_event, after_field, after_rule, after_library] = after;
    let rows = store::on!(db, pool => {
        let query = sqlx::query_as(LIST_AFTER)
            .bind(tenant.as_str())
            .bind(source_id)
            .bind(event_name)
            .bind(library)
            .bind(after_event)
            .bind(after_field)
            .bind(after_rule)
            .bind(after_library)
            .bind(limit);
        query.fetch_all(pool).await
    })?;
    Ok(rows)
}

/// Forgets the counts of a source.
pub(crate) async fn delete(tx: &mut Tx, tenant: &TenantId, source_id: &str) -> Result<(), Error> {
    store::within!(tx, conn => {
        sqlx::query(DELETE).bind(tenant.as_str()).bind(source_id).execute(&mut *conn).await.map(|_| ())
    })?;
    Ok(())
}

/// Every statement, for the test that prepares them.
#[cfg(test)]
pub(crate) const STATEMENTS: &[&str] = &[KEYS, LIST_AFTER, DELETE];

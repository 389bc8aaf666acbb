//! Merges and splits, for those who ask.

use kit::TenantId;
use store::{Db, Error, Tx};
use uuid::Uuid;

use super::rows::{RowStatement, write_rows};

const INSERT: RowStatement =
    RowStatement { head: "INSERT INTO changes (tenant_id, change_no, body)", columns: 3, tail: "" };

const INSERT_PROFILES: RowStatement = RowStatement {
    head: "INSERT INTO change_profiles (tenant_id, profile_id, change_no)",
    columns: 3,
    tail: "ON CONFLICT DO NOTHING",
};

const LIST: &str = "
    SELECT change_no, body
      FROM changes
     WHERE tenant_id = $1 AND change_no < $2
     ORDER BY change_no DESC
     LIMIT $3";

const LIST_OF_PROFILE: &str = "
    SELECT changes.change_no, changes.body
      FROM change_profiles
      JOIN changes ON changes.tenant_id = change_profiles.tenant_id AND changes.change_no = change_profiles.change_no
     WHERE change_profiles.tenant_id = $1 AND change_profiles.profile_id = $4 AND change_profiles.change_no < $2
     ORDER BY change_profiles.change_no DESC
     LIMIT $3";

/// A merge or split.
#[derive(Debug, Clone)]
pub(crate) struct ChangeRow {
    /// Counts up within the tenant.
    pub(crate) number: i64,
    /// A serialised `ProfileChange`.
    pub(crate) body: Vec<u8>,
    /// Every profile it touched.
    pub(crate) profiles: Vec<Uuid>,
}

/// Stores changes.
pub(crate) async fn insert_changes(tx: &mut Tx, tenant: &TenantId, changes: &[ChangeRow]) -> Result<(), Error> {
    write_rows!(tx, INSERT, changes, |query, row| query
        .bind(tenant.as_str())
        .bind(row.number)
        .bind(row.body.as_slice()));
    let touched: Vec<(Uuid, i64)> =
        changes.iter().flat_map(|change| change.profiles.iter().map(|profile| (*profile, change.number))).collect();
    write_rows!(tx, INSERT_PROFILES, &touched, |query, row| {
        query.bind(tenant.as_str()).bind(row.0.as_bytes().as_slice()).bind(row.1)
    });
    Ok(())
}

/// Lists changes before number `before`, newest first: all, or those that touched a profile.
pub(crate) async fn list_changes(
    db: &Db,
    tenant: &TenantId,
    profile: Option<Uuid>,
    before: i64,
    limit: i64,
) -> Result<Vec<(i64, Vec<u8>)>, Error> {
    let rows = match profile {
        None => store::on!(*db, pool => {
            sqlx::query_as(LIST).bind(tenant.as_str()).bind(before).bind(limit).fetch_all(pool).await
        }),
        Some(profile) => store::on!(*db, pool => {
            sqlx::query_as(LIST_OF_PROFILE)
                .bind(tenant.as_str())
                .bind(before)
                .bind(limit)
                .bind(profile.as_bytes().as_slice())
                .fetch_all(pool)
                .await
        }),
    }?;
    Ok(rows)
}

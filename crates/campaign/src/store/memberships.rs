//! Who is or was in which segment.

use std::collections::HashMap;

use ::store::{Error, Tx, chunks, within};
use kit::TenantId;
use sqlx::QueryBuilder;

use crate::domain::membership::Membership;

/// Stays by (profile id, segment id).
pub(crate) type Stays = HashMap<(String, String), Membership>;

const FIND_MANY: &str = "
    SELECT profile_id, segment_id, enter_us, exit_us, prev_enter_us, prev_exit_us
      FROM memberships
     WHERE tenant_id = ";
const PUT: &str = "
    INSERT INTO memberships (tenant_id, profile_id, segment_id, enter_us, exit_us, prev_enter_us, prev_exit_us) ";
const PUT_CONFLICT: &str = "
    ON CONFLICT (tenant_id, profile_id, segment_id) DO UPDATE
       SET enter_us = excluded.enter_us, exit_us = excluded.exit_us,
           prev_enter_us = excluded.prev_enter_us, prev_exit_us = excluded.prev_exit_us";
const DELETE_OF: &str = "DELETE FROM memberships WHERE tenant_id = $1 AND profile_id = $2";

/// Returns the stays of these people, in all segments.
pub(crate) async fn of_profiles(tx: &mut Tx, tenant: &TenantId, profile_ids: &[&str]) -> Result<Stays, Error> {
    let mut found = Stays::new();
    for chunk in chunks(profile_ids, 1) {
        let rows: Vec<(String, String, i64, i64, i64, i64)> = within!(tx, conn => {
            let mut select = QueryBuilder::new(FIND_MANY);
            select.push_bind(tenant.as_str()).push(" AND profile_id IN (");
            let mut ids = select.separated(", ");
            for profile_id in chunk {
                ids.push_bind(*profile_id);
            }
            select.push(")");
            select.build_query_as().fetch_all(&mut *conn).await
        })?;
        for (profile_id, segment_id, enter_us, exit_us, prev_enter_us, prev_exit_us) in rows {
            found.insert((profile_id, segment_id), Membership { enter_us, exit_us, prev_enter_us, prev_exit_us });
        }
    }
    Ok(found)
}

/// Writes stays.
pub(crate) async fn save(
    tx: &mut Tx,
    tenant: &TenantId,
    stays: &[(&(String, String), &Membership)],
) -> Result<(), Error> {
    for chunk in chunks(stays, 7) {
        within!(tx, conn => {
            let mut insert = QueryBuilder::new(PUT);
            insert.push_values(chunk, |mut row, ((profile_id, segment_id), stay)| {
                row.push_bind(tenant.as_str())
                    .push_bind(profile_id.as_str())
                    .push_bind(segment_id.as_str())
                    .push_bind(stay.enter_us)
                    .push_bind(stay.exit_us)
                    .push_bind(stay.prev_enter_us)
                    .push_bind(stay.prev_exit_us);
            });
            insert.push(PUT_CONFLICT);
            insert.build().execute(&mut *conn).await.map(|_| ())
        })?;
    }
    Ok(())
}

/// Forgets where a person was.
pub(crate) async fn forget(tx: &mut Tx, tenant: &TenantId, profile_id: &str) -> Result<(), Error> {
    within!(tx, conn => {
        sqlx::query(DELETE_OF).bind(tenant.as_str()).bind(profile_id).execute(&mut *conn).await.map(|_| ())
    })?;
    Ok(())
}

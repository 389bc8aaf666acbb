//! What is known of each person.

use std::collections::HashMap;

use ::store::{Db, Error, Tx, chunks, on, within};
use kit::TenantId;
use sqlx::QueryBuilder;

use super::codec;
use crate::domain::profile::Profile;

const READ: &str = "
    SELECT state
      FROM profiles
     WHERE tenant_id = $1 AND profile_id = $2";
const READ_MANY: &str = "SELECT profile_id, state FROM profiles WHERE tenant_id = ";
const PUT: &str = "INSERT INTO profiles (tenant_id, profile_id, state) ";
const PUT_CONFLICT: &str = "
        ON CONFLICT (tenant_id, profile_id) DO UPDATE
       SET state = excluded.state";
const DELETE: &str = "DELETE FROM profiles WHERE tenant_id = ";

/// Returns a profile, if anything is known of it.
pub(crate) async fn find(db: &Db, tenant: &TenantId, profile_id: &str) -> Result<Option<Profile>, Error> {
    let state: Option<Vec<u8>> = on!(*db, pool => {
        sqlx::query_scalar(READ).bind(tenant.as_str()).bind(profile_id).fetch_optional(pool).await
    })?;
    state.map(|state| codec::unpack_profile(&state)).transpose()
}

/// Returns those of the profiles of which anything is known.
pub(crate) async fn find_many(
    tx: &mut Tx,
    tenant: &TenantId,
    profile_ids: &[&str],
) -> Result<HashMap<String, Profile>, Error> {
    let mut found = HashMap::with_capacity(profile_ids.len());
    for chunk in chunks(profile_ids, 1) {
        let rows: Vec<(String, Vec<u8>)> = within!(tx, conn => {
            let mut select = QueryBuilder::new(READ_MANY);
            select.push_bind(tenant.as_str()).push(" AND profile_id IN (");
            let mut ids = select.separated(", ");
            for profile_id in chunk {
                ids.push_bind(*profile_id);
            }
            select.push(")");
            select.build_query_as().fetch_all(&mut *conn).await
        })?;
        for (profile_id, state) in rows {
            found.insert(profile_id, codec::unpack_profile(&state)?);
        }
    }
    Ok(found)
}

/// Writes profiles; empty ones are deleted.
pub(crate) async fn put(tx: &mut Tx, tenant: &TenantId, profiles: &[(String, Profile)]) -> Result<(), Error> {
    let (empty, kept): (Vec<_>, Vec<_>) = profiles.iter().partition(|(_, profile)| profile.is_empty());
    for chunk in chunks(&kept, 3) {
        let packed: Vec<Vec<u8>> = chunk.iter().map(|(_, profile)| codec::pack_profile(profile)).collect();
        within!(tx, conn => {
            let mut insert = QueryBuilder::new(PUT);
            insert.push_values(chunk.iter().zip(&packed), |mut row, ((profile_id, _), state)| {
                row.push_bind(tenant.as_str()).push_bind(profile_id.as_str()).push_bind(state.as_slice());
            });
            insert.push(PUT_CONFLICT);
            insert.build().execute(&mut *conn).await.map(|_| ())
        })?;
    }
    for chunk in chunks(&empty, 1) {
        within!(tx, conn => {
            let mut delete = QueryBuilder::new(DELETE);
            delete.push_bind(tenant.as_str()).push(" AND profile_id IN (");
            let mut ids = delete.separated(", ");
            for (profile_id, _) in chunk {
                ids.push_bind(profile_id.as_str());
            }
            delete.push(")");
            delete.build().execute(&mut *conn).await.map(|_| ())
        })?;
    }
    Ok(())
}

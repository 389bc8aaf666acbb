//! Finding profiles by id, through the marks that absorbed ones leave.

use kit::TenantId;
use store::{Db, Error, Tx};
use uuid::Uuid;

use super::{
    codec::Damaged,
    rows::{From, RowStatement, read, write_rows},
};
use crate::domain::component::ComponentId;

/// Merges one after another that a lookup follows; far more than any person goes through.
const MOST_FORWARDS: usize = 1_000;

const FIND: &str = "
    SELECT component_id, survivor_id
      FROM profiles
     WHERE tenant_id = $1 AND profile_id = $2";

const LIST: &str = "
    SELECT profile_id, component_id
      FROM profiles
     WHERE tenant_id = $1 AND profile_id > $2 AND survivor_id IS NULL
     ORDER BY profile_id
     LIMIT $3";

const FORWARD: RowStatement = RowStatement {
    head: "INSERT INTO profiles (tenant_id, profile_id, component_id, survivor_id)",
    columns: 4,
    tail: "ON CONFLICT (tenant_id, profile_id) DO UPDATE SET survivor_id = excluded.survivor_id",
};

/// Returns the profile that `id` leads to and where it lives, if `id` was ever a profile.
pub(crate) async fn find_profile(
    mut from: From<'_>,
    tenant: &TenantId,
    id: Uuid,
) -> Result<Option<(Uuid, ComponentId)>, Error> {
    let mut id = id;
    for _ in 0..MOST_FORWARDS {
        let row: Option<(i64, Option<Vec<u8>>)> = read!(&mut from, executor => {
            sqlx::query_as(FIND)
                .bind(tenant.as_str())
                .bind(id.as_bytes().as_slice())
                .fetch_optional(executor)
                .await
        })?;
        match row {
            None => return Ok(None),
            Some((component, None)) => return Ok(Some((id, component))),
            Some((_, Some(survivor))) => id = uuid_from(&survivor)?,
        }
    }
    Err(Error::Damaged("profiles that absorbed each other in a circle".to_owned()))
}

/// Lists profiles that were not absorbed, by id, after `after`.
pub(crate) async fn list_profiles(
    db: &Db,
    tenant: &TenantId,
    after: Uuid,
    limit: i64,
) -> Result<Vec<(Uuid, ComponentId)>, Error> {
    let rows: Vec<(Vec<u8>, i64)> = store::on!(*db, pool => {
        sqlx::query_as(LIST)
            .bind(tenant.as_str())
            .bind(after.as_bytes().as_slice())
            .bind(limit)
            .fetch_all(pool)
            .await
    })?;
    rows.into_iter().map(|(id, component)| Ok((uuid_from(&id)?, component))).collect()
}

/// Notes which profile absorbed which: pairs of absorbed and survivor.
pub(crate) async fn forward(tx: &mut Tx, tenant: &TenantId, absorbed: &[(Uuid, Uuid)]) -> Result<(), Error> {
    write_rows!(tx, FORWARD, absorbed, |query, row| {
        query.bind(tenant.as_str()).bind(row.0.as_bytes().as_slice()).bind(0_i64).bind(row.1.as_bytes().as_slice())
    });
    Ok(())
}

pub(super) fn uuid_from(bytes: &[u8]) -> Result<Uuid, Damaged> {
    Uuid::from_slice(bytes).map_err(|_| Damaged)
}

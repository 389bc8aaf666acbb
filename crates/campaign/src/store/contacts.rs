//! What campaign knows of each person.

use std::collections::HashMap;

use ::store::{Db, Error, Tx, chunks, on, within};
use kit::TenantId;
use prost::Message;
use sqlx::QueryBuilder;

use super::unpack;
use crate::domain::contact::Contact;

const FIND: &str = "
    SELECT state
      FROM contacts
     WHERE tenant_id = $1 AND profile_id = $2";
const FIND_MANY: &str = "SELECT profile_id, state FROM contacts WHERE tenant_id = ";
const PUT: &str = "INSERT INTO contacts (tenant_id, profile_id, state) ";
const PUT_CONFLICT: &str = " ON CONFLICT (tenant_id, profile_id) DO UPDATE SET state = excluded.state";
const DELETE: &str = "DELETE FROM contacts WHERE tenant_id = ";

/// Profile id and what is known of the person, packed.
type Row = (String, Vec<u8>);

/// Returns what is known of a person.
pub(crate) async fn find(db: &Db, tenant: &TenantId, profile_id: &str) -> Result<Option<Contact>, Error> {
    let state: Option<Vec<u8>> = on!(*db, pool => {
        sqlx::query_scalar(FIND).bind(tenant.as_str()).bind(profile_id).fetch_optional(pool).await
    })?;
    state.map(|state| unpack(&state, "contact")).transpose()
}

/// Returns those of the people of whom anything is known, as they stand in a transaction.
pub(crate) async fn find_many(
    tx: &mut Tx,
    tenant: &TenantId,
    profile_ids: &[&str],
) -> Result<HashMap<String, Contact>, Error> {
    let mut found = HashMap::with_capacity(profile_ids.len());
    for chunk in chunks(profile_ids, 1) {
        let rows: Vec<Row> = within!(tx, conn => select(tenant, chunk).build_query_as().fetch_all(&mut *conn).await)?;
        unpack_into(&mut found, rows)?;
    }
    Ok(found)
}

/// Returns those of the people of whom anything is known.
pub(crate) async fn read_many(
    db: &Db,
    tenant: &TenantId,
    profile_ids: &[&str],
) -> Result<HashMap<String, Contact>, Error> {
    let mut found = HashMap::with_capacity(profile_ids.len());
    for chunk in chunks(profile_ids, 1) {
        let rows: Vec<Row> = on!(*db, pool => select(tenant, chunk).build_query_as().fetch_all(pool).await)?;
        unpack_into(&mut found, rows)?;
    }
    Ok(found)
}

fn select<'q, DB: sqlx::Database>(tenant: &'q TenantId, profile_ids: &[&'q str]) -> QueryBuilder<DB>
where
    &'q str: sqlx::Encode<'q, DB> + sqlx::Type<DB>,
{
    let mut select = QueryBuilder::new(FIND_MANY);
    select.push_bind(tenant.as_str()).push(" AND profile_id IN (");
    let mut ids = select.separated(", ");
    for profile_id in profile_ids {
        ids.push_bind(*profile_id);
    }
    select.push(")");
    select
}

fn unpack_into(found: &mut HashMap<String, Contact>, rows: Vec<Row>) -> Result<(), Error> {
    for (profile_id, state) in rows {
        found.insert(profile_id, unpack(&state, "contact")?);
    }
    Ok(())
}

/// Writes what is known of people; those of whom nothing is known are deleted.
pub(crate) async fn save(tx: &mut Tx, tenant: &TenantId, changed: &[(&str, Option<&Contact>)]) -> Result<(), Error> {
    let kept: Vec<(&str, Vec<u8>)> =
        changed.iter().filter_map(|(id, contact)| contact.map(|contact| (*id, contact.encode_to_vec()))).collect();
    for chunk in chunks(&kept, 3) {
        within!(tx, conn => {
            let mut insert = QueryBuilder::new(PUT);
            insert.push_values(chunk, |mut row, (profile_id, state)| {
                row.push_bind(tenant.as_str()).push_bind(*profile_id).push_bind(state.as_slice());
            });
            insert.push(PUT_CONFLICT);
            insert.build().execute(&mut *conn).await.map(|_| ())
        })?;
    }
    let forgotten: Vec<&str> = changed.iter().filter(|(_, contact)| contact.is_none()).map(|(id, _)| *id).collect();
    for chunk in chunks(&forgotten, 1) {
        within!(tx, conn => {
            let mut delete = QueryBuilder::new(DELETE);
            delete.push_bind(tenant.as_str()).push(" AND profile_id IN (");
            let mut ids = delete.separated(", ");
            for profile_id in chunk {
                ids.push_bind(*profile_id);
            }
            delete.push(")");
            delete.build().execute(&mut *conn).await.map(|_| ())
        })?;
    }
    Ok(())
}

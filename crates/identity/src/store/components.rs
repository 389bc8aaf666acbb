//! Components and the places of identifiers and profiles.

use kit::TenantId;
use sqlx::AssertSqlSafe;
use store::{Error, Tx};
use uuid::Uuid;

use super::{
    codec::{decode_component, encode_component},
    key_bytes, key_from,
    rows::{From, RowStatement, in_list, read, read_chunks, write_rows},
};
use crate::domain::{
    component::{Component, ComponentId},
    graph::Graph,
    identifier::Key,
};

const FIND_HOMES: &str = "
    SELECT identifier_key, component_id
      FROM identifiers
     WHERE tenant_id = $1 AND identifier_key IN";

const LOAD: &str = "
    SELECT component_id, state
      FROM components
     WHERE tenant_id = $1 AND component_id IN";

const DELETE: &str = "
    DELETE FROM components
     WHERE tenant_id = $1 AND component_id IN";

const SAVE: RowStatement = RowStatement {
    head: "INSERT INTO components (tenant_id, component_id, state)",
    columns: 3,
    tail: "ON CONFLICT (tenant_id, component_id) DO UPDATE SET state = excluded.state",
};

const SAVE_HOMES: RowStatement = RowStatement {
    head: "INSERT INTO identifiers (tenant_id, identifier_key, component_id)",
    columns: 3,
    tail: "ON CONFLICT (tenant_id, identifier_key) DO UPDATE SET component_id = excluded.component_id",
};

const SAVE_PROFILES: RowStatement = RowStatement {
    head: "INSERT INTO profiles (tenant_id, profile_id, component_id)",
    columns: 3,
    tail: "ON CONFLICT (tenant_id, profile_id) DO UPDATE SET component_id = excluded.component_id",
};

/// Returns in which component each of the identifiers lives that are known.
pub(crate) async fn find_homes(
    mut from: From<'_>,
    tenant: &TenantId,
    keys: &[Key],
) -> Result<Vec<(Key, ComponentId)>, Error> {
    let mut homes = Vec::new();
    for list in read_chunks(keys) {
        let text = in_list(FIND_HOMES, 2, list.len());
        let rows: Vec<(Vec<u8>, i64)> = read!(&mut from, executor => {
            let mut query = sqlx::query_as(AssertSqlSafe(text)).bind(tenant.as_str());
            for key in list {
                query = query.bind(key_bytes(key));
            }
            query.fetch_all(executor).await
        })?;
        for (key, component) in rows {
            homes.push((key_from(&key)?, component));
        }
    }
    Ok(homes)
}

/// Returns the components with these numbers that are stored.
pub(crate) async fn load_components(
    mut from: From<'_>,
    tenant: &TenantId,
    ids: &[ComponentId],
) -> Result<Vec<Component>, Error> {
    let mut components = Vec::with_capacity(ids.len());
    for list in read_chunks(ids) {
        let text = in_list(LOAD, 2, list.len());
        let rows: Vec<(i64, Vec<u8>)> = read!(&mut from, executor => {
            let mut query = sqlx::query_as(AssertSqlSafe(text)).bind(tenant.as_str());
            for id in list {
                query = query.bind(id);
            }
            query.fetch_all(executor).await
        })?;
        for (id, state) in rows {
            components.push(decode_component(id, &state)?);
        }
    }
    Ok(components)
}

/// Writes what has changed in `graph` since it was last saved.
pub(crate) async fn save(tx: &mut Tx, tenant: &TenantId, graph: &Graph) -> Result<(), Error> {
    let unsaved = &graph.unsaved;
    let gone: Vec<ComponentId> = unsaved.gone.iter().copied().collect();
    for list in read_chunks(&gone) {
        let text = in_list(DELETE, 2, list.len());
        store::within!(tx, connection => {
            let mut query = sqlx::query(AssertSqlSafe(text)).bind(tenant.as_str());
            for id in list {
                query = query.bind(id);
            }
            query.execute(&mut *connection).await.map(|_| ())
        })?;
    }

    let changed: Vec<&Component> = unsaved.components.iter().filter_map(|id| graph.component(*id)).collect();
    let mut encoded: Vec<(ComponentId, Vec<u8>)> =
        changed.into_iter().map(|component| (component.id, encode_component(component))).collect();
    encoded.sort_unstable_by_key(|(id, _)| *id);
    write_rows!(tx, SAVE, &encoded, |query, row| query.bind(tenant.as_str()).bind(row.0).bind(row.1.as_slice()));

    let homes: Vec<(Key, ComponentId)> = unsaved.rehomed.iter().map(|(key, id)| (*key, *id)).collect();
    write_rows!(tx, SAVE_HOMES, &homes, |query, row| query.bind(tenant.as_str()).bind(key_bytes(row.0)).bind(row.1));

    let people: Vec<(Uuid, ComponentId)> =
        unsaved.moved_people.iter().map(|(id, component)| (*id, *component)).collect();
    write_rows!(tx, SAVE_PROFILES, &people, |query, row| {
        query.bind(tenant.as_str()).bind(row.0.as_bytes().as_slice()).bind(row.1)
    });
    Ok(())
}

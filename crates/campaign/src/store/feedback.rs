//! Events about messages, on their way to ingestion.

use ::store::{Db, Error, Tx, chunks, on, within};
use kit::TenantId;
use prost::Message;
use proto::event::v1::Event;
use sqlx::QueryBuilder;

use super::unpack;

const PUT: &str = "INSERT INTO feedback (tenant_id, event_id, profile_id, create_us, event) ";
const PUT_CONFLICT: &str = " ON CONFLICT (tenant_id, event_id) DO NOTHING";
const NEXT: &str = "
    SELECT event_id, event
      FROM feedback
     WHERE tenant_id = $1
     ORDER BY create_us, event_id
     LIMIT $2";
const DELETE: &str = "DELETE FROM feedback WHERE tenant_id = ";
const FORGET: &str = "DELETE FROM feedback WHERE tenant_id = $1 AND profile_id = $2";
const WAITING: &str = "
    SELECT CAST(CASE WHEN EXISTS (SELECT 1 FROM feedback WHERE tenant_id = $1) THEN 1 ELSE 0 END AS BIGINT)";

/// An event of a profile, to be sent.
#[derive(Clone)]
pub(crate) struct Outgoing {
    pub(crate) tenant: TenantId,
    pub(crate) profile_id: String,
    pub(crate) create_us: i64,
    /// Its `message_id` names it: of two with the same the first counts.
    pub(crate) event: Event,
}

/// Keeps events until ingestion has taken them.
pub(crate) async fn put(tx: &mut Tx, events: &[Outgoing]) -> Result<(), Error> {
    for chunk in chunks(events, 5) {
        within!(tx, conn => {
            let mut insert = QueryBuilder::new(PUT);
            insert.push_values(chunk, |mut row, outgoing| {
                row.push_bind(outgoing.tenant.as_str())
                    .push_bind(outgoing.event.message_id.as_str())
                    .push_bind(outgoing.profile_id.as_str())
                    .push_bind(outgoing.create_us)
                    .push_bind(outgoing.event.encode_to_vec());
            });
            insert.push(PUT_CONFLICT);
            insert.build().execute(&mut *conn).await.map(|_| ())
        })?;
    }
    Ok(())
}

/// Returns the oldest events of a tenant.
pub(crate) async fn next(db: &Db, tenant: &TenantId, limit: i64) -> Result<Vec<(String, Event)>, Error> {
    let rows: Vec<(String, Vec<u8>)> = on!(*db, pool => {
        sqlx::query_as(NEXT).bind(tenant.as_str()).bind(limit).fetch_all(pool).await
    })?;
    rows.into_iter().map(|(event_id, event)| Ok((event_id, unpack(&event, "event")?))).collect()
}

/// Removes events that ingestion has taken.
pub(crate) async fn remove(tx: &mut Tx, tenant: &TenantId, event_ids: &[&str]) -> Result<(), Error> {
    for chunk in chunks(event_ids, 1) {
        within!(tx, conn => {
            let mut delete = QueryBuilder::new(DELETE);
            delete.push_bind(tenant.as_str()).push(" AND event_id IN (");
            let mut ids = delete.separated(", ");
            for event_id in chunk {
                ids.push_bind(*event_id);
            }
            delete.push(")");
            delete.build().execute(&mut *conn).await.map(|_| ())
        })?;
    }
    Ok(())
}

/// Removes what waits about an erased person.
pub(crate) async fn forget(tx: &mut Tx, tenant: &TenantId, profile_id: &str) -> Result<(), Error> {
    within!(tx, conn => {
        sqlx::query(FORGET).bind(tenant.as_str()).bind(profile_id).execute(&mut *conn).await.map(|_| ())
    })?;
    Ok(())
}

/// Whether anything of a tenant waits.
pub(crate) async fn is_waiting(db: &Db, tenant: &TenantId) -> Result<bool, Error> {
    let waiting: i64 = on!(*db, pool => sqlx::query_scalar(WAITING).bind(tenant.as_str()).fetch_one(pool).await)?;
    Ok(waiting > 0)
}

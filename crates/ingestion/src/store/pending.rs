//! Events that wait, sealed, for an answer.

use std::collections::{HashMap, HashSet};

use kit::TenantId;
use sqlx::QueryBuilder;
use store::{Db, Error, Tx};

use super::fixed;
use crate::domain::consent::Subject;
use crate::domain::finish::MessageHash;

/// What is known of an event that waits, without opening it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Waiting {
    pub(crate) message_hash: MessageHash,
    pub(crate) source_id: String,
    /// Whom it waits for, and whose key seals it.
    pub(crate) subject: Subject,
    /// The account of a visitor who is known: their answer counts as well.
    pub(crate) other_subject: Option<Subject>,
    pub(crate) purpose: String,
    pub(crate) receive_us: i64,
    /// Counts up within a person's events.
    pub(crate) ordinal: i64,
    pub(crate) expire_us: i64,
    /// When it is looked after.
    pub(crate) due_us: i64,
    pub(crate) bytes: i64,
}

/// How much waits for one person.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Load {
    pub(crate) events: i64,
    pub(crate) bytes: i64,
    /// The ordinal of the last.
    pub(crate) ordinal: i64,
}

type Row = (Vec<u8>, String, Vec<u8>, Vec<u8>, String, i64, i64, i64, i64, i64);

/// Rows of one list: more wait for the next.
const MOST_LISTED: i64 = 5_000;
/// Rows and bytes of sealed events in one statement.
const ROWS: usize = 100;

const LOADS: &str = "
    SELECT subject, COUNT(*), CAST(SUM(bytes) AS BIGINT), MAX(ordinal)
      FROM pending_events
     WHERE tenant_id = ";
const INSERT: &str = "
    INSERT INTO pending_events
           (tenant_id, message_hash, source_id, subject, other_subject, purpose, receive_us, ordinal, expire_us, due_us,
            bytes, sealed) ";
const LIST: &str = "
    SELECT message_hash, source_id, subject, other_subject, purpose, receive_us, ordinal, expire_us, due_us, bytes
      FROM pending_events
     WHERE tenant_id = ";
const DUE: &str = "
    SELECT tenant_id, message_hash, source_id, subject, other_subject, purpose, receive_us, ordinal, expire_us, due_us,
           bytes
      FROM pending_events
     WHERE due_us <= $1
     ORDER BY due_us
     LIMIT $2";
const SEALED: &str = "
    SELECT message_hash, sealed
      FROM pending_events
     WHERE tenant_id = ";
const REMOVE: &str = "
    DELETE FROM pending_events
     WHERE tenant_id = ";
const SUBJECTS_AFTER: &str = "
    SELECT DISTINCT subject
      FROM pending_events
     WHERE tenant_id = $1
       AND subject > $2
       AND ($3 = '' OR source_id = $3)
     ORDER BY subject
     LIMIT $4";
const CHANGE: &str = "
    UPDATE pending_events
       SET purpose = $3, expire_us = $4, due_us = $5
     WHERE tenant_id = $1 AND message_hash = $2";
const POSTPONE: &str = "
    UPDATE pending_events
       SET due_us = $3
     WHERE tenant_id = $1 AND message_hash = $2";

/// Returns how much waits for each of those for whom anything does.
pub(crate) async fn loads(
    tx: &mut Tx,
    tenant: &TenantId,
    subjects: &[Subject],
) -> Result<HashMap<Subject, Load>, Error> {
    let mut loads = HashMap::new();
    for chunk in store::chunks(subjects, 1) {
        let rows: Vec<(Vec<u8>, i64, i64, i64)> = store::within!(tx, conn => {
            let mut query = in_list!(LOADS, tenant, "subject", chunk);
            query.push(") GROUP BY subject").build_query_as().fetch_all(&mut *conn).await
        })?;
        for (subject, events, bytes, ordinal) in rows {
            loads.insert(fixed(subject)?, Load { events, bytes, ordinal });
        }
    }
    Ok(loads)
}

/// Adds events; one that waits already stays as it is.
pub(crate) async fn insert(tx: &mut Tx, tenant: &TenantId, events: &[(Waiting, Vec<u8>)]) -> Result<(), Error> {
    for chunk in events.chunks(ROWS) {
        store::within!(tx, conn => {
            let mut query = QueryBuilder::new(INSERT);
            query.push_values(chunk, |mut row, (waiting, sealed)| {
                row.push_bind(tenant.as_str())
                    .push_bind(waiting.message_hash.as_slice())
                    .push_bind(&waiting.source_id)
                    .push_bind(waiting.subject.as_slice())
                    .push_bind(waiting.other_subject.as_ref().map_or(&[][..], |subject| subject.as_slice()))
                    .push_bind(&waiting.purpose)
                    .push_bind(waiting.receive_us)
                    .push_bind(waiting.ordinal)
                    .push_bind(waiting.expire_us)
                    .push_bind(waiting.due_us)
                    .push_bind(waiting.bytes)
                    .push_bind(sealed);
            });
            query.push(" ON CONFLICT (tenant_id, message_hash) DO NOTHING");
            query.build().persistent(false).execute(&mut *conn).await.map(|_| ())
        })?;
    }
    Ok(())
}

/// Returns what waits for any of these people, in the order it came; of very much the beginning.
pub(crate) async fn list(tx: &mut Tx, tenant: &TenantId, subjects: &[Subject]) -> Result<Vec<Waiting>, Error> {
    let mut waiting: HashMap<MessageHash, Waiting> = HashMap::new();
    for chunk in store::chunks(subjects, 2) {
        let of_first: Vec<Row> = store::within!(tx, conn => {
            let mut query = in_list!(LIST, tenant, "subject", chunk);
            query.push(") ORDER BY receive_us, ordinal LIMIT ").push_bind(MOST_LISTED);
            query.build_query_as().fetch_all(&mut *conn).await
        })?;
        let of_other: Vec<Row> = store::within!(tx, conn => {
            let mut query = in_list!(LIST, tenant, "other_subject", chunk);
            query.push(") ORDER BY receive_us, ordinal LIMIT ").push_bind(MOST_LISTED);
            query.build_query_as().fetch_all(&mut *conn).await
        })?;
        for row in of_first.into_iter().chain(of_other) {
            let found = read(row)?;
            waiting.insert(found.message_hash, found);
        }
    }
    let mut waiting: Vec<Waiting> = waiting.into_values().collect();
    waiting.sort_by_key(|waiting| (waiting.receive_us, waiting.ordinal, waiting.message_hash));
    Ok(waiting)
}

/// Returns at most `limit` events that are to be looked after, of every tenant.
pub(crate) async fn due(db: &Db, now_us: i64, limit: i64) -> Result<Vec<(TenantId, Waiting)>, Error> {
    #[derive(sqlx::FromRow)]
    struct Due {
        tenant_id: String,
        message_hash: Vec<u8>,
        source_id: String,
        subject: Vec<u8>,
        other_subject: Vec<u8>,
        purpose: String,
        receive_us: i64,
        ordinal: i64,
        expire_us: i64,
        due_us: i64,
        bytes: i64,
    }
    let rows: Vec<Due> = store::on!(db, pool => {
        sqlx::query_as(DUE).bind(now_us).bind(limit).fetch_all(pool).await
    })?;
    let read = |row: Due| {
        let tenant = TenantId::try_from(row.tenant_id).map_err(|_| Error::Damaged("a tenant id".into()))?;
        let waiting = read((
            row.message_hash,
            row.source_id,
            row.subject,
            row.other_subject,
            row.purpose,
            row.receive_us,
            row.ordinal,
            row.expire_us,
            row.due_us,
            row.bytes,
        ))?;
        Ok((tenant, waiting))
    };
    rows.into_iter().map(read).collect()
}

fn read(row: Row) -> Result<Waiting, Error> {
    let (message_hash, source_id, subject, other, purpose, receive_us, ordinal, expire_us, due_us, bytes) = row;
    Ok(Waiting {
        message_hash: fixed(message_hash)?,
        source_id,
        subject: fixed(subject)?,
        other_subject: if other.is_empty() { None } else { Some(fixed(other)?) },
        purpose,
        receive_us,
        ordinal,
        expire_us,
        due_us,
        bytes,
    })
}

/// Returns events as they are sealed; those that are gone are missing.
pub(crate) async fn sealed(
    tx: &mut Tx,
    tenant: &TenantId,
    hashes: &[MessageHash],
) -> Result<HashMap<MessageHash, Vec<u8>>, Error> {
    let mut found = HashMap::new();
    for chunk in store::chunks(hashes, 1) {
        let rows: Vec<(Vec<u8>, Vec<u8>)> = store::within!(tx, conn => {
            in_list!(SEALED, tenant, "message_hash", chunk).push(")").build_query_as().fetch_all(&mut *conn).await
        })?;
        for (hash, sealed) in rows {
            found.insert(fixed(hash)?, sealed);
        }
    }
    Ok(found)
}

/// Removes events. Returns those that were still there: of two who remove, one is told so.
pub(crate) async fn remove(
    tx: &mut Tx,
    tenant: &TenantId,
    hashes: &[MessageHash],
) -> Result<HashSet<MessageHash>, Error> {
    let mut removed = HashSet::new();
    for chunk in store::chunks(hashes, 1) {
        let rows: Vec<Vec<u8>> = store::within!(tx, conn => {
            let mut query = in_list!(REMOVE, tenant, "message_hash", chunk);
            query.push(") RETURNING message_hash").build_query_scalar().fetch_all(&mut *conn).await
        })?;
        for hash in rows {
            removed.insert(fixed(hash)?);
        }
    }
    Ok(removed)
}

/// Returns at most `limit` people for whom events wait, of one source if one is named, behind `after` in their order.
pub(crate) async fn subjects_after(
    db: &Db,
    tenant: &TenantId,
    source_id: &str,
    after: &[u8],
    limit: i64,
) -> Result<Vec<Subject>, Error> {
    let rows: Vec<Vec<u8>> = store::on!(db, pool => {
        let query = sqlx::query_scalar(SUBJECTS_AFTER).bind(tenant.as_str()).bind(after).bind(source_id).bind(limit);
        query.fetch_all(pool).await
    })?;
    rows.into_iter().map(fixed).collect()
}

/// Sets what an event waits for, and how long.
pub(crate) async fn change(tx: &mut Tx, tenant: &TenantId, waiting: &Waiting) -> Result<(), Error> {
    store::within!(tx, conn => {
        let query = sqlx::query(CHANGE)
            .bind(tenant.as_str())
            .bind(waiting.message_hash.as_slice())
            .bind(&waiting.purpose)
            .bind(waiting.expire_us)
            .bind(waiting.due_us);
        query.execute(&mut *conn).await.map(|_| ())
    })?;
    Ok(())
}

/// Sets when an event is looked after next.
pub(crate) async fn postpone(tx: &mut Tx, tenant: &TenantId, hash: &MessageHash, due_us: i64) -> Result<(), Error> {
    store::within!(tx, conn => {
        let query = sqlx::query(POSTPONE).bind(tenant.as_str()).bind(hash.as_slice()).bind(due_us);
        query.execute(&mut *conn).await.map(|_| ())
    })?;
    Ok(())
}

/// Every whole statement, for the test that prepares them.
#[cfg(test)]
pub(crate) const STATEMENTS: &[&str] = &[DUE, SUBJECTS_AFTER, CHANGE, POSTPONE];

//! Dead letters.

use std::collections::HashSet;

use kit::TenantId;
use sqlx::QueryBuilder;
use store::{Db, Error, Tx};

use super::is_nowhere;

/// A dead letter as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub(crate) struct DeadLetterRow {
    pub(crate) dead_letter_id: String,
    pub(crate) source_id: String,
    pub(crate) reason: String,
    pub(crate) message: String,
    /// Number of `comptoir.ingestion.v1.DeadLetter.Encoding`.
    pub(crate) encoding: i64,
    pub(crate) library: String,
    pub(crate) receive_us: i64,
    pub(crate) payload: Vec<u8>,
}

/// Where a page of dead letters, newest first, goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) receive_us: i64,
    pub(crate) dead_letter_id: String,
}

/// Rows and bytes of payload in one statement.
const ROWS: usize = 200;
const BYTES: usize = 8 << 20;

const INSERT: &str = "
    INSERT INTO dead_letters
           (tenant_id, dead_letter_id, source_id, reason, message, encoding, library, receive_us, payload) ";
const LIST: &str = "
    SELECT dead_letter_id, source_id, reason, message, encoding, library, receive_us, payload
      FROM dead_letters
     WHERE tenant_id = $1
       AND ($2 = '' OR source_id = $2)
       AND ($3 = '' OR reason = $3)
       AND (receive_us, dead_letter_id) < ($4, $5)
     ORDER BY receive_us DESC, dead_letter_id DESC
     LIMIT $6";
const FIND: &str = "
    SELECT dead_letter_id, source_id, reason, message, encoding, library, receive_us, payload
      FROM dead_letters
     WHERE tenant_id = ";
const DELETE: &str = "
    DELETE FROM dead_letters
     WHERE tenant_id = ";
const SET_REASON: &str = "
    UPDATE dead_letters
       SET reason = $3, message = $4
     WHERE tenant_id = $1 AND dead_letter_id = $2";

/// Keeps dead letters. Returns the ids of those that were not kept already, as after a retry they are.
pub(crate) async fn insert(
    tx: &mut Tx,
    tenant: &TenantId,
    letters: &[DeadLetterRow],
) -> Result<HashSet<String>, Error> {
    let mut inserted = HashSet::new();
    for chunk in chunks(letters) {
        let ids: Vec<String> = store::within!(tx, conn => {
            let mut query = QueryBuilder::new(INSERT);
            query.push_values(chunk, |mut row, letter| {
                row.push_bind(tenant.as_str())
                    .push_bind(&letter.dead_letter_id)
                    .push_bind(&letter.source_id)
                    .push_bind(&letter.reason)
                    .push_bind(&letter.message)
                    .push_bind(letter.encoding)
                    .push_bind(&letter.library)
                    .push_bind(letter.receive_us)
                    .push_bind(&letter.payload);
            });
            query.push(" ON CONFLICT (tenant_id, dead_letter_id) DO NOTHING RETURNING dead_letter_id");
            query.build_query_scalar().persistent(false).fetch_all(&mut *conn).await
        })?;
        inserted.extend(ids);
    }
    Ok(inserted)
}

fn chunks(letters: &[DeadLetterRow]) -> Vec<&[DeadLetterRow]> {
    let mut chunks = Vec::new();
    let mut start = 0;
    let mut bytes = 0;
    for (index, letter) in letters.iter().enumerate() {
        let full = index - start == ROWS || bytes + letter.payload.len() > BYTES;
        if full && index > start {
            chunks.push(&letters[start..index]);
            start = index;
            bytes = 0;
        }
        bytes += letter.payload.len();
    }
    if start < letters.len() {
        chunks.push(&letters[start..]);
    }
    chunks
}

/// Returns at most `limit` dead letters before `before`, newest first. Empty filters let everything pass.
pub(crate) async fn list(
    db: &Db,
    tenant: &TenantId,
    source_id: &str,
    reason: &str,
    before: &Place,
    limit: i64,
) -> Result<Vec<DeadLetterRow>, Error> {
    if [source_id, reason, &before.dead_letter_id].into_iter().any(is_nowhere) {
        return Ok(Vec::new());
    }
    let rows = store::on!(db, pool => {
        let query = sqlx::query_as(LIST)
            .bind(tenant.as_str())
            .bind(source_id)
            .bind(reason)
            .bind(before.receive_us)
            .bind(&before.dead_letter_id)
            .bind(limit);
        query.fetch_all(pool).await
    })?;
    Ok(rows)
}

/// Returns those of the dead letters that are there, in no order.
pub(crate) async fn find(db: &Db, tenant: &TenantId, ids: &[String]) -> Result<Vec<DeadLetterRow>, Error> {
    let rows = store::on!(db, pool => {
        let mut query = QueryBuilder::new(FIND);
        query.push_bind(tenant.as_str()).push(" AND dead_letter_id IN (''");
                for id in ids.iter().filter(|id| !is_nowhere(id)) {
            query.push(", ").push_bind(id);
        }
        query.push(")");
        query.build_query_as().persistent(false).fetch_all(pool).await
    })?;
    Ok(rows)
}

/// Removes dead letters. Returns how many there were.
pub(crate) async fn delete(tx: &mut Tx, tenant: &TenantId, ids: &[String]) -> Result<u64, Error> {
    let mut removed = 0;
    for chunk in store::chunks(ids, 1) {
        removed += store::within!(tx, conn => {
            let mut query = QueryBuilder::new(DELETE);
            query.push_bind(tenant.as_str()).push(" AND dead_letter_id IN (''");
                        for id in chunk.iter().filter(|id| !is_nowhere(id)) {
                query.push(", ").push_bind(id);
            }
            query.push(")");
            query.build().persistent(false).execute(&mut *conn).await.map(|done| done.rows_affected())
        })?;
    }
    Ok(removed)
}

/// Notes why a replay did not help.
pub(crate) async fn set_reason(
    tx: &mut Tx,
    tenant: &TenantId,
    dead_letter_id: &str,
    reason: &str,
    message: &str,
) -> Result<(), Error> {
    store::within!(tx, conn => {
        let query = sqlx::query(SET_REASON).bind(tenant.as_str()).bind(dead_letter_id).bind(reason).bind(message);
        query.execute(&mut *conn).await.map(|_| ())
    })?;
    Ok(())
}

/// Every whole statement, for the test that prepares them.
#[cfg(test)]
pub(crate) const STATEMENTS: &[&str] = &[LIST, SET_REASON];

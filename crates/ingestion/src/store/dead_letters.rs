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
    /// As far as it could be read.
    pub(crate) event_name: String,
}

/// Which dead letters are meant. Empty parts let everything pass.
#[derive(Debug, Clone)]
pub(crate) struct Filter {
    pub(crate) source_id: String,
    pub(crate) reason: String,
    pub(crate) library_prefix: String,
    pub(crate) event_name: String,
    /// Received at this time or later.
    pub(crate) from_us: i64,
    /// Received before this time.
    pub(crate) until_us: i64,
    /// Held by the message, whatever its case.
    pub(crate) text: String,
}

impl Default for Filter {
    fn default() -> Self {
        Self {
            source_id: String::new(),
            reason: String::new(),
            library_prefix: String::new(),
            event_name: String::new(),
            from_us: 0,
            until_us: i64::MAX,
            text: String::new(),
        }
    }
}

impl Filter {
    /// Whether it names what no store can hold.
    fn is_nowhere(&self) -> bool {
        let Self { source_id, reason, library_prefix, event_name, text, .. } = self;
        [source_id, reason, library_prefix, event_name, text].into_iter().any(|part| is_nowhere(part))
    }

    /// Returns what the library and the message must be like; empty where they may be anything.
    fn patterns(&self) -> (String, String) {
        let library = match self.library_prefix.as_str() {
            "" => String::new(),
            prefix => format!("{}%", literal(prefix)),
        };
        let message = match self.text.as_str() {
            "" => String::new(),
            text => format!("%{}%", literal(text)),
        };
        (library, message)
    }
}

/// The order of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    NewestFirst,
    OldestFirst,
}

/// Where a page of dead letters goes on.
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
           (tenant_id, dead_letter_id, source_id, reason, message, encoding, library, receive_us, payload, event_name) ";
const NEWEST_FIRST: &str = "
    SELECT dead_letter_id, source_id, reason, message, encoding, library, receive_us, payload, event_name
      FROM dead_letters
     WHERE tenant_id = $1
       AND receive_us >= $2
       AND receive_us < $3
       AND (receive_us, dead_letter_id) < ($4, $5)
       AND ($6 = '' OR source_id = $6)
       AND ($7 = '' OR reason = $7)
       AND ($8 = '' OR event_name = $8)
       AND ($9 = '' OR library LIKE $9 ESCAPE '!')
       AND ($10 = '' OR LOWER(message) LIKE LOWER($10) ESCAPE '!')
     ORDER BY receive_us DESC, dead_letter_id DESC
     LIMIT $11";
const OLDEST_FIRST: &str = "
    SELECT dead_letter_id, source_id, reason, message, encoding, library, receive_us, payload, event_name
      FROM dead_letters
     WHERE tenant_id = $1
       AND receive_us >= $2
       AND receive_us < $3
       AND (receive_us, dead_letter_id) > ($4, $5)
       AND ($6 = '' OR source_id = $6)
       AND ($7 = '' OR reason = $7)
       AND ($8 = '' OR event_name = $8)
       AND ($9 = '' OR library LIKE $9 ESCAPE '!')
       AND ($10 = '' OR LOWER(message) LIKE LOWER($10) ESCAPE '!')
     ORDER BY receive_us, dead_letter_id
     LIMIT $11";
const FIND: &str = "
    SELECT dead_letter_id, source_id, reason, message, encoding, library, receive_us, payload, event_name
      FROM dead_letters
     WHERE tenant_id = ";
const DELETE: &str = "
    DELETE FROM dead_letters
     WHERE tenant_id = ";
const DELETE_OLDEST: &str = "
    DELETE FROM dead_letters
     WHERE tenant_id = $1
       AND dead_letter_id IN (
           SELECT dead_letter_id
             FROM dead_letters
            WHERE tenant_id = $1
              AND receive_us >= $2
              AND receive_us < $3
              AND ($4 = '' OR source_id = $4)
              AND ($5 = '' OR reason = $5)
              AND ($6 = '' OR event_name = $6)
              AND ($7 = '' OR library LIKE $7 ESCAPE '!')
              AND ($8 = '' OR LOWER(message) LIKE LOWER($8) ESCAPE '!')
            ORDER BY receive_us, dead_letter_id
            LIMIT $9)";
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
                    .push_bind(&letter.payload)
                    .push_bind(&letter.event_name);
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

/// Returns at most `limit` dead letters that come after `beyond` in the order of the list.
pub(crate) async fn list(
    db: &Db,
    tenant: &TenantId,
    filter: &Filter,
    order: Order,
    beyond: &Place,
    limit: i64,
) -> Result<Vec<DeadLetterRow>, Error> {
    if filter.is_nowhere() || is_nowhere(&beyond.dead_letter_id) {
        return Ok(Vec::new());
    }
    let sql = match order {
        Order::NewestFirst => NEWEST_FIRST,
        Order::OldestFirst => OLDEST_FIRST,
    };
    let (begins, holds) = filter.patterns();
    let rows = store::on!(db, pool => {
        let query = sqlx::query_as(sql)
            .bind(tenant.as_str())
            .bind(filter.from_us)
            .bind(filter.until_us)
            .bind(beyond.receive_us)
            .bind(&beyond.dead_letter_id)
            .bind(&filter.source_id)
            .bind(&filter.reason)
            .bind(&filter.event_name)
            .bind(&begins)
            .bind(&holds)
            .bind(limit);
        query.fetch_all(pool).await
    })?;
    Ok(rows)
}

/// Returns a text as a pattern that only the text itself matches.
fn literal(text: &str) -> String {
    text.replace('!', "!!").replace('%', "!%").replace('_', "!_")
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

/// Removes the oldest dead letters that pass a filter, at most `limit`. Returns how many there were.
pub(crate) async fn delete_oldest(tx: &mut Tx, tenant: &TenantId, filter: &Filter, limit: i64) -> Result<u64, Error> {
    if filter.is_nowhere() {
        return Ok(0);
    }
    let (begins, holds) = filter.patterns();
    let removed = store::within!(tx, conn => {
        let query = sqlx::query(DELETE_OLDEST)
            .bind(tenant.as_str())
            .bind(filter.from_us)
            .bind(filter.until_us)
            .bind(&filter.source_id)
            .bind(&filter.reason)
            .bind(&filter.event_name)
            .bind(&begins)
            .bind(&holds)
            .bind(limit);
        query.execute(&mut *conn).await.map(|done| done.rows_affected())
    })?;
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
pub(crate) const STATEMENTS: &[&str] = &[NEWEST_FIRST, OLDEST_FIRST, DELETE_OLDEST, SET_REASON];

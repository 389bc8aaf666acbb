//! The deduplication window.

use std::collections::HashSet;

use kit::TenantId;
use sqlx::AssertSqlSafe;
use store::{Db, Error, Tx};

use crate::domain::finish::MessageHash;

/// Rows in one statement.
const ROWS: usize = 500;
/// So few rows are told at once.
const FEW_ROWS: usize = 4;

/// Parts of a tenant's hashes that are swept apart from each other; at 10^8 rows each holds some 25,000.
pub(crate) const SLICES: u16 = 4_096;

const SAVEPOINT: &str = "SAVEPOINT seen";
const RELEASE: &str = "RELEASE SAVEPOINT seen";
const ROLLBACK_TO: &str = "ROLLBACK TO SAVEPOINT seen";
const ANY_EXPIRED: &str = "
    SELECT 1
      FROM seen_messages
     WHERE tenant_id = $1
       AND message_hash >= $2
       AND message_hash < $3
       AND received_us < $4
     LIMIT 1";
const DELETE_EXPIRED: &str = "
    DELETE FROM seen_messages
     WHERE tenant_id = $1
       AND message_hash >= $2
       AND message_hash < $3
       AND received_us < $4";

/// Records messages, each given once, and returns those that were not seen since `cutoff_us`.
///
/// Exact: it stands or falls with the transaction, and two transactions that bring the same message wait for each
/// other. Messages are recorded in the order of their hashes, so that they cannot wait in a circle.
pub(crate) async fn insert_new(
    tx: &mut Tx,
    tenant: &TenantId,
    mut hashes: Vec<MessageHash>,
    received_us: i64,
    cutoff_us: i64,
) -> Result<HashSet<MessageHash>, Error> {
    hashes.sort_unstable();
    let insertion = Insertion { tenant, received_us, cutoff_us };
    if hashes.len() <= FEW_ROWS {
        return insertion.insert_telling(tx, &hashes).await;
    }
    // Nearly always all are new, and counting them is enough: on SQLite that spared 3 of 20 us CPU per event over the
    // whole service. A batch with a duplicate pays for a second insert.
    execute(tx, SAVEPOINT).await?;
    if insertion.insert_counting(tx, &hashes).await? == hashes.len() as u64 {
        execute(tx, RELEASE).await?;
        return Ok(hashes.into_iter().collect());
    }
    execute(tx, ROLLBACK_TO).await?;
    insertion.insert_telling(tx, &hashes).await
}

/// Records messages of a tenant as the transaction that appends them does, and returns how many were not seen since
/// `cutoff_us`. For measuring the window by itself; events come in through the service.
pub async fn remember(
    tx: &mut Tx,
    tenant: &TenantId,
    message_hashes: Vec<[u8; 16]>,
    received_us: i64,
    cutoff_us: i64,
) -> Result<usize, Error> {
    Ok(insert_new(tx, tenant, message_hashes, received_us, cutoff_us).await?.len())
}

struct Insertion<'a> {
    tenant: &'a TenantId,
    received_us: i64,
    cutoff_us: i64,
}

impl Insertion<'_> {
    /// Returns how many messages were new.
    async fn insert_counting(&self, tx: &mut Tx, hashes: &[MessageHash]) -> Result<u64, Error> {
        let mut new = 0;
        for chunk in hashes.chunks(ROWS) {
            let sql = insert_statement(chunk.len(), "");
            new += store::within!(tx, conn => {
                let mut query = sqlx::query(AssertSqlSafe(sql)).persistent(is_worth_keeping(chunk.len()));
                query = query.bind(self.tenant.as_str()).bind(self.received_us).bind(self.cutoff_us);
                for hash in chunk {
                    query = query.bind(hash.as_slice());
                }
                query.execute(&mut *conn).await.map(|done| done.rows_affected())
            })?;
        }
        Ok(new)
    }

    /// Returns which messages were new.
    async fn insert_telling(&self, tx: &mut Tx, hashes: &[MessageHash]) -> Result<HashSet<MessageHash>, Error> {
        let mut new = HashSet::with_capacity(hashes.len());
        for chunk in hashes.chunks(ROWS) {
            let sql = insert_statement(chunk.len(), " RETURNING message_hash");
            let rows: Vec<Vec<u8>> = store::within!(tx, conn => {
                let mut query = sqlx::query_scalar(AssertSqlSafe(sql)).persistent(is_worth_keeping(chunk.len()));
                query = query.bind(self.tenant.as_str()).bind(self.received_us).bind(self.cutoff_us);
                for hash in chunk {
                    query = query.bind(hash.as_slice());
                }
                query.fetch_all(&mut *conn).await
            })?;
            for row in rows {
                let hash = MessageHash::try_from(row);
                new.insert(hash.map_err(|_| Error::Damaged("a message hash has 16 bytes".into()))?);
            }
        }
        Ok(new)
    }
}

async fn execute(tx: &mut Tx, sql: &'static str) -> Result<(), Error> {
    store::within!(tx, conn => sqlx::query(sql).execute(&mut *conn).await.map(|_| ()))?;
    Ok(())
}

/// Full statements are all alike and single events are common; of other sizes there are too many to keep prepared.
fn is_worth_keeping(rows: usize) -> bool {
    rows == ROWS || rows <= FEW_ROWS
}

/// An expired row that nobody swept yet takes part as if it were gone: the update gives it its new time.
fn insert_statement(rows: usize, returning: &str) -> String {
    let mut sql = String::with_capacity(16 * rows + 256);
    sql.push_str("INSERT INTO seen_messages (tenant_id, message_hash, received_us) VALUES ");
    for row in 0..rows {
        let separator = if row == 0 { "" } else { ", " };
        sql.push_str(&format!("{separator}($1, ${}, $2)", row + 4));
    }
    sql.push_str(
        " ON CONFLICT (tenant_id, message_hash) DO UPDATE SET received_us = excluded.received_us
           WHERE seen_messages.received_us < $3",
    );
    sql.push_str(returning);
    sql
}

/// Removes what expired before `cutoff_us` in one slice of a tenant's messages. Returns how many.
pub(crate) async fn sweep(db: &Db, tenant: &TenantId, slice: u16, cutoff_us: i64) -> Result<u64, Error> {
    let (from, to) = bounds(slice);
    // Asked first on a reading connection: most slices have nothing to remove, and writers are few.
    let any: Option<i32> = store::on!(db, pool => {
        let query = sqlx::query(ANY_EXPIRED).bind(tenant.as_str()).bind(&from).bind(&to).bind(cutoff_us);
        query.fetch_optional(pool).await.map(|row| row.map(|_| 1))
    })?;
    if any.is_none() {
        return Ok(0);
    }
    let mut tx = db.begin().await?;
    let removed = store::within!(tx, conn => {
        let query = sqlx::query(DELETE_EXPIRED).bind(tenant.as_str()).bind(&from).bind(&to).bind(cutoff_us);
        query.execute(&mut *conn).await.map(|done| done.rows_affected())
    })?;
    tx.commit().await?;
    Ok(removed)
}

/// Returns the least hash of a slice and the least beyond it.
fn bounds(slice: u16) -> (Vec<u8>, Vec<u8>) {
    let from = slice << 4;
    let from_bytes = [&from.to_be_bytes()[..], &[0; 14]].concat();
    let to_bytes = match (slice + 1).checked_mul(16) {
        Some(to) => [&to.to_be_bytes()[..], &[0; 14]].concat(),
        // Beyond every hash: longer than all that begin alike.
        None => vec![0xff; 17],
    };
    (from_bytes, to_bytes)
}

/// Every whole statement, for the test that prepares them.
#[cfg(test)]
pub(crate) const STATEMENTS: &[&str] = &[ANY_EXPIRED, DELETE_EXPIRED];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_cover_every_hash_once() {
        for slice in 0..SLICES - 1 {
            assert_eq!(bounds(slice).1, bounds(slice + 1).0);
        }
        assert_eq!(bounds(0).0, vec![0; 16]);
        assert!(bounds(SLICES - 1).1.as_slice() > [0xff; 16].as_slice());
    }
}

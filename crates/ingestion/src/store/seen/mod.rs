//! The deduplication window as it is stored; what it means is in `window/mod.rs`.

pub(crate) mod runs;

use kit::TenantId;
use store::{Db, Error, Tx};

use crate::domain::finish::MessageHash;

/// Takes the next number, and with it the right to write: the row stays locked until the transaction ends.
const TAKE_SEQ: &str = "
    INSERT INTO seen_heads (tenant_id, next_seq, merged_seq, merges, merging_until_us)
    VALUES ($1, 2, 0, 0, 0)
    ON CONFLICT (tenant_id) DO UPDATE SET next_seq = seen_heads.next_seq + 1
    RETURNING next_seq - 1, merged_seq, merges";
const FIND_HEAD: &str = "
    SELECT next_seq, merged_seq, merges
      FROM seen_heads
     WHERE tenant_id = $1";
const NOTE_MERGE: &str = "
    UPDATE seen_heads
       SET merged_seq = $2, merges = merges + 1
     WHERE tenant_id = $1";
const CLAIM_MERGING: &str = "
    UPDATE seen_heads
       SET merging_until_us = $3
     WHERE tenant_id = $1 AND merging_until_us < $2";
const KEEP_MERGING: &str = "
    UPDATE seen_heads
       SET merging_until_us = $2
     WHERE tenant_id = $1";
const LIST_TENANTS: &str = "
    SELECT tenant_id
      FROM seen_heads
     ORDER BY tenant_id";
const INSERT_BATCH: &str = "
    INSERT INTO seen_batches (tenant_id, seq, received_us, ids, hashes)
    VALUES ($1, $2, $3, $4, $5)";
const READ_BATCHES: &str = "
    SELECT seq, received_us, hashes
      FROM seen_batches
     WHERE tenant_id = $1 AND seq > $2
     ORDER BY seq
     LIMIT $3";
const SIZE_OF_BATCHES: &str = "
    SELECT COUNT(*), CAST(COALESCE(SUM(ids), 0) AS BIGINT)
      FROM seen_batches
     WHERE tenant_id = $1 AND seq > $2";
const DELETE_MERGED: &str = "
    DELETE FROM seen_batches
     WHERE tenant_id = $1 AND seq <= $2";
const SIZE_OF_EXPIRED: &str = "
    SELECT CAST(COALESCE(SUM(ids), 0) AS BIGINT)
      FROM seen_batches
     WHERE tenant_id = $1 AND received_us < $2";
const DELETE_EXPIRED: &str = "
    DELETE FROM seen_batches
     WHERE tenant_id = $1 AND received_us < $2";

/// Where a tenant's window stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Head {
    /// The number that was taken; from [`find_head`], the one that comes next.
    pub(crate) seq: i64,
    /// Batches up to this one are merged into runs.
    pub(crate) merged_seq: i64,
    /// How often the set of runs changed.
    pub(crate) merges: i64,
}

/// The messages of one transaction.
pub(crate) struct Batch {
    pub(crate) seq: i64,
    pub(crate) received_us: i64,
    pub(crate) hashes: Vec<MessageHash>,
}

/// Takes the next number of a tenant; nobody else can until `tx` ends.
pub(crate) async fn take_seq(tx: &mut Tx, tenant: &TenantId) -> Result<Head, Error> {
    let (seq, merged_seq, merges) = store::within!(tx, conn => {
        sqlx::query_as(TAKE_SEQ).bind(tenant.as_str()).fetch_one(&mut *conn).await
    })?;
    Ok(Head { seq, merged_seq, merges })
}

/// Returns where a tenant's window stands, if it has one.
pub(crate) async fn find_head(db: &Db, tenant: &TenantId) -> Result<Option<Head>, Error> {
    let row: Option<(i64, i64, i64)> = store::on!(db, pool => {
        sqlx::query_as(FIND_HEAD).bind(tenant.as_str()).fetch_optional(pool).await
    })?;
    Ok(row.map(|(seq, merged_seq, merges)| Head { seq, merged_seq, merges }))
}

/// Notes that the set of runs changed, and up to where batches are merged. The head must have been taken.
pub(crate) async fn note_merge(tx: &mut Tx, tenant: &TenantId, merged_seq: i64) -> Result<(), Error> {
    store::within!(tx, conn => {
        sqlx::query(NOTE_MERGE).bind(tenant.as_str()).bind(merged_seq).execute(&mut *conn).await.map(|_| ())
    })?;
    Ok(())
}

/// Claims the tenant for merging until `until_us`; only spares others the same work. Returns whether it was free.
pub(crate) async fn claim_merging(db: &Db, tenant: &TenantId, now_us: i64, until_us: i64) -> Result<bool, Error> {
    let mut tx = db.begin().await?;
    let claimed = store::within!(tx, conn => {
        let query = sqlx::query(CLAIM_MERGING).bind(tenant.as_str()).bind(now_us).bind(until_us);
        query.execute(&mut *conn).await.map(|done| done.rows_affected() == 1)
    })?;
    tx.commit().await?;
    Ok(claimed)
}

/// Keeps a claim until `until_us`, or gives it up with 0.
pub(crate) async fn keep_merging(db: &Db, tenant: &TenantId, until_us: i64) -> Result<(), Error> {
    let mut tx = db.begin().await?;
    store::within!(tx, conn => {
        sqlx::query(KEEP_MERGING).bind(tenant.as_str()).bind(until_us).execute(&mut *conn).await.map(|_| ())
    })?;
    tx.commit().await
}

/// Lists the tenants that have a window.
pub(crate) async fn list_tenants(db: &Db) -> Result<Vec<TenantId>, Error> {
    let names: Vec<String> = store::on!(db, pool => sqlx::query_scalar(LIST_TENANTS).fetch_all(pool).await)?;
    let tenant = |name: String| TenantId::try_from(name.as_str()).map_err(|_| Error::Damaged("a tenant's name".into()));
    names.into_iter().map(tenant).collect()
}

/// Writes what the transaction that took `seq` received.
pub(crate) async fn insert_batch(tx: &mut Tx, tenant: &TenantId, batch: &Batch) -> Result<(), Error> {
    let bytes = batch.hashes.concat();
    store::within!(tx, conn => {
        sqlx::query(INSERT_BATCH)
            .bind(tenant.as_str())
            .bind(batch.seq)
            .bind(batch.received_us)
            .bind(batch.hashes.len() as i64)
            .bind(bytes)
            .execute(&mut *conn)
            .await
            .map(|_| ())
    })?;
    Ok(())
}

type BatchRow = (i64, i64, Vec<u8>);

/// Reads batches after `after_seq`, `limit` at most, as a transaction sees them.
pub(crate) async fn read_batches_in(
    tx: &mut Tx,
    tenant: &TenantId,
    after_seq: i64,
    limit: i64,
) -> Result<Vec<Batch>, Error> {
    let rows: Vec<BatchRow> = store::within!(tx, conn => {
        let query = sqlx::query_as(READ_BATCHES).bind(tenant.as_str()).bind(after_seq).bind(limit);
        query.fetch_all(&mut *conn).await
    })?;
    rows.into_iter().map(batch).collect()
}

/// Reads batches after `after_seq`, `limit` at most.
pub(crate) async fn read_batches(db: &Db, tenant: &TenantId, after_seq: i64, limit: i64) -> Result<Vec<Batch>, Error> {
    let rows: Vec<BatchRow> = store::on!(db, pool => {
        sqlx::query_as(READ_BATCHES).bind(tenant.as_str()).bind(after_seq).bind(limit).fetch_all(pool).await
    })?;
    rows.into_iter().map(batch).collect()
}

fn batch((seq, received_us, bytes): BatchRow) -> Result<Batch, Error> {
    let (hashes, rest) = bytes.as_chunks::<16>();
    if !rest.is_empty() {
        return Err(Error::Damaged(format!("the seen batch {seq}")));
    }
    Ok(Batch { seq, received_us, hashes: hashes.to_vec() })
}

/// Returns how many batches and messages come after `after_seq`.
pub(crate) async fn size_of_batches(db: &Db, tenant: &TenantId, after_seq: i64) -> Result<(i64, i64), Error> {
    let size = store::on!(db, pool => {
        sqlx::query_as(SIZE_OF_BATCHES).bind(tenant.as_str()).bind(after_seq).fetch_one(pool).await
    })?;
    Ok(size)
}

/// Removes the batches up to `through_seq`.
pub(crate) async fn delete_merged(tx: &mut Tx, tenant: &TenantId, through_seq: i64) -> Result<(), Error> {
    store::within!(tx, conn => {
        sqlx::query(DELETE_MERGED).bind(tenant.as_str()).bind(through_seq).execute(&mut *conn).await.map(|_| ())
    })?;
    Ok(())
}

/// Removes the batches received before `cutoff_us`; returns how many messages they held.
pub(crate) async fn delete_expired(db: &Db, tenant: &TenantId, cutoff_us: i64) -> Result<i64, Error> {
    // Asked first on a reading connection: mostly there is nothing to remove, and writers are few.
    let ids: i64 = store::on!(db, pool => {
        sqlx::query_scalar(SIZE_OF_EXPIRED).bind(tenant.as_str()).bind(cutoff_us).fetch_one(pool).await
    })?;
    if ids > 0 {
        let mut tx = db.begin().await?;
        store::within!(tx, conn => {
            sqlx::query(DELETE_EXPIRED).bind(tenant.as_str()).bind(cutoff_us).execute(&mut *conn).await.map(|_| ())
        })?;
        tx.commit().await?;
    }
    Ok(ids)
}

/// Every whole statement, for the test that prepares them.
#[cfg(test)]
pub(crate) const STATEMENTS: &[&str] = &[
    TAKE_SEQ,
    FIND_HEAD,
    NOTE_MERGE,
    CLAIM_MERGING,
    KEEP_MERGING,
    LIST_TENANTS,
    INSERT_BATCH,
    READ_BATCHES,
    SIZE_OF_BATCHES,
    DELETE_MERGED,
    SIZE_OF_EXPIRED,
    DELETE_EXPIRED,
];

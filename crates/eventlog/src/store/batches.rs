//! Batches of records.

use bytes::Bytes;
use proto::log::v1::Compression;
use sqlx::QueryBuilder;
use store::{Db, Error, Tx};

use super::{partition_id, signed, unsigned};
use crate::batch::Packed;
use crate::record::PartitionId;

const READ: &str = "
    SELECT first_offset, last_offset, append_time_us, compression, crc32, records
      FROM log_batches
     WHERE log = $1 AND tenant_id = $2 AND partition = $3 AND last_offset >= $4
     ORDER BY last_offset
     LIMIT $5";

type Row = (i64, i64, i64, i64, i64, Vec<u8>);

/// Stores batches, whose first offsets are set.
pub(crate) async fn insert(tx: &mut Tx, log: &str, batches: &[(PartitionId, Packed)]) -> Result<(), Error> {
    /// Few, because each may have a megabyte.
    const ROWS: usize = 16;
    for chunk in batches.chunks(ROWS) {
        store::within!(tx, conn => {
            let mut query = QueryBuilder::new(
                "INSERT INTO log_batches (log, tenant_id, partition, last_offset, first_offset, append_time_us, \
                 compression, crc32, stored_bytes, records) ",
            );
            query.push_values(chunk, |mut row, (partition, batch)| {
                row.push_bind(log.to_owned())
                    .push_bind(partition.tenant.to_string())
                    .push_bind(i64::from(partition.partition))
                    .push_bind(signed(batch.next_offset() - 1))
                    .push_bind(signed(batch.first_offset))
                    .push_bind(batch.append_time_us)
                    .push_bind(i64::from(i32::from(batch.compression)))
                    .push_bind(i64::from(batch.crc32))
                    .push_bind(batch.records.len() as i64)
                    .push_bind(batch.records.to_vec());
            });
            query.build().execute(&mut *conn).await.map(|_| ())
        })?;
    }
    Ok(())
}

/// Reads at most `limit` batches from the one that holds `from_offset` on.
pub(crate) async fn read(
    db: &Db,
    log: &str,
    partition: &PartitionId,
    from_offset: u64,
    limit: u32,
) -> Result<Vec<Packed>, Error> {
    let rows: Vec<Row> = store::on!(db, pool => {
        sqlx::query_as(READ)
            .bind(log)
            .bind(partition.tenant.as_str())
            .bind(i64::from(partition.partition))
            .bind(signed(from_offset))
            .bind(i64::from(limit))
            .fetch_all(pool)
            .await
    })?;
    rows.into_iter().map(packed).collect()
}

/// Reads the batch that holds `offset`, in a transaction.
pub(crate) async fn read_in(
    tx: &mut Tx,
    log: &str,
    partition: &PartitionId,
    offset: u64,
) -> Result<Option<Packed>, Error> {
    let row: Option<Row> = store::within!(tx, conn => {
        sqlx::query_as(READ)
            .bind(log)
            .bind(partition.tenant.as_str())
            .bind(i64::from(partition.partition))
            .bind(signed(offset))
            .bind(1_i64)
            .fetch_optional(&mut *conn)
            .await
    })?;
    let batch = row.map(packed).transpose()?;
    Ok(batch.filter(|batch| batch.first_offset <= offset))
}

fn packed((first_offset, last_offset, append_time_us, compression, crc32, records): Row) -> Result<Packed, Error> {
    let damaged = || Error::Damaged(format!("the row of the batch at offset {first_offset}"));
    let compression = i32::try_from(compression).map_err(|_| damaged())?;
    Ok(Packed {
        first_offset: unsigned(first_offset),
        count: u32::try_from(last_offset - first_offset + 1).map_err(|_| damaged())?,
        append_time_us,
        compression: Compression::try_from(compression).map_err(|_| damaged())?,
        crc32: u32::try_from(crc32).map_err(|_| damaged())?,
        records: Bytes::from(records),
    })
}

const REWRITE: &str = "
    UPDATE log_batches
       SET compression = $5, crc32 = $6, stored_bytes = $7, records = $8
     WHERE log = $1 AND tenant_id = $2 AND partition = $3 AND last_offset = $4";

/// Replaces the bytes of a batch that keeps its offsets.
pub(crate) async fn rewrite(tx: &mut Tx, log: &str, partition: &PartitionId, batch: &Packed) -> Result<(), Error> {
    store::within!(tx, conn => {
        sqlx::query(REWRITE)
            .bind(log)
            .bind(partition.tenant.as_str())
            .bind(i64::from(partition.partition))
            .bind(signed(batch.next_offset() - 1))
            .bind(i64::from(i32::from(batch.compression)))
            .bind(i64::from(batch.crc32))
            .bind(batch.records.len() as i64)
            .bind(batch.records.as_ref())
            .execute(&mut *conn)
            .await
            .map(|_| ())
    })?;
    Ok(())
}

/// Every batch of a log, oldest first, with what lies behind it: enough to choose how far each partition may be cut.
const SIZES: &str = "
    SELECT tenant_id, partition, last_offset, append_time_us, stored_bytes
      FROM log_batches
     WHERE log = $1 AND (append_time_us < $2 OR $3 = 1)
     ORDER BY append_time_us, tenant_id, partition, last_offset
     LIMIT $4";
const TOTAL_BYTES: &str = "
    SELECT CAST(COALESCE(SUM(stored_bytes), 0) AS BIGINT)
      FROM log_batches
     WHERE log = $1";
const CUT: &str = "
    DELETE FROM log_batches
     WHERE log = $1 AND tenant_id = $2 AND partition = $3 AND last_offset <= $4";

/// A batch as retention sees it.
pub(crate) struct Sized {
    pub(crate) partition: PartitionId,
    pub(crate) last_offset: u64,
    pub(crate) append_time_us: i64,
    pub(crate) stored_bytes: u64,
}

/// Lists the oldest batches: those appended before `before_us`, or all when `by_size` is set; at most `limit`.
pub(crate) async fn oldest(db: &Db, log: &str, before_us: i64, by_size: bool, limit: u32) -> Result<Vec<Sized>, Error> {
    let rows: Vec<(String, i64, i64, i64, i64)> = store::on!(db, pool => {
        sqlx::query_as(SIZES)
            .bind(log)
            .bind(before_us)
            .bind(i64::from(by_size))
            .bind(i64::from(limit))
            .fetch_all(pool)
            .await
    })?;
    let sized = |(tenant_id, partition, last_offset, append_time_us, stored_bytes): (String, i64, i64, i64, i64)| {
        Ok(Sized {
            partition: partition_id(&tenant_id, partition)?,
            last_offset: unsigned(last_offset),
            append_time_us,
            stored_bytes: unsigned(stored_bytes),
        })
    };
    rows.into_iter().map(sized).collect()
}

/// Returns the bytes that the batches of `log` take.
pub(crate) async fn total_bytes(db: &Db, log: &str) -> Result<u64, Error> {
    let bytes: i64 = store::on!(db, pool => sqlx::query_scalar(TOTAL_BYTES).bind(log).fetch_one(pool).await)?;
    Ok(unsigned(bytes))
}

/// Removes the batches up to the one that ends at `last_offset`; returns how many there were.
pub(crate) async fn cut(tx: &mut Tx, log: &str, partition: &PartitionId, last_offset: u64) -> Result<u64, Error> {
    let removed = store::within!(tx, conn => {
        sqlx::query(CUT)
            .bind(log)
            .bind(partition.tenant.as_str())
            .bind(i64::from(partition.partition))
            .bind(signed(last_offset))
            .execute(&mut *conn)
            .await
            .map(|done| done.rows_affected())
    })?;
    Ok(removed)
}

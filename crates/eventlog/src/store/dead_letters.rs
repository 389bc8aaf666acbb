//! Records that could not be folded.

use kit::TenantId;
use store::{Db, Error, Tx};

use super::{partition_id, signed, unsigned};
use crate::record::{LogRecord, Record};

const INSERT: &str = "
    INSERT INTO log_dead_letters (follower, log, tenant_id, partition, record_offset, reason,
                                  append_time_us, event_time_us, record_key, payload)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
    ON CONFLICT (tenant_id, follower, log, partition, record_offset)
    DO UPDATE SET reason = excluded.reason, record_key = excluded.record_key, payload = excluded.payload";
const LIST: &str = "
    SELECT follower, log, tenant_id, partition, record_offset, reason,
           append_time_us, event_time_us, record_key, payload
      FROM log_dead_letters
     WHERE tenant_id = $1 AND (follower, log, partition, record_offset) > ($2, $3, $4, $5)
     ORDER BY follower, log, partition, record_offset
     LIMIT $6";
const REMOVE: &str = "
    DELETE FROM log_dead_letters
     WHERE tenant_id = $1 AND follower = $2 AND log = $3 AND partition = $4 AND record_offset = $5";
const REMOVE_TENANT: &str = "
    DELETE FROM log_dead_letters
     WHERE tenant_id = $1";

/// Where a dead letter came from; also its place in a listing.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct DeadLetterKey {
    /// The follower that could not fold it.
    pub follower: String,
    /// The log it came from.
    pub log: String,
    /// Its partition.
    pub partition: u32,
    /// Its offset.
    pub offset: u64,
}

/// A record that a follower could not fold, with the reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// Where it came from.
    pub key: DeadLetterKey,
    /// Why it could not be folded; no personal data.
    pub reason: String,
    /// The record itself.
    pub record: LogRecord,
}

#[derive(sqlx::FromRow)]
struct Row {
    follower: String,
    log: String,
    tenant_id: String,
    partition: i64,
    record_offset: i64,
    reason: String,
    append_time_us: i64,
    event_time_us: i64,
    record_key: Vec<u8>,
    payload: Vec<u8>,
}

pub(crate) async fn insert(
    tx: &mut Tx,
    follower: &str,
    log: &str,
    record: &LogRecord,
    reason: &str,
) -> Result<(), Error> {
    store::within!(tx, conn => {
        sqlx::query(INSERT)
            .bind(follower)
            .bind(log)
            .bind(record.tenant.as_str())
            .bind(i64::from(record.partition))
            .bind(signed(record.offset))
            .bind(reason)
            .bind(record.append_time_us)
            .bind(record.record.event_time_us)
            .bind(record.record.key.as_ref())
            .bind(record.record.payload.as_ref())
            .execute(&mut *conn)
            .await
            .map(|_| ())
    })?;
    Ok(())
}

pub(crate) async fn list(
    db: &Db,
    tenant: &TenantId,
    after: Option<&DeadLetterKey>,
    limit: u32,
) -> Result<Vec<DeadLetter>, Error> {
    // Nothing sorts before an empty name, so the first page begins after it.
    let (follower, log) = after.map_or(("", ""), |after| (after.follower.as_str(), after.log.as_str()));
    let partition = after.map_or(-1, |after| i64::from(after.partition));
    let offset = after.map_or(-1, |after| signed(after.offset));
    let rows: Vec<Row> = store::on!(db, pool => {
        sqlx::query_as(LIST)
            .bind(tenant.as_str())
            .bind(follower)
            .bind(log)
            .bind(partition)
            .bind(offset)
            .bind(i64::from(limit))
            .fetch_all(pool)
            .await
    })?;
    rows.into_iter().map(DeadLetter::try_from).collect()
}

impl TryFrom<Row> for DeadLetter {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self, Error> {
        let partition = partition_id(&row.tenant_id, row.partition)?;
        let offset = unsigned(row.record_offset);
        let record = Record {
            key: row.record_key.into(),
            payload: row.payload.into(),
            event_time_us: row.event_time_us,
            traceparent: None,
        };
        Ok(Self {
            key: DeadLetterKey { follower: row.follower, log: row.log, partition: partition.partition, offset },
            reason: row.reason,
            record: LogRecord {
                tenant: partition.tenant,
                partition: partition.partition,
                offset,
                append_time_us: row.append_time_us,
                record,
            },
        })
    }
}

pub(crate) async fn remove(tx: &mut Tx, tenant: &TenantId, key: &DeadLetterKey) -> Result<bool, Error> {
    let removed = store::within!(tx, conn => {
        sqlx::query(REMOVE)
            .bind(tenant.as_str())
            .bind(&key.follower)
            .bind(&key.log)
            .bind(i64::from(key.partition))
            .bind(signed(key.offset))
            .execute(&mut *conn)
            .await
            .map(|done| done.rows_affected())
    })?;
    Ok(removed == 1)
}

pub(crate) async fn remove_tenant(tx: &mut Tx, tenant: &TenantId) -> Result<(), Error> {
    store::within!(tx, conn => {
        sqlx::query(REMOVE_TENANT).bind(tenant.as_str()).execute(&mut *conn).await.map(|_| ())
    })?;
    Ok(())
}

//! The ends of partitions.

use kit::TenantId;
use sqlx::QueryBuilder;
use store::{Db, Error, Tx};

use super::{partition_id, signed, unsigned};
use crate::record::PartitionId;

const LIST: &str = "
    SELECT tenant_id, partition, next_offset
      FROM log_partitions
     WHERE log = $1
     ORDER BY tenant_id, partition";

/// Takes `count` offsets in each partition and returns (partition, first offset taken).
///
/// The rows stay locked until the transaction ends, so that offsets become visible in order and a rollback leaves no
/// gap. `counts` is in the order of partitions, which keeps concurrent appenders from locking each other out.
pub(crate) async fn take_offsets(
    tx: &mut Tx,
    log: &str,
    tenant: &TenantId,
    counts: &[(u32, u32)],
) -> Result<Vec<(u32, u64)>, Error> {
    let ends: Vec<(i64, i64)> = store::within!(tx, conn => {
        let mut query = QueryBuilder::new("INSERT INTO log_partitions (log, tenant_id, partition, next_offset) ");
        query.push_values(counts, |mut row, &(partition, count)| {
            row.push_bind(log.to_owned())
                .push_bind(tenant.to_string())
                .push_bind(i64::from(partition))
                .push_bind(i64::from(count));
        });
        query.push(
            " ON CONFLICT (log, tenant_id, partition)
              DO UPDATE SET next_offset = log_partitions.next_offset + excluded.next_offset
              RETURNING partition, next_offset",
        );
        query.build_query_as().fetch_all(&mut *conn).await
    })?;
    let first_offset = |&(partition, count): &(u32, u32)| {
        let (_, end) = ends
            .iter()
            .find(|(taken, _)| *taken == i64::from(partition))
            .ok_or_else(|| Error::fatal("an upsert returned no row"))?;
        Ok((partition, unsigned(*end) - u64::from(count)))
    };
    counts.iter().map(first_offset).collect()
}

/// Lists all partitions of `log` with their ends.
pub(crate) async fn list(db: &Db, log: &str) -> Result<Vec<(PartitionId, u64)>, Error> {
    let rows: Vec<(String, i64, i64)> = store::on!(db, pool => sqlx::query_as(LIST).bind(log).fetch_all(pool).await)?;
    let partition =
        |(tenant_id, partition, end): (String, i64, i64)| Ok((partition_id(&tenant_id, partition)?, unsigned(end)));
    rows.into_iter().map(partition).collect()
}

const REMOVE_TENANT_PARTITIONS: &str = "
    DELETE FROM log_partitions
     WHERE log = $1 AND tenant_id = $2";
const REMOVE_TENANT_BATCHES: &str = "
    DELETE FROM log_batches
     WHERE log = $1 AND tenant_id = $2";
const REMOVE_TENANT_FOLLOWERS: &str = "
    DELETE FROM log_followers
     WHERE log = $1 AND tenant_id = $2";

/// Removes everything `log` keeps of `tenant`.
pub(crate) async fn remove_tenant(tx: &mut Tx, log: &str, tenant: &TenantId) -> Result<(), Error> {
    for statement in [REMOVE_TENANT_PARTITIONS, REMOVE_TENANT_BATCHES, REMOVE_TENANT_FOLLOWERS] {
        store::within!(tx, conn => {
            sqlx::query(statement).bind(log).bind(tenant.as_str()).execute(&mut *conn).await.map(|_| ())
        })?;
    }
    Ok(())
}

const OLDEST_OF_PARTITION: &str = "
    SELECT MIN(first_offset)
      FROM log_batches
     WHERE log = $1 AND tenant_id = $2 AND partition = $3";

/// Returns the first offset that is still kept, if any batch is.
pub(crate) async fn oldest(db: &Db, log: &str, partition: &PartitionId) -> Result<Option<u64>, Error> {
    let oldest: Option<i64> = store::on!(db, pool => {
        sqlx::query_scalar(OLDEST_OF_PARTITION)
            .bind(log)
            .bind(partition.tenant.as_str())
            .bind(signed(u64::from(partition.partition)))
            .fetch_one(pool)
            .await
    })?;
    Ok(oldest.map(unsigned))
}

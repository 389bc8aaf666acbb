//! How far this service has come in the logs that it follows.

use kit::TenantId;
use sqlx::QueryBuilder;
use store::{Db, Error, Tx};

use super::{partition_id, signed, unsigned};
use crate::record::PartitionId;

const OF_TENANT: &str = "
    SELECT tenant_id, partition, next_offset
      FROM log_cursors
     WHERE follower = $1 AND log = $2 AND tenant_id = $3
     ORDER BY partition";

/// Returns the cursors of `follower` in the partitions of `tenant` that it has read from.
pub(crate) async fn of_tenant(
    db: &Db,
    follower: &str,
    log: &str,
    tenant: &TenantId,
) -> Result<Vec<(PartitionId, u64)>, Error> {
    let rows: Vec<(String, i64, i64)> = store::on!(db, pool => {
        sqlx::query_as(OF_TENANT).bind(follower).bind(log).bind(tenant.as_str()).fetch_all(pool).await
    })?;
    let cursor = |(tenant_id, partition, next_offset): (String, i64, i64)| {
        Ok((partition_id(&tenant_id, partition)?, unsigned(next_offset)))
    };
    rows.into_iter().map(cursor).collect()
}

/// Moves cursors, in the transaction that holds the effects of what was read.
pub(crate) async fn save(tx: &mut Tx, follower: &str, log: &str, cursors: &[(PartitionId, u64)]) -> Result<(), Error> {
    const COLUMNS: usize = 5;
    for chunk in store::chunks(cursors, COLUMNS) {
        store::within!(tx, conn => {
            let mut query =
                QueryBuilder::new("INSERT INTO log_cursors (follower, log, tenant_id, partition, next_offset) ");
            query.push_values(chunk, |mut row, (partition, next_offset)| {
                row.push_bind(follower.to_owned())
                    .push_bind(log.to_owned())
                    .push_bind(partition.tenant.to_string())
                    .push_bind(i64::from(partition.partition))
                    .push_bind(signed(*next_offset));
            });
            query.push(
                " ON CONFLICT (follower, log, tenant_id, partition)
                  DO UPDATE SET next_offset = excluded.next_offset",
            );
            query.build().execute(&mut *conn).await.map(|_| ())
        })?;
    }
    Ok(())
}

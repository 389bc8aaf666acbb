//! What followers reported to the publisher.

use sqlx::QueryBuilder;
use store::{Db, Error, Tx};

use super::{partition_id, signed, unsigned};
use crate::record::PartitionId;

/// Every follower that ever reported, with every partition there is: where it has not reported, it stands at 0.
const LAGS: &str = "
    SELECT followers.follower, partitions.tenant_id, partitions.partition, partitions.next_offset,
           COALESCE(reports.next_offset, 0), COALESCE(reports.report_time_us, 0)
      FROM log_partitions AS partitions
     CROSS JOIN (SELECT DISTINCT follower FROM log_followers WHERE log = $1) AS followers
      LEFT JOIN log_followers AS reports
        ON reports.log = $1 AND reports.follower = followers.follower
       AND reports.tenant_id = partitions.tenant_id AND reports.partition = partitions.partition
     WHERE partitions.log = $1
     ORDER BY followers.follower, partitions.tenant_id, partitions.partition";

/// How far a follower is behind in a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lag {
    /// Name of the follower.
    pub follower: String,
    /// The partition.
    pub partition: PartitionId,
    /// Where its committed cursor stands, as it last reported.
    pub next_offset: u64,
    /// Records that it has not taken yet.
    pub records: u64,
    /// When it last reported, in microseconds since the Unix epoch; 0 when it never did for this partition.
    pub report_time_us: i64,
}

/// Notes where a follower stands. A report that comes late does not set it back, unless it begins again from 0.
pub(crate) async fn report(
    tx: &mut Tx,
    log: &str,
    follower: &str,
    cursors: &[(PartitionId, u64)],
    now_us: i64,
) -> Result<(), Error> {
    const COLUMNS: usize = 6;
    for chunk in store::chunks(cursors, COLUMNS) {
        store::within!(tx, conn => {
            let mut query = QueryBuilder::new(
                "INSERT INTO log_followers (log, follower, tenant_id, partition, next_offset, report_time_us) ",
            );
            query.push_values(chunk, |mut row, (partition, next_offset)| {
                row.push_bind(log.to_owned())
                    .push_bind(follower.to_owned())
                    .push_bind(partition.tenant.to_string())
                    .push_bind(i64::from(partition.partition))
                    .push_bind(signed(*next_offset))
                    .push_bind(now_us);
            });
            query.push(
                " ON CONFLICT (log, follower, tenant_id, partition)
                  DO UPDATE SET next_offset = excluded.next_offset, report_time_us = excluded.report_time_us
                  WHERE log_followers.report_time_us <= excluded.report_time_us",
            );
            query.build().execute(&mut *conn).await.map(|_| ())
        })?;
    }
    Ok(())
}

/// Tells how far each follower is behind in each partition.
pub(crate) async fn lags(db: &Db, log: &str) -> Result<Vec<Lag>, Error> {
    let rows: Vec<(String, String, i64, i64, i64, i64)> =
        store::on!(db, pool => sqlx::query_as(LAGS).bind(log).fetch_all(pool).await)?;
    let lag =
        |(follower, tenant_id, partition, end, next_offset, report_time_us): (String, String, i64, i64, i64, i64)| {
            Ok(Lag {
                follower,
                partition: partition_id(&tenant_id, partition)?,
                next_offset: unsigned(next_offset),
                records: unsigned(end - next_offset),
                report_time_us,
            })
        };
    rows.into_iter().map(lag).collect()
}

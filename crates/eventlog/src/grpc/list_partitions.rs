use proto::log::v1::{Cursor, ListPartitionsResponse};

use crate::log::EventLog;

pub(super) async fn list_partitions(log: &EventLog) -> Result<ListPartitionsResponse, kit::Error> {
    let ends = log.ends().await?;
    let cursor = |(partition, next_offset): (crate::PartitionId, u64)| Cursor {
        partition: Some(partition.to_wire()),
        next_offset,
    };
    Ok(ListPartitionsResponse { ends: ends.into_iter().map(cursor).collect() })
}

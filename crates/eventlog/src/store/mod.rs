//! The only SQL of the log.

pub(crate) mod batches;
pub(crate) mod cursors;
pub(crate) mod dead_letters;
pub(crate) mod followers;
pub(crate) mod leases;
pub(crate) mod partitions;

use kit::TenantId;
use store::Error;

use crate::record::PartitionId;

/// Reads a stored partition; what was stored was checked when it came in.
pub(crate) fn partition_id(tenant_id: &str, partition: i64) -> Result<PartitionId, Error> {
    let tenant = TenantId::try_from(tenant_id).map_err(|_| Error::Damaged("a stored tenant id".into()))?;
    let partition = u32::try_from(partition).map_err(|_| Error::Damaged("a stored partition number".into()))?;
    Ok(PartitionId { tenant, partition })
}

/// Offsets are stored as signed numbers; they never get near the limit.
pub(crate) fn signed(offset: u64) -> i64 {
    i64::try_from(offset).unwrap_or(i64::MAX)
}

pub(crate) fn unsigned(offset: i64) -> u64 {
    u64::try_from(offset).unwrap_or(0)
}

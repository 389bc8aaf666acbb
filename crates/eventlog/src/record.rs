//! What a log carries.

use bytes::Bytes;
use kit::TenantId;
use proto::log::v1 as wire;

/// What a service publishes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// What orders it: records with one key are in one partition, in order.
    pub key: Bytes,
    /// The serialised message that the log carries; never empty.
    pub payload: Bytes,
    /// When what it tells of happened, in microseconds since the Unix epoch.
    pub event_time_us: i64,
    /// W3C trace context of what caused it.
    pub traceparent: Option<String>,
}

/// A record with its place in the log.
///
/// The bytes are slices of the batch they came in: keep a copy, not a clone, of what is kept for long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogRecord {
    /// The tenant it belongs to.
    pub tenant: TenantId,
    /// Its partition within the tenant.
    pub partition: u32,
    /// Its place in the partition, from 0, without gaps.
    pub offset: u64,
    /// When it was appended, by the publisher's clock, in microseconds since the Unix epoch.
    pub append_time_us: i64,
    /// What was published.
    pub record: Record,
}

/// A partition of a log: one tenant's, with a number.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PartitionId {
    /// The tenant it belongs to.
    pub tenant: TenantId,
    /// Its number within the tenant, from 0.
    pub partition: u32,
}

impl PartitionId {
    /// Returns the partition `partition` of `tenant`.
    pub fn new(tenant: &TenantId, partition: u32) -> Self {
        Self { tenant: tenant.clone(), partition }
    }

    pub(crate) fn to_wire(&self) -> wire::Partition {
        wire::Partition { tenant_id: self.tenant.to_string(), partition: self.partition }
    }

    pub(crate) fn from_wire(partition: Option<&wire::Partition>) -> Result<Self, kit::Error> {
        let partition = partition.ok_or_else(|| kit::Error::violations([("partition", "must be given")]))?;
        Ok(Self { tenant: TenantId::try_from(partition.tenant_id.as_str())?, partition: partition.partition })
    }
}

impl From<Record> for wire::Record {
    fn from(record: Record) -> Self {
        Self {
            key: record.key,
            payload: record.payload,
            event_time_us: record.event_time_us,
            traceparent: record.traceparent.unwrap_or_default(),
        }
    }
}

impl From<wire::Record> for Record {
    fn from(record: wire::Record) -> Self {
        Self {
            key: record.key,
            payload: record.payload,
            event_time_us: record.event_time_us,
            traceparent: Some(record.traceparent).filter(|traceparent| !traceparent.is_empty()),
        }
    }
}

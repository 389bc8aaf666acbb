//! Rows as messages.

use proto::ingestion::v1::{Source, WriteKey};

use crate::domain::quota::Quota;
use crate::store::sources::SourceRow;
use crate::store::write_keys::WriteKeyRow;
use kit::time::timestamp;

/// Renders a source with those of `keys` that are its own.
pub(super) fn source(row: SourceRow, keys: &[WriteKeyRow], quota: Option<&Quota>) -> Source {
    let write_keys = keys.iter().filter(|key| key.source_id == row.source_id).map(write_key).collect();
    Source {
        source_id: row.source_id,
        name: row.name,
        kind: row.kind,
        party: i32::try_from(row.party).unwrap_or_default(),
        medium: i32::try_from(row.medium).unwrap_or_default(),
        default_currency: row.default_currency,
        create_time: Some(timestamp(row.create_us)),
        write_keys,
        quota: quota.and_then(|quota| quota.to_wire()),
    }
}

pub(super) fn write_key(row: &WriteKeyRow) -> WriteKey {
    WriteKey {
        write_key_id: row.write_key_id.clone(),
        prefix: row.prefix.clone(),
        create_time: Some(timestamp(row.create_us)),
    }
}

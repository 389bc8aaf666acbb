//! Rows as messages.

use proto::ingestion::v1::{Source, WriteKey};

use crate::store::sources::SourceRow;
use crate::store::write_keys::WriteKeyRow;

/// Renders a source with those of `keys` that are its own.
pub(super) fn source(row: SourceRow, keys: &[WriteKeyRow]) -> Source {
    let write_keys = keys.iter().filter(|key| key.source_id == row.source_id).map(write_key).collect();
    Source {
        source_id: row.source_id,
        name: row.name,
        kind: row.kind,
        party: i32::try_from(row.party).unwrap_or_default(),
        medium: i32::try_from(row.medium).unwrap_or_default(),
        default_currency: row.default_currency,
        create_time: Some(kit::time::timestamp(row.create_us)),
        write_keys,
    }
}

pub(super) fn write_key(row: &WriteKeyRow) -> WriteKey {
    WriteKey {
        write_key_id: row.write_key_id.clone(),
        prefix: row.prefix.clone(),
        create_time: Some(kit::time::timestamp(row.create_us)),
    }
}

//! Rows as messages.

use proto::ingestion::v1::{Source, WriteKey};

use crate::store::controls::ControlsRow;
use crate::store::sources::SourceRow;
use crate::store::write_keys::WriteKeyRow;
use kit::time::timestamp;

/// Renders a source with those of `keys` that are its own, and what it is held to.
pub(super) fn source(row: SourceRow, keys: &[WriteKeyRow], held: Option<&ControlsRow>) -> Source {
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
        quota: held.and_then(|held| held.quota.to_wire()),
        allowed_origins: held.map(|held| held.origins.list().to_vec()).unwrap_or_default(),
    }
}

pub(super) fn write_key(row: &WriteKeyRow) -> WriteKey {
    WriteKey {
        write_key_id: row.write_key_id.clone(),
        prefix: row.prefix.clone(),
        create_time: Some(timestamp(row.create_us)),
    }
}

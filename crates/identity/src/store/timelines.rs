//! Pointers of profiles to their older events.

use kit::TenantId;
use store::{Error, Tx};
use uuid::Uuid;

use super::{
    codec::{decode_pointers, encode_pointers},
    rows::{From, RowStatement, read, write_rows},
};
use crate::domain::timeline::Pointer;

const INSERT: RowStatement = RowStatement {
    head: "INSERT INTO timeline_chunks (tenant_id, profile_id, chunk, min_time_us, max_time_us, entries)",
    columns: 6,
    tail: "",
};

const DELETE: &str = "
    DELETE FROM timeline_chunks
     WHERE tenant_id = $1 AND profile_id = $2";

const SPANS: &str = "
    SELECT chunk, max_time_us
      FROM timeline_chunks
     WHERE tenant_id = $1 AND profile_id = $2 AND min_time_us <= $3
     ORDER BY max_time_us DESC, chunk DESC";

const LOAD: &str = "
    SELECT entries
      FROM timeline_chunks
     WHERE tenant_id = $1 AND profile_id = $2 AND chunk BETWEEN $3 AND $4
     ORDER BY chunk";

/// Stores full chunks: profile, number, pointers.
pub(crate) async fn insert_chunks(
    tx: &mut Tx,
    tenant: &TenantId,
    chunks: &[(Uuid, i64, Vec<Pointer>)],
) -> Result<(), Error> {
    write_rows!(tx, INSERT, chunks, |query, row| {
        let times = row.2.iter().map(|pointer| pointer.time_us);
        query
            .bind(tenant.as_str())
            .bind(row.0.as_bytes().as_slice())
            .bind(row.1)
            .bind(times.clone().min().unwrap_or_default())
            .bind(times.max().unwrap_or_default())
            .bind(encode_pointers(&row.2))
    });
    Ok(())
}

/// Deletes all chunks of a profile.
pub(crate) async fn delete_chunks(tx: &mut Tx, tenant: &TenantId, profile: Uuid) -> Result<(), Error> {
    store::within!(tx, connection => {
        sqlx::query(DELETE)
            .bind(tenant.as_str())
            .bind(profile.as_bytes().as_slice())
            .execute(&mut *connection)
            .await
            .map(|_| ())
    })?;
    Ok(())
}

/// Returns the chunks of a profile that reach back to `until_us` or further: number and newest time, newest first.
pub(crate) async fn chunk_spans(
    mut from: From<'_>,
    tenant: &TenantId,
    profile: Uuid,
    until_us: i64,
) -> Result<Vec<(i64, i64)>, Error> {
    let rows = read!(&mut from, executor => {
        sqlx::query_as(SPANS)
            .bind(tenant.as_str())
            .bind(profile.as_bytes().as_slice())
            .bind(until_us)
            .fetch_all(executor)
            .await
    })?;
    Ok(rows)
}

/// Returns the pointers in the chunks of a profile from number `first` to `last`.
pub(crate) async fn load_chunks(
    mut from: From<'_>,
    tenant: &TenantId,
    profile: Uuid,
    first: i64,
    last: i64,
) -> Result<Vec<Pointer>, Error> {
    let rows: Vec<(Vec<u8>,)> = read!(&mut from, executor => {
        sqlx::query_as(LOAD)
            .bind(tenant.as_str())
            .bind(profile.as_bytes().as_slice())
            .bind(first)
            .bind(last)
            .fetch_all(executor)
            .await
    })?;
    let mut pointers = Vec::new();
    for (entries,) in rows {
        pointers.extend(decode_pointers(&entries)?);
    }
    Ok(pointers)
}

//! What the engine can do with the same bytes and nothing else: the bound that the collector is held against.

use std::{
    fs::File,
    io::Write,
    path::Path,
    time::{Duration, Instant},
};

use ::store::{Db, OpenOptions, on, within};
use bytes::Bytes;
use eventlog::{EventLog, LogOptions, Record};
use kit::{Clock, TenantId, metrics::Metrics};
use prost::Message;
use proto::ingestion::v1::CollectRequest;
use sqlx::AssertSqlSafe;

use super::bodies;

/// Events in one transaction: about what the collector commits at once under load.
const TRANSACTION: usize = 2_000;
/// Rows in one statement.
const ROWS: usize = 500;

/// Speeds in events each second.
pub(super) struct Raw {
    /// Appended to the event log in transactions of 2,000: packed, compressed, synced.
    pub(super) log_append: f64,
    /// Inserted into a table of a number and a payload, one row each, in transactions of 2,000.
    pub(super) rows: f64,
    /// Written to a file and synced after each 2,000.
    pub(super) file: f64,
    /// Mean size of an event as it is stored, in bytes.
    pub(super) event_bytes: f64,
}

/// Measures each for `length`, in tables of its own in the database at `url`.
pub(super) async fn measure(url: &str, folder: &Path, length: Duration) -> anyhow::Result<Raw> {
    let db = Db::open(url, OpenOptions::default()).await?;
    db.migrate(&eventlog::MIGRATIONS).await?;
    let events = payloads()?;
    let event_bytes = events.iter().map(|(_, payload)| payload.len()).sum::<usize>() as f64 / events.len() as f64;
    let raw = Raw {
        log_append: log_append(&db, &events, length).await?,
        rows: rows(&db, &events, length).await?,
        file: file(folder, &events, length)?,
        event_bytes,
    };
    db.close().await;
    Ok(raw)
}

/// Says what the engine does at a commit, as the engine itself tells.
pub(in crate::commands::bench) async fn durability(url: &str) -> anyhow::Result<(bool, String)> {
    let db = Db::open(url, OpenOptions::default()).await?;
    let told = match &db {
        Db::Sqlite(_) => {
            let ask = "SELECT 'synchronous ' || synchronous FROM pragma_synchronous";
            let synchronous: String = on!(db, pool => sqlx::query_scalar(ask).fetch_one(pool).await)?;
            let full = ["synchronous 2", "synchronous 3"].contains(&synchronous.as_str());
            (full, format!("write-ahead log synced at each commit ({synchronous})"))
        }
        Db::Postgres(_) => {
            let ask = "SELECT 'fsync ' || current_setting('fsync') || ', synchronous_commit ' || current_setting('synchronous_commit')";
            let settings: String = on!(db, pool => sqlx::query_scalar(ask).fetch_one(pool).await)?;
            (
                settings == "fsync on, synchronous_commit on",
                format!("write-ahead log synced at each commit: {settings}"),
            )
        }
    };
    db.close().await;
    Ok(told)
}

/// Keys and payloads of the events that the generator sends by gRPC.
fn payloads() -> anyhow::Result<Vec<(Bytes, Bytes)>> {
    let mut events = Vec::new();
    for template in bodies::grpc("raw", 500, 1) {
        for event in CollectRequest::decode(template.bytes.as_slice())?.events {
            let key = event.identifiers.first().map(|first| first.value.clone()).unwrap_or_default();
            events.push((Bytes::from(key), Bytes::from(event.encode_to_vec())));
        }
    }
    Ok(events)
}

fn transactions(events: &[(Bytes, Bytes)]) -> impl Iterator<Item = &[(Bytes, Bytes)]> {
    events.chunks_exact(TRANSACTION).cycle()
}

async fn log_append(db: &Db, events: &[(Bytes, Bytes)], length: Duration) -> anyhow::Result<f64> {
    let log = EventLog::new(db.clone(), "raw", LogOptions::default(), Clock::system(), &Metrics::new());
    let tenant = TenantId::try_from("raw")?;
    let begun = Instant::now();
    let mut written = 0;
    for batch in transactions(events) {
        let records = batch.iter().map(|(key, payload)| Record {
            key: key.clone(),
            payload: payload.clone(),
            event_time_us: 0,
            traceparent: None,
        });
        let mut tx = db.begin().await?;
        log.append(&mut tx, &tenant, records.collect()).await?;
        tx.commit().await?;
        written += batch.len();
        if begun.elapsed() > length {
            break;
        }
    }
    Ok(written as f64 / begun.elapsed().as_secs_f64())
}

async fn rows(db: &Db, events: &[(Bytes, Bytes)], length: Duration) -> anyhow::Result<f64> {
    let create = match db {
        Db::Sqlite(_) => "CREATE TABLE raw_rows (number INTEGER PRIMARY KEY, payload BLOB NOT NULL) STRICT",
        Db::Postgres(_) => "CREATE TABLE raw_rows (number BIGINT PRIMARY KEY, payload BYTEA NOT NULL)",
    };
    let mut tx = db.begin().await?;
    within!(tx, conn => sqlx::query(create).execute(&mut *conn).await.map(|_| ()))?;
    tx.commit().await?;

    let places: Vec<String> = (0..ROWS).map(|row| format!("(${}, ${})", 2 * row + 1, 2 * row + 2)).collect();
    let insert = format!("INSERT INTO raw_rows (number, payload) VALUES {}", places.join(", "));
    let begun = Instant::now();
    let mut written = 0;
    for batch in transactions(events) {
        let mut tx = db.begin().await?;
        for chunk in batch.chunks(ROWS) {
            within!(tx, conn => {
                let mut query = sqlx::query(AssertSqlSafe(insert.as_str()));
                for (number, (_, payload)) in (written..).zip(chunk) {
                    query = query.bind(number as i64).bind(payload.as_ref());
                }
                query.execute(&mut *conn).await.map(|_| ())
            })?;
            written += chunk.len();
        }
        tx.commit().await?;
        if begun.elapsed() > length {
            break;
        }
    }
    Ok(written as f64 / begun.elapsed().as_secs_f64())
}

fn file(folder: &Path, events: &[(Bytes, Bytes)], length: Duration) -> anyhow::Result<f64> {
    let mut file = File::create(folder.join("raw"))?;
    let begun = Instant::now();
    let mut written = 0;
    for batch in transactions(events) {
        let bytes: Vec<u8> = batch.iter().flat_map(|(_, payload)| payload.iter().copied()).collect();
        file.write_all(&bytes)?;
        file.sync_data()?;
        written += batch.len();
        if begun.elapsed() > length {
            break;
        }
    }
    Ok(written as f64 / begun.elapsed().as_secs_f64())
}

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use chrono::{DateTime, Utc};
use futures::{StreamExt, stream::FuturesOrdered};
use kit::channel::Channel;
use proto::{
    ingestion::v1::{Verdict, verdict::Outcome},
    recommendation::v1::Product,
};
use tokio::sync::mpsc;

use super::{
    RecordKind, RecordMapping, RecordReason, RecordReport,
    build::{Builder, Record},
    checkpoint::Checkpoint,
    values::Values,
};
use crate::import::{
    ImportError,
    reader::Rows,
    rejects::Rejects,
    send::{CONCURRENCY, MAX_BATCH_BYTES, MAX_BATCH_EVENTS, collect, upsert},
};

/// Rows between two words of progress.
const PROGRESS_ROWS: u64 = 4_096;

/// What to import, and how.
#[derive(Debug, Clone)]
pub struct RecordImport {
    /// What the rows are.
    pub kind: RecordKind,
    /// The file.
    pub file: PathBuf,
    /// How to read it.
    pub mapping: RecordMapping,
    /// The source that events belong to; products belong to none.
    pub source_id: String,
    /// Names the tenant of the installation that it goes to, in any way: what was sent to another is sent again.
    pub destination: String,
    /// Where to write every rejected line with its reason, as CSV. An older file is replaced.
    pub rejects: Option<PathBuf>,
    /// Where to note how far the import is. A later run of the same import goes on there; the file is gone when all was sent.
    pub progress: Option<PathBuf>,
    /// Reads, checks and counts only; nothing is sent.
    pub dry_run: bool,
    /// What happened more than a day after this is refused.
    pub now: DateTime<Utc>,
}

/// What an import is at. Each step has its own count of rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecordStep {
    /// Reading and checking the file.
    Read,
    /// Sending records.
    Send,
}

/// Records that are sent together.
#[derive(Default)]
struct Batch {
    records: Vec<(u64, Record)>,
    bytes: usize,
}

/// Imports a file of records through `channel`, whose credential may write events or, for products, the catalogue. Without a
/// channel it is a dry run.
///
/// The file is checked whole before anything is sent, so a broken one has no effect. Tells `progress` the step, how many rows
/// are done, and how many there are.
pub async fn import_records(
    import: RecordImport,
    channel: Option<Channel>,
    mut progress: impl FnMut(RecordStep, u64, u64),
) -> Result<RecordReport, ImportError> {
    let import = Arc::new(import);
    let (mut report, mut rejects) = check(&import, |done, total| progress(RecordStep::Read, done, total)).await?;
    let Some(channel) = channel.filter(|_| !import.dry_run) else {
        rejects.finish()?;
        return Ok(report);
    };
    let sent = send(&import, channel, &mut report, &mut rejects, |done, total| {
        progress(RecordStep::Send, done, total);
    })
    .await;
    // What was rejected is worth having after a failure too.
    let written = rejects.finish();
    sent.and(written)?;
    Ok(report)
}

/// Runs `work` on a thread of its own. The Parquet decoder is known to panic on some damaged files.
async fn aside<T: Send + 'static>(
    import: &Arc<RecordImport>,
    work: impl FnOnce(&RecordImport) -> Result<T, ImportError> + Send + 'static,
) -> Result<T, ImportError> {
    let shared = Arc::clone(import);
    let working = tokio::task::spawn_blocking(move || work(&shared));
    working.await.unwrap_or_else(|_| Err(ImportError::broken(&import.file, "its damage stopped the decoder")))
}

/// Reads a whole file without sending or writing anything, and checks what each row becomes. For fuzzing.
pub(in crate::import) fn check_rows(
    kind: RecordKind,
    file: &Path,
    mapping: RecordMapping,
    now: DateTime<Utc>,
) -> Result<RecordReport, ImportError> {
    let import = RecordImport {
        kind,
        file: file.to_owned(),
        mapping,
        source_id: String::new(),
        destination: String::new(),
        rejects: None,
        progress: None,
        dry_run: true,
        now,
    };
    let mut report = RecordReport::default();
    for_each_row(&import, |_, _, built| {
        report.lines += 1;
        match built {
            Ok(record) => {
                assert!(record.bytes() <= MAX_BATCH_BYTES, "a record fits no batch");
                report.records += 1;
            }
            Err((_, reason, _)) => *report.rejected.entry(reason).or_default() += 1,
        }
        Ok(true)
    })?;
    Ok(report)
}

/// Reads the whole file and counts what it holds.
async fn check(
    import: &Arc<RecordImport>,
    mut progress: impl FnMut(u64, u64),
) -> Result<(RecordReport, Rejects), ImportError> {
    let (sender, mut receiver) = mpsc::channel(16);
    let reading = aside(import, move |import| {
        let mut report = RecordReport::default();
        let mut rejects = Rejects::open(import.rejects.as_deref(), &import.file, "id")?;
        for_each_row(import, |row, total, built| {
            report.lines += 1;
            match built {
                Ok(_) => report.records += 1,
                Err((id, reason, detail)) => {
                    *report.rejected.entry(reason).or_default() += 1;
                    rejects.write(row, &id, reason.name(), detail)?;
                }
            }
            if report.lines.is_multiple_of(PROGRESS_ROWS) {
                // A word of progress that nobody takes in time is not needed.
                let _ = sender.try_send((report.lines, total.max(report.lines)));
            }
            Ok(true)
        })?;
        Ok((report, rejects))
    });
    let telling = async {
        while let Some((done, total)) = receiver.recv().await {
            progress(done, total);
        }
    };
    let (read, ()) = tokio::join!(reading, telling);
    let (report, rejects) = read?;
    progress(report.lines, report.lines);
    Ok((report, rejects))
}

type Built = Result<Record, (String, RecordReason, &'static str)>;

/// Reads the rows one after another; ends early when `visit` says false.
fn for_each_row(
    import: &RecordImport,
    mut visit: impl FnMut(u64, u64, Built) -> Result<bool, ImportError>,
) -> Result<(), ImportError> {
    let wanted = import.mapping.wanted_columns();
    let wanted: Vec<(&str, &str)> = wanted.iter().map(|(key, column)| (key.as_str(), column.as_str())).collect();
    let mut rows = Rows::open(&import.file, &import.mapping.file, &wanted)?;
    let builder = Builder::new(import.kind, Values::new(&import.mapping, import.now));
    while let Some(row) = rows.next()? {
        let built = match row.cells {
            Ok(cells) => builder.build(&cells).map_err(|rejected| (rejected.id, rejected.reason, "")),
            Err(fault) => Err((String::new(), RecordReason::BrokenLine, fault)),
        };
        if !visit(row.number, rows.total(), built)? {
            break;
        }
    }
    Ok(())
}

async fn send(
    import: &Arc<RecordImport>,
    channel: Channel,
    report: &mut RecordReport,
    rejects: &mut Rejects,
    mut progress: impl FnMut(u64, u64),
) -> Result<(), ImportError> {
    let (checkpoint, sent_before) = Checkpoint::open(import)?;
    let (batches, mut receiver) = mpsc::channel(2);
    let shared = Arc::clone(import);
    let reading = tokio::task::spawn_blocking(move || read_batches(&shared, sent_before, &batches));

    // Of two rows about one product the later counts: they go one after another.
    let at_once = if import.kind == RecordKind::Products { 1 } else { CONCURRENCY };
    let total = report.records;
    let mut acknowledged = 0;
    let mut underway = FuturesOrdered::new();
    let mut more = true;
    loop {
        while more && underway.len() < at_once {
            match receiver.recv().await {
                Some(Read::Skipped(count)) => report.skipped += count,
                Some(Read::Batch(batch)) => underway.push_back(deliver(import, channel.clone(), batch)),
                None => more = false,
            }
        }
        let Some(done) = underway.next().await else { break };
        let (batch, verdicts) = done.map_err(|source| ImportError::Call {
            call: if import.kind == RecordKind::Products { "UpsertProducts" } else { "Collect" },
            acknowledged,
            what: "records",
            source: Box::new(source),
        })?;
        acknowledged += batch.records.len() as u64;
        settle(&batch, verdicts, report, rejects)?;
        if let Some((last, _)) = batch.records.last() {
            checkpoint.note(*last)?;
        }
        progress(report.skipped + acknowledged, total);
    }
    reading.await.unwrap_or_else(|_| Err(ImportError::broken(&import.file, "its damage stopped the decoder")))?;
    checkpoint.finish()
}

/// What the reading thread hands over.
enum Read {
    Batch(Batch),
    /// So many records were sent by an earlier run.
    Skipped(u64),
}

fn read_batches(import: &RecordImport, sent_before: u64, batches: &mpsc::Sender<Read>) -> Result<(), ImportError> {
    let mut batch = Batch::default();
    let mut skipped = 0;
    for_each_row(import, |row, _, built| {
        let Ok(record) = built else { return Ok(true) };
        if row <= sent_before {
            skipped += 1;
            return Ok(true);
        }
        let bytes = record.bytes();
        let full = batch.records.len() == MAX_BATCH_EVENTS || batch.bytes + bytes > MAX_BATCH_BYTES;
        if full && batches.blocking_send(Read::Batch(std::mem::take(&mut batch))).is_err() {
            return Ok(false);
        }
        batch.bytes += bytes;
        batch.records.push((row, record));
        Ok(true)
    })?;
    // Nobody listens any more when the sending failed: that failure is told.
    let _ = batches.blocking_send(Read::Skipped(skipped));
    if !batch.records.is_empty() {
        let _ = batches.blocking_send(Read::Batch(batch));
    }
    Ok(())
}

/// Sends a batch. Products have no verdicts: all are put, or none.
async fn deliver(
    import: &Arc<RecordImport>,
    channel: Channel,
    batch: Batch,
) -> Result<(Batch, Vec<Verdict>), kit::Error> {
    let mut events = Vec::new();
    let mut products: Vec<Product> = Vec::new();
    let mut places: HashMap<String, usize> = HashMap::new();
    for (_, record) in &batch.records {
        match record {
            Record::Event(event) => events.push(event.as_ref().clone()),
            Record::Product(product) => match places.get(&product.product_id) {
                Some(place) => products[*place] = product.as_ref().clone(),
                None => {
                    places.insert(product.product_id.clone(), products.len());
                    products.push(product.as_ref().clone());
                }
            },
        }
    }
    if !products.is_empty() {
        upsert(channel, products).await?;
        return Ok((batch, Vec::new()));
    }
    let verdicts = collect(channel, &import.source_id, events).await?;
    Ok((batch, verdicts))
}

fn settle(
    batch: &Batch,
    verdicts: Vec<Verdict>,
    report: &mut RecordReport,
    rejects: &mut Rejects,
) -> Result<(), ImportError> {
    if verdicts.is_empty() {
        report.accepted += batch.records.len() as u64;
    }
    for ((row, _), verdict) in batch.records.iter().zip(verdicts) {
        match verdict.outcome() {
            Outcome::Accepted => report.accepted += 1,
            Outcome::Duplicate => report.duplicates += 1,
            Outcome::Quarantined | Outcome::Held | Outcome::Denied | Outcome::Unspecified => {
                rejects.write(*row, "", "quarantined", &format!("{}: {}", verdict.reason, verdict.message))?;
                *report.quarantined.entry(verdict.reason).or_default() += 1;
            }
        }
    }
    Ok(())
}

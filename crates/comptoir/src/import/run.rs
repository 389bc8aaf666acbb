use std::path::PathBuf;

use chrono::{DateTime, Utc};
use futures::{StreamExt, stream::FuturesOrdered};
use kit::channel::Channel;
use proto::{
    event::v1::Event,
    ingestion::v1::{Verdict, verdict::Outcome},
    recommendation::v1::Product,
};
use tokio::sync::mpsc;

use super::{
    ImportError, ImportReport, Mapping, Reason,
    event::build,
    orders::{Order, OrderLine, Orders},
    read::{Contents, read},
    rejects::Rejects,
    send::{CONCURRENCY, MAX_BATCH_BYTES, MAX_BATCH_EVENTS, MAX_BATCH_PRODUCTS, collect, upsert},
};

/// What to import, and how.
#[derive(Debug, Clone)]
pub struct ImportOptions {
    /// The file of order lines.
    pub file: PathBuf,
    /// How to read it.
    pub mapping: Mapping,
    /// The source that the orders belong to; whether they were made online or in a shop is the source's to say.
    pub source_id: String,
    /// Where to write every rejected line with its reason, as CSV. An older file is replaced.
    pub rejects: Option<PathBuf>,
    /// Reads, checks and counts only; nothing is sent.
    pub dry_run: bool,
    /// Also puts the products into the catalogue, with their latest title, category and price. Products that are there are
    /// replaced.
    pub catalogue: bool,
    /// Dates more than a day after this are refused.
    pub now: DateTime<Utc>,
}

impl ImportOptions {
    /// Returns options that send everything and write no rejects file.
    pub fn new(file: impl Into<PathBuf>, mapping: Mapping, source_id: impl Into<String>, now: DateTime<Utc>) -> Self {
        Self {
            file: file.into(),
            mapping,
            source_id: source_id.into(),
            rejects: None,
            dry_run: false,
            catalogue: true,
            now,
        }
    }
}

/// What an import is at. Each step has its own count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Reading the file; counts lines.
    Read,
    /// Putting products into the catalogue; counts products.
    Catalogue,
    /// Sending orders and cancellations; counts them.
    Send,
}

/// Imports a file of orders through `channel`, which must carry a credential that may write events and, for the catalogue,
/// products. Without a channel it is a dry run.
///
/// The file is read whole before anything is sent, so a broken one has no effect. An import that was interrupted is begun
/// again: what ingestion acknowledged before is a duplicate then, for as long as its window lasts, and an order counts once by
/// its id even after. Tells `progress` the step, how much of it is done, and how much there is.
pub async fn import_orders(
    options: ImportOptions,
    channel: Option<Channel>,
    mut progress: impl FnMut(Step, u64, u64),
) -> Result<ImportReport, ImportError> {
    let mut contents = read_aside(&options, |done, total| progress(Step::Read, done, total)).await?;
    let channel = channel.filter(|_| !options.dry_run);

    if let Some(channel) = channel.as_ref().filter(|_| options.catalogue) {
        let products =
            contents.orders.products.to_catalogue(&contents.orders.texts, &options.mapping.provenance.provenance());
        fill_catalogue(products, channel, &mut contents.report, |done, total| {
            progress(Step::Catalogue, done, total);
        })
        .await?;
    }
    let sent = send_orders(&options, &mut contents, channel, |done, total| progress(Step::Send, done, total)).await;
    // What was rejected is worth having after a failure too; the failure is worth more than one of this file.
    let written = contents.rejects.finish();
    sent.and(written)?;
    Ok(contents.report)
}

/// Reads the file on a thread of its own.
async fn read_aside(options: &ImportOptions, mut progress: impl FnMut(u64, u64)) -> Result<Contents, ImportError> {
    let (sender, mut receiver) = mpsc::channel(16);
    let ImportOptions { file, mapping, rejects, now, .. } = options.clone();
    let reading = tokio::task::spawn_blocking(move || {
        read(&file, &mapping, rejects.as_deref(), now, |done, total| {
            // A word of progress that nobody takes in time is not needed.
            let _ = sender.try_send((done, total));
        })
    });
    while let Some((done, total)) = receiver.recv().await {
        progress(done, total);
    }
    // The Parquet decoder is known to panic on some damaged files.
    let fault = "its damage stopped the decoder";
    let contents = reading.await.unwrap_or_else(|_| Err(ImportError::broken(&options.file, fault)))?;
    progress(contents.report.lines, contents.report.lines);
    Ok(contents)
}

async fn fill_catalogue(
    products: Vec<Product>,
    channel: &Channel,
    report: &mut ImportReport,
    mut progress: impl FnMut(u64, u64),
) -> Result<(), ImportError> {
    progress(0, report.products);
    for batch in products.chunks(MAX_BATCH_PRODUCTS) {
        upsert(channel.clone(), batch.to_vec()).await.map_err(|source| ImportError::Call {
            call: "UpsertProducts",
            acknowledged: 0,
            what: "orders",
            source: Box::new(source),
        })?;
        report.catalogue += batch.len() as u64;
        progress(report.catalogue, report.products);
    }
    Ok(())
}

async fn send_orders(
    options: &ImportOptions,
    contents: &mut Contents,
    channel: Option<Channel>,
    mut progress: impl FnMut(u64, u64),
) -> Result<(), ImportError> {
    let Contents { orders, rejects, report } = contents;
    let total = orders.len() as u64;
    let mut acknowledged = 0;
    progress(0, total);

    let mut batches = batches(orders, &options.mapping);
    let mut underway = FuturesOrdered::new();
    loop {
        while underway.len() < CONCURRENCY
            && let Some(mut batch) = batches.next()
        {
            let (channel, events) = (channel.clone(), std::mem::take(&mut batch.events));
            underway.push_back(async move {
                let verdicts = match channel {
                    Some(channel) => collect(channel, &options.source_id, events).await?,
                    None => Vec::new(),
                };
                Ok((batch, verdicts))
            });
        }
        let Some(done) = underway.next().await else { return Ok(()) };
        let (batch, verdicts) = done.map_err(|source| {
            let source = Box::new(source);
            ImportError::Call { call: "Collect", acknowledged, what: "orders", source }
        })?;
        batch.count(report, rejects, orders)?;
        for (sent, verdict) in batch.sent.iter().zip(verdicts) {
            settle(sent, verdict, report, rejects, orders)?;
        }
        acknowledged += batch.sent.len() as u64;
        progress(acknowledged, total);
    }
}

/// Orders that are sent together.
#[derive(Default)]
struct Batch<'a> {
    events: Vec<Event>,
    sent: Vec<Sent<'a>>,
    bytes: usize,
}

/// An order whose event is under way.
struct Sent<'a> {
    order: &'a Order,
    lines: &'a [OrderLine],
    /// How many of the lines the event holds.
    held: usize,
    total_micros: i64,
    bytes: usize,
}

/// Builds the events of all orders, batch by batch as they are asked for.
fn batches<'a>(orders: &'a Orders, mapping: &'a Mapping) -> impl Iterator<Item = Batch<'a>> {
    let mut rest = orders.iter().map(move |(order, lines)| {
        let mut built = build(order, lines, &mapping.orders.customer_kind, &orders.texts);
        let provenance = built.event.provenance.get_or_insert_default();
        provenance.set_party(mapping.provenance.party());
        provenance.set_medium(mapping.provenance.medium());
        let (held, total_micros, bytes) = (built.lines, built.total_micros, built.bytes);
        (built.event, Sent { order, lines, held, total_micros, bytes })
    });
    let mut next = rest.next();
    std::iter::from_fn(move || {
        let mut batch = Batch::default();
        while let Some((event, sent)) = next.take() {
            let full = batch.sent.len() == MAX_BATCH_EVENTS || batch.bytes + sent.bytes > MAX_BATCH_BYTES;
            if full && !batch.sent.is_empty() {
                next = Some((event, sent));
                break;
            }
            batch.bytes += sent.bytes;
            batch.events.push(event);
            batch.sent.push(sent);
            next = rest.next();
        }
        (!batch.sent.is_empty()).then_some(batch)
    })
}

impl Batch<'_> {
    /// Counts what the events hold, and rejects the lines that did not find room.
    fn count(&self, report: &mut ImportReport, rejects: &mut Rejects, orders: &Orders) -> Result<(), ImportError> {
        report.bytes += self.bytes as u64;
        for sent in &self.sent {
            let currency = orders.texts.get(sent.order.currency).to_owned();
            let turnover = report.turnover.entry(currency).or_default();
            let sum =
                if sent.order.cancellation { &mut turnover.cancelled_micros } else { &mut turnover.ordered_micros };
            *sum += i128::from(sent.total_micros);
            for line in &sent.lines[sent.held..] {
                report.lines_accepted -= 1;
                let order_id = orders.texts.get(sent.order.order_id);
                rejects.line(report, line.number, order_id, Reason::OrderTooLarge, "")?;
            }
        }
        Ok(())
    }
}

fn settle(
    sent: &Sent<'_>,
    verdict: Verdict,
    report: &mut ImportReport,
    rejects: &mut Rejects,
    orders: &Orders,
) -> Result<(), ImportError> {
    match verdict.outcome() {
        Outcome::Accepted => report.accepted += 1,
        Outcome::Duplicate => report.duplicates += 1,
        Outcome::Quarantined | Outcome::Held | Outcome::Denied | Outcome::Unspecified => {
            let first_line = sent.lines.first().map_or(0, |line| line.number);
            let detail = format!("{}: {}", verdict.reason, verdict.message);
            rejects.quarantined(first_line, orders.texts.get(sent.order.order_id), &detail)?;
            *report.quarantined.entry(verdict.reason).or_default() += 1;
        }
    }
    Ok(())
}

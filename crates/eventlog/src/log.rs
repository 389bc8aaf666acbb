//! The publisher's end: append and read.

use std::collections::BTreeMap;
use std::sync::Arc;

use kit::metrics::Metrics;
use kit::{Clock, TenantId};
use store::{Db, Error, Tx};

use crate::batch::{Packed, Unpacked};
use crate::heads::Heads;
use crate::measure::LogMetrics;
use crate::recent::RecentBatches;
use crate::record::{LogRecord, PartitionId, Record};
use crate::store::followers::{self, Lag};
use crate::store::{batches, partitions};

/// Most records in one stored batch.
const BATCH_RECORDS: usize = 1_000;
/// Most bytes in one stored batch before compression, unless a single record is larger.
const BATCH_BYTES: usize = 1 << 20;
/// Largest record: key and payload.
const RECORD_BYTES: usize = 2 << 20;

/// How a log is kept.
#[derive(Debug, Clone)]
pub struct LogOptions {
    /// Partitions of each tenant. Default 8. Never change it for a log that holds records: keys would change their
    /// partition and lose their order.
    pub partitions: u32,
    /// Memory for batches read last, which single reads find their records in. Default 64 MiB.
    pub cache_bytes: usize,
}

impl Default for LogOptions {
    fn default() -> Self {
        Self { partitions: 8, cache_bytes: 64 << 20 }
    }
}

/// A log of this service. Cloning is cheap and shares it.
#[derive(Clone)]
pub struct EventLog {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) db: Db,
    pub(crate) name: &'static str,
    pub(crate) options: LogOptions,
    pub(crate) clock: Clock,
    pub(crate) heads: Arc<Heads>,
    pub(crate) recent: Arc<RecentBatches>,
    pub(crate) metrics: LogMetrics,
}

impl EventLog {
    /// Returns the log `name` of the database `db`, in which [`crate::MIGRATIONS`] have been applied.
    pub fn new(db: Db, name: &'static str, options: LogOptions, clock: Clock, metrics: &Metrics) -> Self {
        let recent = Arc::new(RecentBatches::new(options.cache_bytes));
        let metrics = LogMetrics::new(metrics, name);
        let heads = Arc::new(Heads::default());
        Self { inner: Arc::new(Inner { db, name, options, clock, heads, recent, metrics }) }
    }

    /// Returns the name of the log.
    pub fn name(&self) -> &'static str {
        self.inner.name
    }

    /// Returns the number of partitions that each tenant has.
    pub fn partitions(&self) -> u32 {
        self.inner.options.partitions
    }

    /// Returns the partition that records with `key` go to: the same on every machine, for ever.
    pub fn partition_of(&self, key: &[u8]) -> u32 {
        // CRC-32 is fixed by its standard, fast, and spreads keys well enough over a few partitions.
        crc32fast::hash(key) % self.inner.options.partitions
    }

    /// Appends records in the caller's transaction and returns (partition, offset) for each, in their order.
    ///
    /// They are there when `tx` commits, and followers are woken then. Each touched partition stays locked against
    /// other appenders until `tx` ends, so appending belongs near the end of a transaction, once, for all records.
    pub async fn append(&self, tx: &mut Tx, tenant: &TenantId, records: Vec<Record>) -> Result<Vec<(u32, u64)>, Error> {
        let log = &self.inner;
        let mut places: Vec<(u32, u64)> = Vec::with_capacity(records.len());
        let mut by_partition: BTreeMap<u32, Vec<Record>> = BTreeMap::new();
        for record in records {
            check(&record)?;
            let partition = self.partition_of(&record.key);
            let siblings = by_partition.entry(partition).or_default();
            // Its place among its siblings, until the partition tells its first offset.
            places.push((partition, siblings.len() as u64));
            siblings.push(record);
        }
        if by_partition.is_empty() {
            return Ok(places);
        }

        let append_time_us = log.clock.now_us();
        let counts: Vec<(u32, u32)> =
            by_partition.iter().map(|(&partition, records)| (partition, records.len() as u32)).collect();
        let mut packed = Vec::new();
        for (partition, records) in by_partition {
            packed.push((partition, pack(records, append_time_us)));
        }

        // Packing comes first, so that the partitions are locked no longer than needed.
        let first_offsets = partitions::take_offsets(tx, log.name, tenant, &counts).await?;
        let mut rows = Vec::new();
        for ((partition, batches), (_, first_offset)) in packed.into_iter().zip(&first_offsets) {
            let mut next_offset = *first_offset;
            for batch in batches {
                let batch = Packed { first_offset: next_offset, ..batch };
                next_offset = batch.next_offset();
                rows.push((PartitionId::new(tenant, partition), batch));
            }
        }
        batches::insert(tx, log.name, &rows).await?;
        self.announce_on_commit(tx, rows);

        for (partition, place) in &mut places {
            let known = first_offsets.iter().find(|(taken, _)| taken == partition);
            let (_, first_offset) = known.expect("offsets were taken in each touched partition");
            *place += first_offset;
        }
        Ok(places)
    }

    /// Counts what was appended and wakes those who wait for it, after the commit.
    fn announce_on_commit(&self, tx: &mut Tx, rows: Vec<(PartitionId, Packed)>) {
        let heads = Arc::clone(&self.inner.heads);
        let metrics = self.inner.metrics.clone();
        let ends: Vec<(PartitionId, u64)> =
            rows.iter().map(|(partition, batch)| (partition.clone(), batch.next_offset())).collect();
        let records: u64 = rows.iter().map(|(_, batch)| u64::from(batch.count)).sum();
        let bytes: usize = rows.iter().map(|(_, batch)| batch.records.len()).sum();
        tx.after_commit(move || {
            metrics.appended_records.inc_by(records);
            metrics.appended_bytes.inc_by(bytes as u64);
            for (partition, end) in ends {
                heads.advance(&partition, end);
            }
        });
    }

    /// Reads records from `from_offset` on, at most `max_records`; fewer when the partition ends.
    ///
    /// Where retention has removed records it begins at the first that is left. Redacted records are left out.
    pub async fn read(
        &self,
        tenant: &TenantId,
        partition: u32,
        from_offset: u64,
        max_records: usize,
    ) -> Result<Vec<LogRecord>, Error> {
        const BATCHES_AT_ONCE: u32 = 8;

        let partition = PartitionId::new(tenant, partition);
        let mut records = Vec::new();
        let mut next_offset = from_offset;
        while records.len() < max_records {
            let batches =
                batches::read(&self.inner.db, self.inner.name, &partition, next_offset, BATCHES_AT_ONCE).await?;
            if batches.is_empty() {
                break;
            }
            for packed in batches {
                let unpacked = packed.unpack()?;
                for offset in next_offset.max(packed.first_offset)..packed.next_offset() {
                    if records.len() == max_records {
                        break;
                    }
                    let record = unpacked.record(&partition, offset)?;
                    if !is_redacted(&record.record) {
                        records.push(record);
                    }
                }
                next_offset = packed.next_offset();
            }
        }
        Ok(records)
    }

    /// Reads single records, in the order asked for; those that retention or redaction removed are left out.
    pub async fn read_at(&self, tenant: &TenantId, places: &[(u32, u64)]) -> Result<Vec<LogRecord>, Error> {
        // In the order of the log, so that one batch serves all its records even when the cache is small.
        let mut order: Vec<usize> = (0..places.len()).collect();
        order.sort_unstable_by_key(|&index| places[index]);

        let mut found: Vec<Option<LogRecord>> = vec![None; places.len()];
        let mut last: Option<(u32, Arc<Unpacked>)> = None;
        for index in order {
            let (number, offset) = places[index];
            let partition = PartitionId::new(tenant, number);
            let at_hand = last.take().filter(|(of, batch)| *of == number && batch.contains(offset));
            let batch = match at_hand {
                Some((_, batch)) => Some(batch),
                None => self.batch_holding(&partition, offset).await?,
            };
            let Some(batch) = batch else { continue };
            found[index] = Some(batch.record(&partition, offset)?).filter(|record| !is_redacted(&record.record));
            last = Some((number, batch));
        }
        Ok(found.into_iter().flatten().collect())
    }

    async fn batch_holding(&self, partition: &PartitionId, offset: u64) -> Result<Option<Arc<Unpacked>>, Error> {
        if let Some(batch) = self.inner.recent.get(partition, offset) {
            return Ok(Some(batch));
        }
        let batches = batches::read(&self.inner.db, self.inner.name, partition, offset, 1).await?;
        let Some(packed) = batches.into_iter().find(|batch| batch.first_offset <= offset) else {
            return Ok(None);
        };
        let batch = Arc::new(packed.unpack()?);
        self.inner.recent.insert(partition, Arc::clone(&batch));
        Ok(Some(batch))
    }

    /// Empties records for good: their places stay, their keys and payloads are gone, followers no longer see them.
    ///
    /// For erasure. Returns how many were there to be emptied.
    pub async fn redact(&self, tx: &mut Tx, tenant: &TenantId, places: &[(u32, u64)]) -> Result<usize, Error> {
        let mut by_partition: BTreeMap<u32, Vec<u64>> = BTreeMap::new();
        for &(partition, offset) in places {
            by_partition.entry(partition).or_default().push(offset);
        }
        let mut redacted = 0;
        for (number, mut offsets) in by_partition {
            let partition = PartitionId::new(tenant, number);
            offsets.sort_unstable();
            offsets.dedup();
            let mut rest = offsets.as_slice();
            while let Some(&offset) = rest.first() {
                let batch = batches::read_in(tx, self.inner.name, &partition, offset).await?;
                let end = batch.as_ref().map_or(offset + 1, Packed::next_offset);
                let (within, after) = rest.split_at(rest.partition_point(|&later| later < end));
                if let Some(batch) = batch {
                    batches::rewrite(tx, self.inner.name, &partition, &batch.redact(within)?).await?;
                    redacted += within.len();
                }
                rest = after;
            }
            let recent = Arc::clone(&self.inner.recent);
            tx.after_commit(move || recent.forget(&partition));
        }
        Ok(redacted)
    }

    /// Removes everything of `tenant` from the log.
    pub async fn remove_tenant(&self, tx: &mut Tx, tenant: &TenantId) -> Result<(), Error> {
        partitions::remove_tenant(tx, self.inner.name, tenant).await?;
        for number in 0..self.inner.options.partitions {
            let recent = Arc::clone(&self.inner.recent);
            let partition = PartitionId::new(tenant, number);
            tx.after_commit(move || recent.forget(&partition));
        }
        Ok(())
    }

    /// Returns where each partition ends: the offset that its next record will have.
    pub async fn ends(&self) -> Result<Vec<(PartitionId, u64)>, Error> {
        partitions::list(&self.inner.db, self.inner.name).await
    }

    /// Returns the first offset of a partition that retention has left, if it holds any record.
    pub async fn oldest(&self, tenant: &TenantId, partition: u32) -> Result<Option<u64>, Error> {
        partitions::oldest(&self.inner.db, self.inner.name, &PartitionId::new(tenant, partition)).await
    }

    /// Returns how far each follower is behind in each partition.
    pub async fn lags(&self) -> Result<Vec<Lag>, Error> {
        followers::lags(&self.inner.db, self.inner.name).await
    }
}

fn check(record: &Record) -> Result<(), Error> {
    if record.payload.is_empty() {
        return Err(Error::fatal("a record must have a payload"));
    }
    if weight(record) > RECORD_BYTES {
        return Err(Error::fatal(format!("a record must not be larger than {RECORD_BYTES} bytes")));
    }
    Ok(())
}

fn weight(record: &Record) -> usize {
    record.key.len() + record.payload.len()
}

/// Packs the records of one partition into as few batches as the bounds allow.
fn pack(records: Vec<Record>, append_time_us: i64) -> Vec<Packed> {
    let mut packed = Vec::new();
    let mut batch: Vec<Record> = Vec::with_capacity(records.len().min(BATCH_RECORDS));
    let mut bytes = 0;
    for record in records {
        let weight = weight(&record);
        if batch.len() == BATCH_RECORDS || (bytes + weight > BATCH_BYTES && !batch.is_empty()) {
            packed.push(Packed::new(std::mem::take(&mut batch), append_time_us));
            bytes = 0;
        }
        bytes += weight;
        batch.push(record);
    }
    packed.push(Packed::new(batch, append_time_us));
    packed
}

/// A record that was appended always has a payload; one that has none was redacted.
pub(crate) fn is_redacted(record: &Record) -> bool {
    record.payload.is_empty()
}

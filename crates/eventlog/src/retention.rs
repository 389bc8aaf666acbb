//! Dropping what is old or too much.

use std::collections::BTreeMap;
use std::time::Duration;

use store::Error;

use crate::log::EventLog;
use crate::record::PartitionId;
use crate::store::{batches, followers};

/// Batches looked at, and at most dropped, in one transaction.
const STEP: u32 = 500;

/// What a log keeps.
#[derive(Debug, Clone, Default)]
pub struct Retention {
    /// Drop what was appended longer ago than this, by the log's clock. None keeps it.
    pub max_age: Option<Duration>,
    /// Drop the oldest while the log takes more bytes than this, as stored. None sets no bound.
    pub max_bytes: Option<u64>,
    /// Drop also what a follower has not taken yet: it will miss those records.
    pub drop_unread: bool,
}

/// What retention did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Retained {
    /// Batches dropped.
    pub dropped_batches: u64,
    /// Their bytes, as stored.
    pub dropped_bytes: u64,
}

impl EventLog {
    /// Drops whole batches, oldest first, until the log is within `retention`. Call it from time to time.
    pub async fn retain(&self, retention: &Retention) -> Result<Retained, Error> {
        let mut retained = Retained::default();
        loop {
            let step = self.retain_step(retention).await?;
            retained.dropped_batches += step.dropped_batches;
            retained.dropped_bytes += step.dropped_bytes;
            if step.dropped_batches < u64::from(STEP) {
                return Ok(retained);
            }
        }
    }

    async fn retain_step(&self, retention: &Retention) -> Result<Retained, Error> {
        let log = &self.inner;
        let before_us = retention.max_age.map_or(i64::MIN, |age| {
            log.clock.now_us().saturating_sub(i64::try_from(age.as_micros()).unwrap_or(i64::MAX))
        });
        let mut excess_bytes = match retention.max_bytes {
            Some(max_bytes) => batches::total_bytes(&log.db, log.name).await?.saturating_sub(max_bytes),
            None => 0,
        };
        let oldest = batches::oldest(&log.db, log.name, before_us, excess_bytes > 0, STEP).await?;
        let read_up_to = if retention.drop_unread { None } else { Some(self.slowest_cursors().await?) };

        let mut cuts: BTreeMap<PartitionId, u64> = BTreeMap::new();
        let mut retained = Retained::default();
        for batch in oldest {
            if batch.append_time_us >= before_us && excess_bytes == 0 {
                break;
            }
            let is_read = read_up_to.as_ref().is_none_or(|cursors| {
                cursors.get(&batch.partition).is_none_or(|next_offset| *next_offset > batch.last_offset)
            });
            if !is_read {
                continue;
            }
            excess_bytes = excess_bytes.saturating_sub(batch.stored_bytes);
            retained.dropped_batches += 1;
            retained.dropped_bytes += batch.stored_bytes;
            let cut = cuts.entry(batch.partition).or_default();
            *cut = batch.last_offset.max(*cut);
        }

        let mut tx = log.db.begin().await?;
        for (partition, last_offset) in &cuts {
            batches::cut(&mut tx, log.name, partition, *last_offset).await?;
        }
        tx.commit().await?;
        for partition in cuts.keys() {
            log.recent.forget(partition);
        }
        Ok(retained)
    }

    /// Returns, for each partition with a follower, how far the slowest has come.
    async fn slowest_cursors(&self) -> Result<BTreeMap<PartitionId, u64>, Error> {
        let mut slowest: BTreeMap<PartitionId, u64> = BTreeMap::new();
        for lag in followers::lags(&self.inner.db, self.inner.name).await? {
            let cursor = slowest.entry(lag.partition).or_insert(lag.next_offset);
            *cursor = lag.next_offset.min(*cursor);
        }
        Ok(slowest)
    }
}

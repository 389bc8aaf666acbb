//! Dropping what is old or too much, when asked and from time to time.

use std::collections::BTreeMap;
use std::time::Duration;

use kit::Violations;
use kit::shutdown::Shutdown;
use serde::{Deserialize, Serialize};
use store::Error;

use crate::log::EventLog;
use crate::record::PartitionId;
use crate::store::{batches, followers};

/// Batches looked at, and at most dropped, in one transaction.
const STEP: u32 = 500;

/// When a process looks for the first time at what may go, and how often afterwards. Real time: space is real.
const FIRST_LOOK: Duration = Duration::from_secs(60);
const PERIOD: Duration = Duration::from_secs(3_600);

/// The settings of what a log keeps: a section of its publisher's configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RetentionConfig {
    /// Days that a record is kept after it was appended; 0 keeps it for ever.
    pub max_age_days: u32,
    /// MiB that the log may take, as stored; the oldest go first. 0 sets no bound.
    pub max_mib: u64,
    /// Drop also what a follower has not taken yet: it will miss those records.
    pub drop_unread: bool,
}

impl Default for RetentionConfig {
    /// Three years, whatever they take.
    fn default() -> Self {
        Self { max_age_days: 1_096, max_mib: 0, drop_unread: false }
    }
}

impl RetentionConfig {
    /// Returns the settings of a log that is kept for ever.
    pub fn for_ever() -> Self {
        Self { max_age_days: 0, ..Self::default() }
    }

    /// Records what cannot be, under the name of the section.
    pub fn validate(&self, section: &str, violations: &mut Violations) {
        violations.check(self.max_age_days <= 36_500, format!("{section}.max_age_days"), "must be at most 36500");
        violations.check(self.max_mib <= 1 << 40, format!("{section}.max_mib"), "must be at most 2^40");
    }

    /// Returns what is to be kept.
    pub fn retention(&self) -> Retention {
        let days = |days: u32| Duration::from_secs(u64::from(days) * 86_400);
        Retention {
            max_age: (self.max_age_days > 0).then(|| days(self.max_age_days)),
            max_bytes: (self.max_mib > 0).then(|| self.max_mib.saturating_mul(1 << 20)),
            drop_unread: self.drop_unread,
        }
    }
}

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
    /// Keeps the log within what is configured, in the background: a look every hour. Replicas may all do it.
    pub fn keep_within(&self, config: &RetentionConfig, shutdown: &Shutdown) {
        let retention = config.retention();
        if retention.max_age.is_none() && retention.max_bytes.is_none() {
            return;
        }
        let (log, life) = (self.clone(), shutdown.token.clone());
        shutdown.spawn("log retention", async move {
            life.run_until_cancelled(keep(&log, &retention, FIRST_LOOK, PERIOD)).await;
        });
    }

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

        if cuts.is_empty() {
            return Ok(retained);
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

/// Keeps `log` within `retention` for ever.
async fn keep(log: &EventLog, retention: &Retention, first: Duration, period: Duration) {
    let mut pause = first;
    loop {
        tokio::time::sleep(pause).await;
        pause = period;
        match log.retain(retention).await {
            Ok(Retained { dropped_batches: 0, .. }) => {}
            Ok(Retained { dropped_batches, dropped_bytes }) => {
                tracing::info!(
                    log.name = log.name(),
                    log.dropped_batches = dropped_batches,
                    log.dropped_bytes = dropped_bytes,
                    "old batches were dropped"
                );
            }
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(error, log.name = log.name(), "old batches were not dropped");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use chrono::DateTime;
    use kit::{Clock, TenantId, metrics::Metrics};

    use super::*;
    use crate::log::LogOptions;
    use crate::record::Record;

    #[tokio::test]
    async fn a_log_is_kept_within_its_settings_as_time_passes() {
        for db in store::testing::databases(&[&crate::MIGRATIONS]).await {
            let clock = Clock::manual(DateTime::from_timestamp(1_700_000_000, 0).unwrap());
            let log = EventLog::new(db.handle(), "events", LogOptions::default(), clock.clone(), &Metrics::new());
            let shop = TenantId::try_from("shop").unwrap();
            for day in 0..4 {
                let payload = Bytes::from(format!("day {day}"));
                let record = Record { key: Bytes::from_static(b"key"), payload, event_time_us: 0, traceparent: None };
                let mut tx = db.begin().await.unwrap();
                log.append(&mut tx, &shop, vec![record]).await.unwrap();
                tx.commit().await.unwrap();
                clock.advance(Duration::from_secs(86_400));
            }
            let two_days = RetentionConfig { max_age_days: 2, ..RetentionConfig::default() }.retention();
            let partition = log.partition_of(b"key");

            let pause = Duration::from_millis(5);
            let until_dropped = async {
                while log.oldest(&shop, partition).await.unwrap() != Some(2) {
                    tokio::task::yield_now().await;
                }
            };
            tokio::select! {
                () = keep(&log, &two_days, pause, pause) => unreachable!("it never ends"),
                () = until_dropped => {}
            }

            assert_eq!(log.read(&shop, partition, 0, 10).await.unwrap().len(), 2);
        }
    }

    #[test]
    fn the_settings_say_what_is_kept() {
        let kept = RetentionConfig::default().retention();
        assert_eq!((kept.max_age, kept.max_bytes), (Some(Duration::from_secs(1_096 * 86_400)), None));
        assert!(!kept.drop_unread);
        let kept = RetentionConfig { max_mib: 2, ..RetentionConfig::for_ever() }.retention();
        assert_eq!((kept.max_age, kept.max_bytes), (None, Some(2 << 20)));

        let mut violations = Violations::new();
        RetentionConfig::default().validate("retention", &mut violations);
        assert!(violations.is_empty());
        RetentionConfig { max_age_days: u32::MAX, max_mib: u64::MAX, drop_unread: true }
            .validate("retention", &mut violations);
        assert_eq!(violations.finish().unwrap_err().violations.len(), 2);
    }
}

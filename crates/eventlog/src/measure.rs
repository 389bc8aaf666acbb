//! The metrics of logs and followers.

use kit::metrics::Metrics;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct LogLabels {
    log: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct FollowerLabels {
    log: String,
    follower: String,
}

/// What a publisher counts.
#[derive(Clone)]
pub(crate) struct LogMetrics {
    log: &'static str,
    pub(crate) appended_records: Counter,
    pub(crate) appended_bytes: Counter,
    lag_records: Family<FollowerLabels, Gauge>,
}

impl LogMetrics {
    pub(crate) fn new(metrics: &Metrics, log: &'static str) -> Self {
        let records: Family<LogLabels, Counter> =
            metrics.shared("comptoir_log_appended_records", "Records appended", Family::default);
        let bytes: Family<LogLabels, Counter> =
            metrics.shared("comptoir_log_appended_bytes", "Bytes appended, as stored", Family::default);
        let lag_records = metrics.shared(
            "comptoir_log_lag_records",
            "Records that a follower has not taken yet, over all partitions",
            Family::default,
        );
        Self {
            log,
            appended_records: records.get_or_create_owned(&LogLabels { log }),
            appended_bytes: bytes.get_or_create_owned(&LogLabels { log }),
            lag_records,
        }
    }

    pub(crate) fn set_lag(&self, follower: &str, records: u64) {
        let labels = FollowerLabels { log: self.log.to_owned(), follower: follower.to_owned() };
        self.lag_records.get_or_create(&labels).set(i64::try_from(records).unwrap_or(i64::MAX));
    }
}

/// What a follower counts.
#[derive(Clone)]
pub(crate) struct FollowerMetrics {
    pub(crate) records: Counter,
    pub(crate) errors: Counter,
    pub(crate) batch_seconds: Histogram,
    pub(crate) batch_records: Histogram,
    pub(crate) delay_seconds: Gauge<f64, std::sync::atomic::AtomicU64>,
    pub(crate) units: Gauge,
}

impl FollowerMetrics {
    pub(crate) fn new(metrics: &Metrics, log: &str, follower: &str) -> Self {
        let labels = FollowerLabels { log: log.to_owned(), follower: follower.to_owned() };
        let records: Family<FollowerLabels, Counter> =
            metrics.shared("comptoir_follower_records", "Records folded and committed", Family::default);
        let errors: Family<FollowerLabels, Counter> =
            metrics.shared("comptoir_follower_errors", "Batches that failed and come again", Family::default);
        let batch_seconds: Family<FollowerLabels, Histogram, fn() -> Histogram> =
            metrics.shared("comptoir_follower_batch_seconds", "Time to fold and commit a batch", || {
                Family::new_with_constructor(batch_seconds as fn() -> Histogram)
            });
        let batch_records: Family<FollowerLabels, Histogram, fn() -> Histogram> =
            metrics.shared("comptoir_follower_batch_records", "Records in a batch", || {
                Family::new_with_constructor(batch_records as fn() -> Histogram)
            });
        let delay: Family<FollowerLabels, Gauge<f64, std::sync::atomic::AtomicU64>> = metrics.shared(
            "comptoir_follower_delay_seconds",
            "Age of the newest record in the last batch, from append to commit",
            Family::default,
        );
        let units: Family<FollowerLabels, Gauge> =
            metrics.shared("comptoir_follower_units", "Units that this replica folds", Family::default);
        Self {
            records: records.get_or_create_owned(&labels),
            errors: errors.get_or_create_owned(&labels),
            batch_seconds: batch_seconds.get_or_create_owned(&labels),
            batch_records: batch_records.get_or_create_owned(&labels),
            delay_seconds: delay.get_or_create_owned(&labels),
            units: units.get_or_create_owned(&labels),
        }
    }
}

fn batch_seconds() -> Histogram {
    Histogram::new(exponential_buckets(0.001, 2.0, 14))
}

fn batch_records() -> Histogram {
    Histogram::new(exponential_buckets(1.0, 4.0, 8))
}

//! Times and durations between the wire and microseconds.

pub(crate) use kit::time::{SECOND_US, micros, timestamp};
use prost_types::{Duration, Timestamp};

pub(crate) const MINUTE_US: i64 = 60 * SECOND_US;
pub(crate) const HOUR_US: i64 = 60 * MINUTE_US;
pub(crate) const DAY_US: i64 = 24 * HOUR_US;

/// Returns microseconds since the Unix epoch, 0 when unset.
pub(crate) fn micros_or_zero(time: Option<&Timestamp>) -> i64 {
    time.map_or(0, micros)
}

/// Returns a time on the wire; unset when `time_us` is 0, which stands for "not yet".
pub(crate) fn timestamp_unless_zero(time_us: i64) -> Option<Timestamp> {
    (time_us != 0).then(|| timestamp(time_us))
}

/// Returns a duration in microseconds.
pub(crate) fn duration_us(duration: &Duration) -> i64 {
    duration.seconds.saturating_mul(SECOND_US).saturating_add(i64::from(duration.nanos) / 1_000)
}

/// Returns a time for a person to read, to the minute, in UTC.
pub(crate) fn readable(time_us: i64) -> String {
    chrono::DateTime::from_timestamp_micros(time_us)
        .map_or_else(|| "an impossible time".to_owned(), |time| time.format("%Y-%m-%d %H:%M UTC").to_string())
}

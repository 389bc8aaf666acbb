//! Times between the wire and microseconds since the Unix epoch.

use prost_types::Timestamp;

/// Microseconds of a second.
pub const SECOND_US: i64 = 1_000_000;

/// Nanoseconds of a microsecond.
const MICRO_NANOS: i32 = 1_000;

/// Seconds of the years 1 to 9999: what a timestamp may hold.
const TIMESTAMP_SECONDS: std::ops::Range<i64> = -62_135_596_800..253_402_300_800;

/// Returns a time on the wire.
pub fn timestamp(time_us: i64) -> Timestamp {
    let micros = i32::try_from(time_us.rem_euclid(SECOND_US)).expect("less than a million");
    Timestamp { seconds: time_us.div_euclid(SECOND_US), nanos: micros * MICRO_NANOS }
}

/// Returns microseconds since the Unix epoch; a time that does not fit becomes the earliest or the latest that does.
pub fn micros(time: &Timestamp) -> i64 {
    time.seconds.saturating_mul(SECOND_US).saturating_add(i64::from(time.nanos / MICRO_NANOS))
}

/// Returns microseconds since the Unix epoch; none when the timestamp is not one of the years 1 to 9999.
pub fn valid_micros(time: &Timestamp) -> Option<i64> {
    let is_valid = TIMESTAMP_SECONDS.contains(&time.seconds) && (0..1_000_000_000).contains(&time.nanos);
    is_valid.then(|| micros(time))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_comes_back_as_it_was() {
        for time_us in [0, 1, -1, 1_748_779_198_123_456, -62_135_596_800_000_000, 253_402_300_799_999_999] {
            assert_eq!(micros(&timestamp(time_us)), time_us);
            assert_eq!(valid_micros(&timestamp(time_us)), Some(time_us));
        }
        assert_eq!(timestamp(-1), Timestamp { seconds: -1, nanos: 999_999_000 });
    }

    #[test]
    fn what_is_no_timestamp_is_told_or_brought_into_bounds() {
        for (seconds, nanos) in [(i64::MAX, 0), (i64::MIN, 0), (253_402_300_800, 0), (0, -1), (0, 1_000_000_000)] {
            assert_eq!(valid_micros(&Timestamp { seconds, nanos }), None);
        }
        assert_eq!(micros(&Timestamp { seconds: i64::MAX, nanos: 0 }), i64::MAX);
        assert_eq!(micros(&Timestamp { seconds: i64::MIN, nanos: 0 }), i64::MIN);
    }
}

//! Times: reading them, and correcting the clocks of senders.

use chrono::{DateTime, NaiveDate, NaiveDateTime};
use kit::time::{SECOND_US, valid_micros};
use prost_types::Timestamp;

use super::problem::{Problem, Reason};

/// A sender's clock is corrected beyond this, and in steps of it: less is the network's delay, not a wrong clock.
const SKEW_STEP_US: i64 = 300 * SECOND_US;
/// What lies further ahead, after the correction, is an error and not a clock.
const MAX_AHEAD_US: i64 = 24 * 3_600 * SECOND_US;

/// Reads a time as senders write it: RFC 3339, a date, a date and time without a zone (taken as UTC), or a number of
/// seconds or milliseconds since 1970. Microseconds since the Unix epoch.
pub(crate) fn parse(text: &str) -> Option<i64> {
    let text = text.trim();
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        return Some(time.timestamp_micros());
    }
    if let Ok(time) = DateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f%z") {
        return Some(time.timestamp_micros());
    }
    for format in ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f"] {
        if let Ok(time) = NaiveDateTime::parse_from_str(text, format) {
            return Some(time.and_utc().timestamp_micros());
        }
    }
    if let Ok(date) = NaiveDate::parse_from_str(text, "%Y-%m-%d") {
        return Some(date.and_hms_opt(0, 0, 0)?.and_utc().timestamp_micros());
    }
    parse_number(text)
}

/// Seconds up to the year 5138, milliseconds above.
fn parse_number(text: &str) -> Option<i64> {
    const FIRST_MILLIS: i64 = 100_000_000_000;
    let micros = super::decimal::micros(text)?;
    if micros / SECOND_US < FIRST_MILLIS { Some(micros) } else { Some(micros / 1_000) }
}

/// Returns a timestamp's microseconds; a problem when it is none, or lies before 1970 or after the year 9999.
pub(crate) fn from_timestamp(timestamp: &Timestamp) -> Result<i64, Problem> {
    valid_micros(timestamp)
        .filter(|time_us| *time_us >= 0)
        .ok_or_else(|| Problem::new(Reason::TimeInvalid, "a time must be a valid timestamp of 1970 or later"))
}

/// Returns when an event happened, given when the sender says it did and when, by the same clock, it was sent.
///
/// The difference between sending and receiving corrects the sender's clock only when it is beyond five minutes, and
/// then in steps of five minutes: applied blindly it would fold the network's delay into every time and let a stalled
/// batch overtake later ones. What was sent before it happened was sent by another clock, or is not a time of sending
/// (analytics-react-native#977), and corrects nothing. What still lies ahead is drawn back to the receipt, or refused
/// beyond a day.
pub(crate) fn correct(claimed_us: Option<i64>, sent_us: Option<i64>, received_us: i64) -> Result<i64, Problem> {
    let Some(claimed_us) = claimed_us else { return Ok(received_us) };
    let of_one_clock = sent_us.filter(|sent_us| claimed_us.saturating_sub(*sent_us) <= SKEW_STEP_US);
    let skew_us = of_one_clock.map_or(0, |sent_us| received_us.saturating_sub(sent_us));
    let corrected_us = claimed_us.saturating_add(quantised(skew_us));

    if corrected_us < 0 {
        return Err(Problem::new(Reason::TimeInvalid, "the event's time lies before 1970"));
    }
    if corrected_us > received_us.saturating_add(MAX_AHEAD_US) {
        return Err(Problem::new(Reason::TimeInFuture, "the event's time lies more than 24 hours ahead"));
    }
    Ok(corrected_us.min(received_us))
}

/// Rounds to the nearest step of five minutes; nothing within the first.
fn quantised(skew_us: i64) -> i64 {
    if skew_us.saturating_abs() <= SKEW_STEP_US {
        return 0;
    }
    let half_step_us = SKEW_STEP_US / 2 * skew_us.signum();
    skew_us.saturating_add(half_step_us) / SKEW_STEP_US * SKEW_STEP_US
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE_US: i64 = 60 * SECOND_US;
    const NOON_US: i64 = 1_748_779_200 * SECOND_US;

    #[test]
    fn times_are_read_as_senders_write_them() {
        for text in [
            "2025-06-01T12:00:00Z",
            "2025-06-01T12:00:00.000Z",
            "2025-06-01T14:00:00+02:00",
            "2025-06-01T14:00:00+0200",
            "2025-06-01 12:00:00",
            "2025-06-01T12:00:00",
            "1748779200",
            "1748779200000",
        ] {
            assert_eq!(parse(text), Some(NOON_US), "{text}");
        }
        assert_eq!(parse("2025-06-01"), Some(NOON_US - 12 * 60 * MINUTE_US));
        for text in ["", "yesterday", "2025-13-01", "12:00", "{}"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn the_delay_of_the_network_does_not_move_an_event() {
        let claimed_us = NOON_US - 10 * SECOND_US;

        let corrected = correct(Some(claimed_us), Some(NOON_US - 4 * MINUTE_US), NOON_US);

        assert_eq!(corrected, Ok(claimed_us));
    }

    #[test]
    fn a_wrong_clock_is_corrected_in_steps_of_five_minutes() {
        let slow_by_us = 3 * 3_600 * SECOND_US + 61 * SECOND_US;
        let corrected = correct(Some(NOON_US - slow_by_us - MINUTE_US), Some(NOON_US - slow_by_us), NOON_US).unwrap();
        assert_eq!(corrected, NOON_US - MINUTE_US - 61 * SECOND_US, "corrected by three hours exactly");

        let year_us = 365 * 24 * 3_600 * SECOND_US;
        let fast = correct(Some(NOON_US + year_us - MINUTE_US), Some(NOON_US + year_us), NOON_US);
        assert_eq!(fast, Ok(NOON_US - MINUTE_US));
    }

    #[test]
    fn what_was_sent_before_it_happened_corrects_nothing() {
        let two_weeks_us = 14 * 24 * 3_600 * SECOND_US;
        let claimed_us = NOON_US - MINUTE_US;

        assert_eq!(correct(Some(claimed_us), Some(NOON_US - two_weeks_us), NOON_US), Ok(claimed_us));
        // Some seconds before are the hurry of an SDK, not another clock.
        let slow_us = NOON_US - two_weeks_us;
        assert_eq!(correct(Some(slow_us + SECOND_US), Some(slow_us), NOON_US), Ok(NOON_US));
    }

    #[test]
    fn the_near_future_is_drawn_back_and_the_far_future_refused() {
        let day_us = 24 * 3_600 * SECOND_US;

        assert_eq!(correct(Some(NOON_US + day_us), None, NOON_US), Ok(NOON_US));
        assert_eq!(correct(None, None, NOON_US), Ok(NOON_US));
        assert_eq!(correct(Some(NOON_US + day_us + 1), None, NOON_US).unwrap_err().reason, Reason::TimeInFuture);
        assert_eq!(correct(Some(-1), None, NOON_US).unwrap_err().reason, Reason::TimeInvalid);
        assert!(correct(Some(i64::MAX), Some(i64::MIN), NOON_US).is_err());
    }

    #[test]
    fn timestamps_come_and_go() {
        assert_eq!(from_timestamp(&kit::time::timestamp(NOON_US + 7)), Ok(NOON_US + 7));
        for bad in [(-1, 0), (0, -1), (0, 1_000_000_000), (i64::MAX, 0)] {
            assert!(from_timestamp(&Timestamp { seconds: bad.0, nanos: bad.1 }).is_err());
        }
    }
}

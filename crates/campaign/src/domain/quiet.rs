//! Quiet hours, by the clock on the person's wall.

use chrono::{DateTime, Duration, LocalResult, NaiveDateTime, TimeZone, Timelike, Utc};
use chrono_tz::Tz;

use super::policy::Policy;

/// Returns when the quiet hours that hold at `time_us` end; none when none hold.
///
/// The end is an hour on the wall: where the clock jumps over it, the first instant after the jump; where it comes twice,
/// the first time.
pub(crate) fn quiet_until(policy: &Policy, zone: Tz, time_us: i64) -> Option<i64> {
    let (start, end) = (policy.quiet_start_minute, policy.quiet_end_minute);
    if start == end {
        return None;
    }
    let wall = DateTime::<Utc>::from_timestamp_micros(time_us)?.with_timezone(&zone);
    let minute = wall.hour() * 60 + wall.minute();
    let over_midnight = start > end;
    let quiet = if over_midnight { minute >= start || minute < end } else { (start..end).contains(&minute) };
    if !quiet {
        return None;
    }

    let ends_tomorrow = over_midnight && minute >= start;
    let day = wall.date_naive() + Duration::days(i64::from(ends_tomorrow));
    let end_wall = day.and_hms_opt(end / 60, end % 60, 0)?;
    Some(instant(zone, end_wall).timestamp_micros())
}

/// Returns the zone of a person, or the tenant's when it is not known or no zone.
pub(crate) fn zone_of(timezone: Option<&str>, policy: &Policy) -> Tz {
    timezone.and_then(|name| name.parse().ok()).unwrap_or(policy.default_zone)
}

fn instant(zone: Tz, wall: NaiveDateTime) -> DateTime<Utc> {
    // No zone has ever skipped more than a day.
    for minutes in 0..=1_440 {
        match zone.from_local_datetime(&(wall + Duration::minutes(minutes))) {
            LocalResult::Single(time) | LocalResult::Ambiguous(time, _) => return time.with_timezone(&Utc),
            LocalResult::None => {}
        }
    }
    wall.and_utc()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::policy;

    fn policy(start: u32, end: u32) -> Policy {
        let used = policy::check(policy::first()).unwrap().1;
        Policy { quiet_start_minute: start, quiet_end_minute: end, ..used }
    }

    fn until(policy: &Policy, zone: &str, time: &str) -> Option<String> {
        let time_us = time.parse::<DateTime<Utc>>().unwrap().timestamp_micros();
        let end_us = quiet_until(policy, zone.parse().unwrap(), time_us)?;
        Some(DateTime::from_timestamp_micros(end_us).unwrap().to_rfc3339_opts(chrono::SecondsFormat::Secs, true))
    }

    #[test]
    fn quiet_hours_hold_on_the_wall_of_the_person_over_midnight() {
        let nightly = policy(21 * 60, 8 * 60);

        assert_eq!(until(&nightly, "Europe/Paris", "2025-06-10T19:30:00Z").unwrap(), "2025-06-11T06:00:00Z");
        assert_eq!(until(&nightly, "Europe/Paris", "2025-06-11T05:59:00Z").unwrap(), "2025-06-11T06:00:00Z");
        assert_eq!(until(&nightly, "Europe/Paris", "2025-06-11T06:00:00Z"), None);
        assert_eq!(until(&nightly, "America/New_York", "2025-06-10T19:30:00Z"), None);
        assert_eq!(until(&policy(60, 60), "Europe/Paris", "2025-06-10T23:30:00Z"), None);
        assert_eq!(until(&policy(12 * 60, 14 * 60), "UTC", "2025-06-10T13:00:00Z").unwrap(), "2025-06-10T14:00:00Z");
    }

    #[test]
    fn dst_paris() {
        let nightly = policy(21 * 60, 8 * 60);
        // The night of 29 to 30 March 2025 lacks an hour, that of 25 to 26 October 2025 has one more.
        assert_eq!(until(&nightly, "Europe/Paris", "2025-03-29T22:00:00Z").unwrap(), "2025-03-30T06:00:00Z");
        assert_eq!(until(&nightly, "Europe/Paris", "2025-10-25T21:00:00Z").unwrap(), "2025-10-26T07:00:00Z");

        // 2:30 does not exist on 30 March 2025; 2:30 comes twice on 26 October 2025.
        let until_half_past_two = policy(0, 150);
        assert_eq!(
            until(&until_half_past_two, "Europe/Paris", "2025-03-29T23:30:00Z").unwrap(),
            "2025-03-30T01:00:00Z"
        );
        assert_eq!(
            until(&until_half_past_two, "Europe/Paris", "2025-10-25T23:30:00Z").unwrap(),
            "2025-10-26T00:30:00Z"
        );
    }

    #[test]
    fn nobody_is_deferred_into_quiet_hours_anywhere_over_a_year() {
        let nightly = policy(21 * 60, 8 * 60);
        let start = "2025-01-01T00:07:00Z".parse::<DateTime<Utc>>().unwrap();
        for zone in chrono_tz::TZ_VARIANTS.iter().step_by(7) {
            for hours in (0..366 * 24).step_by(5) {
                let at_us = (start + Duration::hours(hours)).timestamp_micros();
                let Some(end_us) = quiet_until(&nightly, *zone, at_us) else { continue };
                assert!(end_us > at_us, "{zone}");
                assert_eq!(quiet_until(&nightly, *zone, end_us), None, "{zone} {at_us}");
            }
        }
    }
}

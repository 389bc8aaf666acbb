//! How often and when people may be contacted, by all campaigns together.

use chrono_tz::Tz;
use kit::{Error, Violations};
use prost_types::Duration;
use proto::campaign::v1::ContactPolicy;

use super::time::{DAY_US, duration_us};

const MOST_CAP: i32 = 10_000;
const LONGEST_WINDOW_US: i64 = 366 * DAY_US;

/// A checked contact policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Policy {
    /// Most messages per person and channel within the window; none when 0.
    pub(crate) cap_messages: usize,
    pub(crate) cap_window_us: i64,
    /// Minutes after midnight; equal when there are no quiet hours.
    pub(crate) quiet_start_minute: u32,
    pub(crate) quiet_end_minute: u32,
    pub(crate) default_zone: Tz,
}

/// Returns the policy of a tenant that has set none.
pub(crate) fn first() -> ContactPolicy {
    ContactPolicy {
        cap_messages: 3,
        cap_window: Some(Duration { seconds: 7 * 86_400, nanos: 0 }),
        quiet_start_minute: 21 * 60,
        quiet_end_minute: 8 * 60,
        default_timezone: "UTC".to_owned(),
    }
}

/// Fills what is unset and checks the rest. Returns the policy as it is to be kept, and as it is used.
pub(crate) fn check(mut policy: ContactPolicy) -> Result<(ContactPolicy, Policy), Error> {
    let window = *policy.cap_window.get_or_insert(Duration { seconds: 7 * 86_400, nanos: 0 });
    if policy.default_timezone.is_empty() {
        policy.default_timezone = "UTC".to_owned();
    }

    let mut wrong = Violations::new();
    wrong.check((0..=MOST_CAP).contains(&policy.cap_messages), "policy.cap_messages", "must be 0 to 10,000");
    let window_us = duration_us(&window);
    wrong.check((1..=LONGEST_WINDOW_US).contains(&window_us), "policy.cap_window", "must be above 0, at most 366 days");
    let minute = |minute: i32| u32::try_from(minute).ok().filter(|&minute| minute < 1_440);
    let (start, end) = (minute(policy.quiet_start_minute), minute(policy.quiet_end_minute));
    wrong.check(start.is_some(), "policy.quiet_start_minute", "must be 0 to 1,439");
    wrong.check(end.is_some(), "policy.quiet_end_minute", "must be 0 to 1,439");
    let zone = policy.default_timezone.parse::<Tz>().ok();
    wrong.check(zone.is_some(), "policy.default_timezone", "must be an IANA time zone, such as Europe/Paris");
    wrong.finish()?;

    let used = Policy {
        cap_messages: usize::try_from(policy.cap_messages).unwrap_or(0),
        cap_window_us: window_us,
        quiet_start_minute: start.unwrap_or(0),
        quiet_end_minute: end.unwrap_or(0),
        default_zone: zone.unwrap_or(Tz::UTC),
    };
    Ok((policy, used))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_wrong_field_is_named() {
        let policy = ContactPolicy {
            cap_messages: -1,
            cap_window: Some(Duration { seconds: 0, nanos: 0 }),
            quiet_start_minute: 1_440,
            quiet_end_minute: -5,
            default_timezone: "CEST+2".into(),
        };

        assert_eq!(check(policy).unwrap_err().violations.len(), 5);
        assert_eq!(check(first()).unwrap().0, first());
    }
}

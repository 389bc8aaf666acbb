//! How long to wait before a message is tried again.

use super::time::{HOUR_US, MINUTE_US};

const STEPS_US: [i64; 6] = [MINUTE_US, 5 * MINUTE_US, 15 * MINUTE_US, HOUR_US, 2 * HOUR_US, 4 * HOUR_US];

/// Returns the wait after the `attempts`-th failed attempt, in microseconds: 1 minute at first, 4 hours at most.
pub(crate) fn wait_us(attempts: i32) -> i64 {
    let failed = usize::try_from(attempts.max(1) - 1).unwrap_or(0);
    STEPS_US[failed.min(STEPS_US.len() - 1)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_a_limit() {
        assert_eq!(
            [wait_us(1), wait_us(2), wait_us(6), wait_us(100)],
            [MINUTE_US, 5 * MINUTE_US, 4 * HOUR_US, 4 * HOUR_US]
        );
    }
}

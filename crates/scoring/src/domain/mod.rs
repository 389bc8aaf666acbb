//! Rules and algorithms: pure, without I/O, SQL or protobuf.

pub(crate) mod entry;
pub(crate) mod event;
pub(crate) mod judge;
pub(crate) mod order;
pub(crate) mod rfm;
pub(crate) mod rule;
pub(crate) mod state;

#[cfg(test)]
mod order_free;

/// Microseconds in a day.
pub(crate) const DAY_US: i64 = 86_400_000_000;

/// Returns the whole days from `from_us` to `to_us`, rounded down; negative when `from_us` is later.
pub(crate) fn days_between(from_us: i64, to_us: i64) -> i64 {
    to_us.saturating_sub(from_us).div_euclid(DAY_US)
}

/// Returns the first midnight (UTC) after `now_us`.
pub(crate) fn next_midnight(now_us: i64) -> i64 {
    now_us.div_euclid(DAY_US).saturating_add(1).saturating_mul(DAY_US)
}

//! Rules and algorithms: pure, no I/O, no SQL, no protobuf.
//!
//! Two halves meet in the [`book::ItemBook`]: [`batch`] folds what people did into it, [`choose`] reads it to recommend.

pub(crate) mod batch;
#[cfg(test)]
mod batch_tests;
pub(crate) mod book;
pub(crate) mod catalogue;
pub(crate) mod category;
pub(crate) mod choose;
pub(crate) mod history;
pub(crate) mod item;
pub(crate) mod neighbours;
pub(crate) mod order;
pub(crate) mod profile;
pub(crate) mod signal;

/// Microseconds of one minute.
pub(crate) const MINUTE_US: i64 = 60_000_000;

/// Microseconds of one day.
pub(crate) const DAY_US: i64 = 24 * 60 * MINUTE_US;

/// Returns the UTC day of a time, as days since the Unix epoch.
pub(crate) fn day_of(time_us: i64) -> i32 {
    let day = time_us.div_euclid(DAY_US);
    day.clamp(i64::from(i32::MIN), i64::from(i32::MAX)) as i32
}

/// Returns a score to nine decimals: sums of the same parts taken in another order differ in their last bits, and that must not
/// decide which product comes first.
pub(crate) fn rounded(score: f64) -> f64 {
    (score * 1e9).round() / 1e9
}

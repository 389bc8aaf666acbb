//! The only SQL of scoring.

mod blob;
pub(crate) mod buyers;
pub(crate) mod orders;
pub(crate) mod profiles;
pub(crate) mod segments;
pub(crate) mod shards;

#[cfg(test)]
mod tests;

use store::Error;

/// Text of "everything after nothing" in keyset pages: no id sorts before it.
pub(crate) const BEFORE_ALL: &str = "";

/// Counts are stored as signed numbers and never come near the limit.
fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn unsigned(count: i64) -> u64 {
    u64::try_from(count).unwrap_or(0)
}

fn damaged(what: &str) -> Error {
    Error::Damaged(format!("stored {what} cannot be read"))
}

/// Appends `$n, $n, …)` to a query that ends with `IN (`.
macro_rules! push_list {
    ($query:expr, $values:expr) => {{
        let mut list = $query.separated(", ");
        for value in $values {
            list.push_bind(value.to_string());
        }
        $query.push(")");
    }};
}
use push_list;

//! The tables: the same on both engines.

use std::collections::BTreeSet;

const FILES: [(&str, &str); 1] = [(
    include_str!("../../migrations/sqlite/0001_campaign.sql"),
    include_str!("../../migrations/postgres/0001_campaign.sql"),
)];

#[test]
fn both_engines_have_the_same_tables_columns_and_indexes() {
    for (sqlite, postgres) in FILES {
        assert_eq!(shape(sqlite), shape(postgres));
    }
}

/// Every line without comments, spaces and the names of types.
fn shape(text: &str) -> BTreeSet<(usize, String)> {
    let replaced = text.replace(") STRICT;", ");").replace("INTEGER", "BIGINT").replace("BLOB", "BYTEA");
    let lines = replaced
        .lines()
        .filter(|line| !line.starts_with("--"))
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "));
    lines.enumerate().collect()
}

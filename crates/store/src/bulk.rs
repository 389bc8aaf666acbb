//! Sizes of statements that carry many rows.

/// Most parameters that one statement may bind: SQLite takes 32,766, PostgreSQL 65,535.
pub const MAX_PARAMETERS: usize = 30_000;

/// Returns how many rows of `columns` bound values fit into one multi-row statement; at least 1, at most 1,000.
///
/// The cap keeps the number of distinct statement texts, and the time one statement holds a connection, small.
pub fn rows_per_statement(columns: usize) -> usize {
    (MAX_PARAMETERS / columns.max(1)).clamp(1, 1_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_never_binds_too_many_parameters() {
        for columns in 1..200 {
            assert!(rows_per_statement(columns) * columns <= MAX_PARAMETERS);
        }
        assert_eq!(rows_per_statement(0), 1_000);
    }
}

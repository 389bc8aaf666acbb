//! Sizes of statements that carry many rows.

/// Most parameters that one statement may bind: SQLite takes 32,766, PostgreSQL 65,535.
const MAX_PARAMETERS: usize = 30_000;

/// The sizes that [`chunks`] cuts large sets of rows into, largest first.
const SIZES: [usize; 3] = [500, 100, 20];

/// Cuts rows of `columns` bound values into chunks, one statement each.
///
/// Every number of rows is a statement of its own, which the engines prepare and keep: with any number up to a
/// thousand, the kept ones would take gigabytes. So there are few sizes: 500, 100, 20, and any number below 20.
pub fn chunks<T>(rows: &[T], columns: usize) -> impl Iterator<Item = &[T]> {
    let most = rows_per_statement(columns);
    let mut rest = rows;
    std::iter::from_fn(move || {
        let fits = |size: &usize| *size <= rest.len().min(most);
        let size = SIZES.into_iter().find(fits).unwrap_or(rest.len().min(most));
        let (chunk, after) = rest.split_at(size);
        rest = after;
        (!chunk.is_empty()).then_some(chunk)
    })
}

/// Returns how many rows of `columns` bound values fit into one statement; at least 1, at most 1,000.
fn rows_per_statement(columns: usize) -> usize {
    (MAX_PARAMETERS / columns.max(1)).clamp(1, 1_000)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_statement_never_binds_too_many_parameters() {
        for columns in 1..200 {
            assert!(rows_per_statement(columns) * columns <= MAX_PARAMETERS);
        }
        assert_eq!(rows_per_statement(0), 1_000);
    }

    #[test]
    fn chunks_hold_every_row_once_in_few_sizes() {
        let rows: Vec<usize> = (0..1_999).collect();
        let mut sizes = BTreeSet::new();
        for count in 0..rows.len() {
            let chunks: Vec<&[usize]> = chunks(&rows[..count], 8).collect();
            assert!(chunks.iter().copied().flatten().eq(&rows[..count]));
            sizes.extend(chunks.iter().map(|chunk| chunk.len()));
        }
        assert!(sizes.len() <= 22, "{sizes:?}");

        let wide: Vec<usize> = chunks(&rows, 400).map(<[usize]>::len).collect();
        assert!(wide.iter().all(|size| size * 400 <= MAX_PARAMETERS));
        assert_eq!(wide.iter().sum::<usize>(), rows.len());
    }
}

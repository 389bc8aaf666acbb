//! Statements that write or read many rows at once.
//!
//! Their sizes are few, so that each text is prepared once and found again in the connection's statement cache.

use store::{Db, Tx};

/// Numbers of rows in one writing statement.
const WRITE_SIZES: [usize; 5] = [256, 64, 16, 4, 1];
/// Numbers of keys in one reading statement; a list is filled up to the next with its last key.
const READ_SIZES: [usize; 4] = [4, 32, 256, 1_000];

/// A statement that writes rows: `head`, as many groups of values as there are rows, `tail`.
pub(crate) struct RowStatement {
    pub(crate) head: &'static str,
    pub(crate) columns: usize,
    pub(crate) tail: &'static str,
}

impl RowStatement {
    /// Returns its text for `rows` rows.
    pub(crate) fn text(&self, rows: usize) -> String {
        let mut text = String::with_capacity(self.head.len() + self.tail.len() + rows * self.columns * 6);
        text.push_str(self.head);
        text.push_str(" VALUES ");
        for row in 0..rows {
            text.push_str(if row == 0 { "(" } else { ", (" });
            push_parameters(&mut text, row * self.columns + 1, self.columns);
            text.push(')');
        }
        text.push(' ');
        text.push_str(self.tail);
        text
    }
}

/// Returns `head` with a list of `keys` parameters, numbered from `first` on, in brackets behind it.
pub(crate) fn in_list(head: &str, first: usize, keys: usize) -> String {
    let mut text = String::with_capacity(head.len() + keys * 6);
    text.push_str(head);
    text.push_str(" (");
    push_parameters(&mut text, first, keys);
    text.push(')');
    text
}

fn push_parameters(text: &mut String, first: usize, count: usize) {
    use std::fmt::Write;

    for number in first..first + count {
        let comma = if number == first { "" } else { ", " };
        write!(text, "{comma}${number}").expect("writing into a string never fails");
    }
}

/// Cuts rows into pieces of the few sizes.
pub(crate) fn write_chunks<T>(rows: &[T]) -> Vec<&[T]> {
    let mut chunks = Vec::new();
    let mut rest = rows;
    while let Some(size) = WRITE_SIZES.into_iter().find(|size| *size <= rest.len()) {
        let (chunk, behind) = rest.split_at(size);
        chunks.push(chunk);
        rest = behind;
    }
    chunks
}

/// Cuts keys into lists of the few sizes.
pub(crate) fn read_chunks<T: Clone>(keys: &[T]) -> Vec<Vec<T>> {
    let largest = READ_SIZES[READ_SIZES.len() - 1];
    let mut lists = Vec::new();
    for chunk in keys.chunks(largest) {
        let size = READ_SIZES.into_iter().find(|size| *size >= chunk.len()).unwrap_or(largest);
        let mut list = chunk.to_vec();
        list.resize(size, chunk[chunk.len() - 1].clone());
        lists.push(list);
    }
    lists
}

/// Where to read: what was committed, or what an open transaction sees.
pub(crate) enum From<'f> {
    /// The committed state.
    Db(&'f Db),
    /// The state inside a transaction.
    Tx(&'f mut Tx),
}

/// Runs one reading expression against either side of either engine.
macro_rules! read {
    ($from:expr, $executor:ident => $body:expr) => {
        match $from {
            $crate::store::rows::From::Db(db) => ::store::on!(**db, $executor => $body),
            $crate::store::rows::From::Tx(tx) => ::store::within!(tx, connection => {
                let $executor = &mut *connection;
                $body
            }),
        }
    };
}

/// Runs a [`RowStatement`] over rows, as few statements as there can be.
macro_rules! write_rows {
    ($tx:expr, $statement:expr, $rows:expr, |$query:ident, $row:ident| $bind:expr) => {
        for chunk in $crate::store::rows::write_chunks($rows) {
            let text = $statement.text(chunk.len());
            ::store::within!($tx, connection => {
                let mut $query = ::sqlx::query(::sqlx::AssertSqlSafe(text));
                for $row in chunk {
                    $query = $bind;
                }
                $query.execute(&mut *connection).await.map(|_| ())
            })?;
        }
    };
}

pub(crate) use {read, write_rows};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_written_once_and_every_key_read() {
        let rows: Vec<usize> = (0..1_000).collect();

        let written: Vec<usize> = write_chunks(&rows).concat();
        let lists: Vec<usize> = read_chunks(&rows[..37]).concat();

        assert_eq!(written, rows);
        assert_eq!((lists.len(), lists[36], lists[255]), (256, 36, 36));
    }

    #[test]
    fn texts_number_their_parameters() {
        let statement = RowStatement { head: "INSERT INTO a (b, c)", columns: 2, tail: "ON CONFLICT DO NOTHING" };

        assert_eq!(statement.text(2), "INSERT INTO a (b, c) VALUES ($1, $2), ($3, $4) ON CONFLICT DO NOTHING");
        assert_eq!(
            in_list("SELECT a FROM b WHERE c = $1 AND d IN", 2, 3),
            "SELECT a FROM b WHERE c = $1 AND d IN ($2, $3, $4)"
        );
    }
}

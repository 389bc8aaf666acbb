use std::{
    collections::BTreeMap,
    fs::File,
    io::BufReader,
    path::{Path, PathBuf},
};

use serde_json::value::RawValue;

use super::{
    ImportError,
    cell::Cell,
    lines::{count_line_breaks, read_line},
    reader::Row,
};

/// The rows of a JSON Lines file: one object a line. A value that a line does not have is nothing.
pub(super) struct JsonRows {
    path: PathBuf,
    input: BufReader<File>,
    /// Each wanted column, as the names that lead to it.
    columns: Vec<Vec<String>>,
    total: u64,
    line: u64,
}

type Object<'a> = BTreeMap<std::borrow::Cow<'a, str>, &'a RawValue>;

impl JsonRows {
    pub(super) fn open(path: &Path, mut file: File, wanted: &[(&str, &str)]) -> Result<Self, ImportError> {
        let total = count_line_breaks(&mut file).map_err(|error| ImportError::unreadable(path, error))?;
        let columns = wanted.iter().map(|(_, column)| column.split('.').map(str::to_owned).collect()).collect();
        let input = BufReader::with_capacity(1 << 16, file);
        Ok(Self { path: path.to_owned(), input, columns, total, line: 0 })
    }

    /// Returns about how many rows the file has.
    pub(super) fn total(&self) -> u64 {
        self.total
    }

    /// Returns the next row; blank lines are none.
    pub(super) fn next(&mut self) -> Result<Option<Row>, ImportError> {
        loop {
            let read = read_line(&mut self.input).map_err(|error| ImportError::unreadable(&self.path, error))?;
            let Some(text) = read else { return Ok(None) };
            self.line += 1;
            let cells = match &text {
                Ok(text) if text.iter().all(u8::is_ascii_whitespace) => continue,
                Ok(text) => self.cells(text),
                Err(_) => Err("is longer than 1 MiB"),
            };
            return Ok(Some(Row { number: self.line, cells }));
        }
    }

    fn cells(&self, line: &[u8]) -> Result<Vec<Cell>, &'static str> {
        let text = std::str::from_utf8(line).map_err(|_| "is not UTF-8 text")?;
        let text = text.trim_start_matches('\u{feff}');
        let object: Object<'_> = serde_json::from_str(text).map_err(|_| "is not a JSON object")?;
        Ok(self.columns.iter().map(|names| find(&object, names)).collect())
    }
}

/// Follows names into objects. A name with dots that stands in the object itself goes before.
fn find(object: &Object<'_>, names: &[String]) -> Cell {
    let whole = if names.len() > 1 { object.get(names.join(".").as_str()) } else { None };
    if let Some(value) = whole {
        return cell(value);
    }
    match names {
        [] => Cell::Null,
        [last] => object.get(last.as_str()).map_or(Cell::Null, |value| cell(value)),
        [first, rest @ ..] => {
            let inner = object.get(first.as_str()).and_then(|value| serde_json::from_str(value.get()).ok());
            inner.map_or(Cell::Null, |inner: Object<'_>| find(&inner, rest))
        }
    }
}

/// Returns a value. Numbers keep their digits; an object or a list is its text.
fn cell(value: &RawValue) -> Cell {
    let text = value.get();
    match text.as_bytes().first() {
        Some(b'"') => serde_json::from_str(text).map_or(Cell::Null, Cell::Text),
        Some(b'n') | None => Cell::Null,
        Some(b'-' | b'0'..=b'9') => number(text),
        Some(_) => Cell::Text(text.to_owned()),
    }
}

fn number(text: &str) -> Cell {
    if let Ok(whole) = text.parse() {
        return Cell::Integer(whole);
    }
    let exact = text.split_once('.').and_then(|(units, fraction)| {
        let unscaled = format!("{units}{fraction}").parse().ok()?;
        Some(Cell::Decimal(unscaled, u32::try_from(fraction.len()).ok().filter(|decimals| *decimals <= 18)?))
    });
    exact.or_else(|| text.parse().ok().map(Cell::Float)).unwrap_or(Cell::Null)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(content: &str, wanted: &[&str]) -> Vec<Row> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rows.jsonl");
        std::fs::write(&path, content).unwrap();
        let wanted: Vec<_> = wanted.iter().map(|column| ("key", *column)).collect();
        let mut rows = JsonRows::open(&path, File::open(&path).unwrap(), &wanted).unwrap();
        std::iter::from_fn(|| rows.next().unwrap()).collect()
    }

    #[test]
    fn values_keep_their_digits_and_names_lead_into_objects() {
        let content =
            "{\"a\":19.99,\"b\":{\"c\":\"é\",\"d.e\":7}}\n\n{\"a\":-0.5e1,\"b\":[1]}\n{\"a\":true,\"b.c\":null}\n";
        let read = rows(content, &["a", "b.c", "b.d.e", "b"]);

        let cells: Vec<_> = read.iter().map(|row| row.cells.clone().unwrap()).collect();
        assert_eq!(read.iter().map(|row| row.number).collect::<Vec<_>>(), [1, 3, 4]);
        assert_eq!(cells[0][..3], [Cell::Decimal(1999, 2), Cell::Text("é".into()), Cell::Integer(7)]);
        assert_eq!(cells[1], [Cell::Float(-5.0), Cell::Null, Cell::Null, Cell::Text("[1]".into())]);
        assert_eq!(cells[2], [Cell::Text("true".into()), Cell::Null, Cell::Null, Cell::Null]);
    }

    #[test]
    fn what_is_no_object_is_a_row_that_says_so() {
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        let content = format!("[1]\n{{\"a\":\n{{\"a\":{deep}}}\n{{\"a\":1}}");

        let read = rows(&content, &["a"]);

        let whole: Vec<_> = read.iter().map(|row| row.cells.is_ok()).collect();
        assert_eq!((whole[0], whole[1], whole[3]), (false, false, true));
        assert_eq!(read.len(), 4);
    }
}

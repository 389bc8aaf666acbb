use std::{
    collections::VecDeque,
    fs::File,
    io::BufReader,
    path::{Path, PathBuf},
};

use super::{
    ImportError,
    cell::Cell,
    fields::{Extent, Fields},
    lines::{count_line_breaks, read_line},
    reader::{Row, find_columns},
};

/// Most lines that one record may span by quoted line breaks.
const MAX_RECORD_LINES: usize = 64;

/// The rows of a CSV file with a header line. A line that cannot be read is a row that says so; the rows after it are read.
pub(super) struct CsvRows {
    path: PathBuf,
    input: BufReader<File>,
    fields: Fields,
    columns: Vec<usize>,
    width: usize,
    total: u64,
    /// Lines read so far.
    line: u64,
    /// Lines that were read ahead, behind a quote that was never closed.
    ahead: VecDeque<Line>,
}

struct Line {
    number: u64,
    /// The line without its line break; `None` when it is too long.
    text: Option<Vec<u8>>,
}

impl CsvRows {
    /// Reads the header and finds the wanted columns.
    pub(super) fn open(
        path: &Path,
        mut file: File,
        delimiter: u8,
        wanted: &[(&str, &str)],
    ) -> Result<Self, ImportError> {
        let unreadable = |error| ImportError::unreadable(path, error);
        let line_breaks = count_line_breaks(&mut file).map_err(unreadable)?;
        let mut rows = Self {
            path: path.to_owned(),
            input: BufReader::with_capacity(1 << 16, file),
            fields: Fields::new(delimiter),
            columns: Vec::new(),
            width: 0,
            total: line_breaks.saturating_sub(1),
            line: 0,
            ahead: VecDeque::new(),
        };
        let header = rows.header()?;
        rows.columns = find_columns(wanted, &header)?;
        rows.width = header.len();
        Ok(rows)
    }

    /// Returns about how many rows the file has.
    pub(super) fn total(&self) -> u64 {
        self.total
    }

    /// Returns the next row; blank lines are none.
    pub(super) fn next(&mut self) -> Result<Option<Row>, ImportError> {
        loop {
            let Some(line) = self.next_line()? else { return Ok(None) };
            if line.text.as_ref().is_some_and(|text| text.iter().all(u8::is_ascii_whitespace)) {
                continue;
            }
            let number = line.number;
            let cells = self.record(line)?.and_then(|()| self.cells());
            return Ok(Some(Row { number, cells }));
        }
    }

    fn header(&mut self) -> Result<Vec<String>, ImportError> {
        let broken = |path: &Path, fault: &str| ImportError::broken(path, format!("its header line {fault}"));
        let Some(mut line) = self.next_line()? else {
            return Err(ImportError::broken(&self.path, "it is empty"));
        };
        if let Some(text) = &mut line.text
            && text.starts_with(b"\xEF\xBB\xBF")
        {
            text.drain(..3);
        }
        self.record(line)?.map_err(|fault| broken(&self.path, fault))?;
        let names: Result<Vec<_>, _> =
            (0..self.fields.len()).map(|index| std::str::from_utf8(self.fields.get(index))).collect();
        let Ok(names) = names else {
            return Err(broken(&self.path, "is not UTF-8 text"));
        };
        if names.iter().any(|name| name.contains('\0')) {
            return Err(broken(&self.path, "is not text in UTF-8 (UTF-16?)"));
        }
        Ok(names.into_iter().map(|name| name.trim().to_owned()).collect())
    }

    /// Splits the record that begins with `line`, with the lines it goes on in. Those are given back when its quote is never
    /// closed: most likely they are records of their own.
    fn record(&mut self, line: Line) -> Result<Result<(), &'static str>, ImportError> {
        self.fields.clear();
        let mut extent = match &line.text {
            Some(text) => self.fields.add(text),
            None => return Ok(Err("is longer than 1 MiB")),
        };
        let mut taken = Vec::new();
        while extent == Extent::Open {
            let next = if taken.len() < MAX_RECORD_LINES - 1 { self.next_line()? } else { None };
            let text = next.as_ref().and_then(|next| next.text.as_deref());
            extent = text.map_or(Extent::Malformed, |text| self.fields.add(text));
            taken.extend(next);
        }
        if extent == Extent::Complete {
            return Ok(Ok(()));
        }
        let fault =
            if taken.is_empty() { "has text behind a closing quote" } else { "opens a quote that is never closed" };
        taken.into_iter().rev().for_each(|line| self.ahead.push_front(line));
        Ok(Err(fault))
    }

    fn cells(&self) -> Result<Vec<Cell>, &'static str> {
        if self.fields.len() < self.width {
            return Err("has fewer fields than the header");
        }
        if self.fields.len() > self.width {
            return Err("has more fields than the header");
        }
        let cell = |&column: &usize| {
            let field = std::str::from_utf8(self.fields.get(column)).map_err(|_| "is not UTF-8 text")?;
            Ok(if field.is_empty() { Cell::Null } else { Cell::Text(field.to_owned()) })
        };
        self.columns.iter().map(cell).collect()
    }

    fn next_line(&mut self) -> Result<Option<Line>, ImportError> {
        if let Some(line) = self.ahead.pop_front() {
            return Ok(Some(line));
        }
        let text = read_line(&mut self.input).map_err(|error| ImportError::unreadable(&self.path, error))?;
        let Some(text) = text else { return Ok(None) };
        self.line += 1;
        Ok(Some(Line { number: self.line, text: text.ok() }))
    }
}

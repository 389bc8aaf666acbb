use std::{
    fs::File,
    io::{Read, Seek},
    path::Path,
};

use super::{
    ImportError,
    cell::Cell,
    csv::CsvRows,
    json_lines::JsonRows,
    mapping::{FileFormat, Format},
    parquet::ParquetRows,
};

/// One row of a file.
#[derive(Debug)]
pub(super) struct Row {
    /// Where it stands: the line of a CSV file (the header is line 1) or of JSON Lines, the row of a Parquet file (from 1).
    pub(super) number: u64,
    /// The wanted values in the order in which they were asked for, or what is wrong with the row.
    pub(super) cells: Result<Vec<Cell>, &'static str>,
}

/// The rows of a file, one after another.
pub(super) enum Rows {
    Csv(CsvRows),
    JsonLines(JsonRows),
    Parquet(Box<ParquetRows>),
}

impl Rows {
    /// Opens a file and finds the wanted columns in it. Each stands with the key of the mapping that names it.
    pub(super) fn open(path: &Path, format: &FileFormat, wanted: &[(&str, &str)]) -> Result<Self, ImportError> {
        let unreadable = |error| ImportError::unreadable(path, error);
        let mut file = File::open(path).map_err(unreadable)?;
        if !file.metadata().map_err(unreadable)?.is_file() {
            return Err(unreadable(std::io::Error::other("it is not a regular file")));
        }
        let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default().to_ascii_lowercase();
        let by_ending = match ending.as_str() {
            "csv" | "tsv" => Some(Format::Csv),
            "jsonl" | "ndjson" => Some(Format::JsonLines),
            "parquet" => Some(Format::Parquet),
            _ => None,
        };
        let Some(kind) = format.format.or(by_ending) else {
            return Err(ImportError::UnknownFormat { path: path.to_owned() });
        };

        if kind == Format::Parquet {
            return Ok(Self::Parquet(Box::new(ParquetRows::open(path, file, wanted)?)));
        }
        if is_parquet(&mut file).map_err(unreadable)? {
            return Err(ImportError::broken(path, "it is read as text but is a Parquet file"));
        }
        if kind == Format::JsonLines {
            return Ok(Self::JsonLines(JsonRows::open(path, file, wanted)?));
        }
        let delimiter = match format.delimiter {
            Some(delimiter) => u8::try_from(delimiter).expect("the mapping was checked: the delimiter is ASCII"),
            None if ending == "tsv" => b'\t',
            None => b',',
        };
        Ok(Self::Csv(CsvRows::open(path, file, delimiter, wanted)?))
    }

    /// Returns the next row.
    pub(super) fn next(&mut self) -> Result<Option<Row>, ImportError> {
        match self {
            Self::Csv(rows) => rows.next(),
            Self::JsonLines(rows) => rows.next(),
            Self::Parquet(rows) => rows.next(),
        }
    }

    /// Returns how many rows the file has; for text an estimate, by its line breaks.
    pub(super) fn total(&self) -> u64 {
        match self {
            Self::Csv(rows) => rows.total(),
            Self::JsonLines(rows) => rows.total(),
            Self::Parquet(rows) => rows.total(),
        }
    }
}

/// Finds each wanted column among those that the file has.
pub(super) fn find_columns(wanted: &[(&str, &str)], available: &[String]) -> Result<Vec<usize>, ImportError> {
    let found: Vec<_> = wanted.iter().map(|(_, name)| available.iter().position(|column| column == name)).collect();
    if found.iter().any(Option::is_none) {
        let missing = wanted.iter().zip(&found).filter(|(_, place)| place.is_none());
        return Err(ImportError::MissingColumns {
            missing: missing.map(|((key, name), _)| ((*key).to_owned(), (*name).to_owned())).collect(),
            available: available.to_vec(),
        });
    }
    for (key, name) in wanted {
        if available.iter().filter(|column| column == name).count() > 1 {
            let fault = "stands in the file more than once".to_owned();
            return Err(ImportError::UnusableColumn { key: (*key).into(), column: (*name).into(), fault });
        }
    }
    Ok(found.into_iter().flatten().collect())
}

fn is_parquet(file: &mut File) -> std::io::Result<bool> {
    let mut head = Vec::with_capacity(4);
    file.by_ref().take(4).read_to_end(&mut head)?;
    file.rewind()?;
    Ok(head == b"PAR1")
}

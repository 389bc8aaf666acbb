use std::{
    fs::File,
    io::BufWriter,
    path::{Path, PathBuf},
};

use super::{ImportError, ImportReport, Reason};

/// Counts what is rejected and writes it down as it happens: one line of CSV each, without any value but ids of orders.
#[derive(Debug)]
pub(super) struct Rejects {
    file: Option<(PathBuf, csv::Writer<BufWriter<File>>)>,
}

impl Rejects {
    /// Opens the file of rejected lines, if one is wanted. It replaces an older one; never the file that is read.
    /// The second column is called `what`: it names the thing that the line is about.
    pub(super) fn open(path: Option<&Path>, input: &Path, what: &str) -> Result<Self, ImportError> {
        let Some(path) = path else { return Ok(Self { file: None }) };
        let failed = |source| ImportError::Rejects { path: path.to_owned(), source };
        if path.canonicalize().is_ok_and(|path| input.canonicalize().is_ok_and(|input| input == path)) {
            return Err(failed(std::io::Error::other("it is the file that is read")));
        }
        let mut writer = csv::Writer::from_writer(BufWriter::new(File::create(path).map_err(failed)?));
        writer.write_record(["line", what, "reason", "detail"]).map_err(|error| failed(error.into()))?;
        Ok(Self { file: Some((path.to_owned(), writer)) })
    }

    /// Rejects one line.
    pub(super) fn line(
        &mut self,
        report: &mut ImportReport,
        number: u64,
        order_id: &str,
        reason: Reason,
        detail: &str,
    ) -> Result<(), ImportError> {
        *report.rejected.entry(reason).or_default() += 1;
        self.write(number, order_id, reason.name(), detail)
    }

    /// Notes an order that ingestion keeps as a dead letter; `number` is its first line.
    pub(super) fn quarantined(&mut self, number: u64, order_id: &str, detail: &str) -> Result<(), ImportError> {
        self.write(number, order_id, "quarantined", detail)
    }

    /// Makes sure that everything is in the file.
    pub(super) fn finish(&mut self) -> Result<(), ImportError> {
        let Some((path, writer)) = &mut self.file else { return Ok(()) };
        writer.flush().map_err(|source| ImportError::Rejects { path: path.clone(), source })
    }

    /// Writes down one line; `id` is the id of a thing, never of a person.
    pub(super) fn write(&mut self, number: u64, id: &str, reason: &str, detail: &str) -> Result<(), ImportError> {
        let Some((path, writer)) = &mut self.file else { return Ok(()) };
        let record = [&number.to_string(), id, reason, detail];
        writer.write_record(record).map_err(|error| ImportError::Rejects { path: path.clone(), source: error.into() })
    }
}

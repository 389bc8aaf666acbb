use std::path::Path;

use chrono::{DateTime, Utc};

use super::{
    ImportError, ImportReport, Mapping, Reason, line::LineReader, orders::Orders, reader::Rows, rejects::Rejects,
};

/// Rows between two words of progress.
const PROGRESS_ROWS: u64 = 4_096;

/// What a file holds.
pub(super) struct Contents {
    pub(super) orders: Orders,
    pub(super) rejects: Rejects,
    pub(super) report: ImportReport,
}

/// Reads a whole file. Tells `progress` how many rows are done and how many there are. Blocks.
pub(super) fn read(
    file: &Path,
    mapping: &Mapping,
    rejects: Option<&Path>,
    now: DateTime<Utc>,
    progress: impl Fn(u64, u64),
) -> Result<Contents, ImportError> {
    let mut rows = Rows::open(file, &mapping.file, &mapping.wanted_columns())?;
    let mut contents = Contents {
        orders: Orders::default(),
        rejects: Rejects::open(rejects, file, "order")?,
        report: ImportReport::default(),
    };
    let mut lines = LineReader::new(mapping);
    while let Some(row) = rows.next()? {
        if contents.report.lines.is_multiple_of(PROGRESS_ROWS) {
            progress(contents.report.lines, rows.total().max(contents.report.lines));
        }
        contents.report.lines += 1;
        let cells = match row.cells {
            Ok(cells) => cells,
            Err(fault) => {
                contents.reject(row.number, "", Reason::BrokenLine, fault)?;
                continue;
            }
        };
        let line = match lines.read(&cells) {
            Ok(line) => line,
            Err(rejected) => {
                contents.reject(row.number, &rejected.order_id, rejected.reason, "")?;
                continue;
            }
        };
        if let Err(reason) = contents.orders.add(row.number, &line, now) {
            contents.reject(row.number, &line.order_id, reason, "")?;
        }
    }
    progress(contents.report.lines, contents.report.lines);
    contents.orders.finish(&mut contents.report);
    Ok(contents)
}

impl Contents {
    fn reject(&mut self, number: u64, order_id: &str, reason: Reason, detail: &str) -> Result<(), ImportError> {
        self.rejects.line(&mut self.report, number, order_id, reason, detail)
    }
}

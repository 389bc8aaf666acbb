use std::path::{Path, PathBuf};

/// Why an import could not be carried out. Single bad lines are no such reason: see [`Reason`](super::Reason).
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The mapping is not one; correct it.
    #[error("mapping: {0}")]
    Mapping(String),
    /// A file cannot be read.
    #[error("cannot read {}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The ending of the file tells nothing and the mapping does not say either.
    #[error("{} ends neither in .csv, .tsv, .jsonl, .ndjson nor .parquet; say which it is with file.format in the mapping", path.display())]
    UnknownFormat {
        /// The file.
        path: PathBuf,
    },
    /// The mapping names columns that the file does not have.
    #[error("{}", missing_columns(missing, available))]
    MissingColumns {
        /// Key of the mapping and the column it names.
        missing: Vec<(String, String)>,
        /// The columns that the file has.
        available: Vec<String>,
    },
    /// A column cannot be used as a column of values.
    #[error("the column \"{column}\" ({key}) {fault}")]
    UnusableColumn {
        /// Key of the mapping.
        key: String,
        /// The column it names.
        column: String,
        /// What is wrong with it.
        fault: String,
    },
    /// What was acknowledged cannot be noted down for the next run.
    #[error("cannot note in {} how far the import is", path.display())]
    Progress {
        /// The file of progress.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The file is damaged, or not what it is said to be. Nothing of it was sent.
    #[error("{} is broken: {fault}", path.display())]
    Broken {
        /// The file.
        path: PathBuf,
        /// What is wrong, and in which row where that is known.
        fault: String,
    },
    /// The file of rejected lines cannot be written.
    #[error("cannot write the rejected lines to {}", path.display())]
    Rejects {
        /// The file of rejected lines.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// A service refused, or could not be reached for minutes. What was acknowledged is kept; begin the import again and
    /// nothing is added twice.
    #[error("{call} failed after {acknowledged} acknowledged {what}: {source}")]
    Call {
        /// The call.
        call: &'static str,
        /// What was acknowledged before, by number.
        acknowledged: u64,
        /// What is counted: "orders", "records".
        what: &'static str,
        /// What the service says.
        source: Box<kit::Error>,
    },
}

impl ImportError {
    /// Returns the error of a file that cannot be read.
    pub(super) fn unreadable(path: &Path, source: std::io::Error) -> Self {
        Self::Unreadable { path: path.to_owned(), source }
    }

    /// Returns the error of a damaged file.
    pub(super) fn broken(path: &Path, fault: impl Into<String>) -> Self {
        Self::Broken { path: path.to_owned(), fault: fault.into() }
    }
}

fn missing_columns(missing: &[(String, String)], available: &[String]) -> String {
    let missing: Vec<_> = missing.iter().map(|(key, column)| format!("\"{column}\" ({key})")).collect();
    let hint = if available.len() == 1 { "; is file.delimiter right?" } else { "" };
    format!("the file has no column {}; it has: {}{hint}", missing.join(", "), available.join(", "))
}

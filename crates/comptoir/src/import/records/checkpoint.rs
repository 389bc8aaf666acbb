//! How far an import came, for the next run.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::RecordImport;
use crate::import::ImportError;

/// What is noted down.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Noted {
    /// What is imported, how, and where to: another file or mapping begins anew.
    import: Uuid,
    /// The last row that was acknowledged with all before it.
    row: u64,
}

/// The file that notes it; nothing when none is wanted.
#[derive(Debug)]
pub(super) struct Checkpoint {
    path: Option<PathBuf>,
    import: Uuid,
}

impl Checkpoint {
    /// Returns the checkpoint of an import and the row up to which an earlier run sent everything.
    pub(super) fn open(import: &RecordImport) -> Result<(Self, u64), ImportError> {
        let found = fs::metadata(&import.file).map_err(|error| ImportError::unreadable(&import.file, error))?;
        let changed = found.modified().ok().and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok());
        let what = format!(
            "{} {} {} {} {:?} {:?}",
            import.kind.name(),
            import.source_id,
            import.destination,
            found.len(),
            changed,
            import.mapping
        );
        let checkpoint =
            Self { path: import.progress.clone(), import: Uuid::new_v5(&Uuid::NAMESPACE_OID, what.as_bytes()) };
        let noted = checkpoint.path.as_deref().and_then(read).filter(|noted| noted.import == checkpoint.import);
        Ok((checkpoint, noted.map_or(0, |noted| noted.row)))
    }

    /// Notes that everything up to a row was acknowledged.
    pub(super) fn note(&self, row: u64) -> Result<(), ImportError> {
        let Some(path) = &self.path else { return Ok(()) };
        let text = serde_json::to_string(&Noted { import: self.import, row }).expect("a number and an id are JSON");
        // Written beside and renamed: there is the old note or the new one.
        let mut fresh = path.clone().into_os_string();
        fresh.push(".new");
        let written = fs::write(&fresh, text).and_then(|()| fs::rename(&fresh, path));
        written.map_err(|source| ImportError::Progress { path: path.clone(), source })
    }

    /// Forgets: everything was sent.
    pub(super) fn finish(&self) -> Result<(), ImportError> {
        let Some(path) = &self.path else { return Ok(()) };
        match fs::remove_file(path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(ImportError::Progress { path: path.clone(), source: error })
            }
            _ => Ok(()),
        }
    }
}

/// A note that cannot be read is none: sending again adds nothing.
fn read(path: &Path) -> Option<Noted> {
    serde_json::from_str(&fs::read_to_string(path).ok()?).ok()
}

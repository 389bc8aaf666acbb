use std::{
    fs::{self, OpenOptions},
    io::Write,
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use kit::{Error, config::Secret};
use rand::distr::{Alphanumeric, SampleString};
use serde::{Deserialize, Serialize};

/// Name of the file in the data folder.
const FILE: &str = "secrets.toml";

/// Secrets that one installation draws for itself at its first start and keeps in its data folder, readable by its owner only.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Secrets {
    /// Signs the tokens between services.
    pub auth_secret: Secret,
    /// The operator's key: creates tenants and their first keys.
    pub operator_key: Secret,
    /// Signs the links in messages.
    pub link_secret: Secret,
    /// Hashes the addresses that must not be written to.
    pub suppression_secret: Secret,
}

/// The same in clear, for the one file that holds them.
#[derive(Serialize)]
struct Clear {
    auth_secret: String,
    operator_key: String,
    link_secret: String,
    suppression_secret: String,
}

impl Secrets {
    /// Reads the secrets of a data folder, or draws and writes them when it has none.
    pub fn open(data: &Path) -> Result<Self, Error> {
        let path = data.join(FILE);
        if !path.exists() {
            write(&path)?;
        }
        let text = fs::read_to_string(&path).map_err(|error| unusable(&path, error))?;
        toml::from_str(&text).map_err(|error| {
            // The parser quotes the line; a line of this file is a secret.
            Error::failed_precondition("SECRETS_UNREADABLE", format!("{} is not what was written", path.display()))
                .caused_by(error.message().to_owned())
        })
    }
}

fn write(path: &Path) -> Result<(), Error> {
    let draw = |head: &str| format!("{head}{}", Alphanumeric.sample_string(&mut rand::rng(), 43));
    let clear = Clear {
        auth_secret: draw(""),
        operator_key: draw("cop_"),
        link_secret: draw(""),
        suppression_secret: draw(""),
    };
    let text = toml::to_string(&clear).map_err(Error::internal)?;

    // Written beside and renamed: a crash never leaves half a file.
    let fresh = path.with_extension("new");
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&fresh)
        .map_err(|error| unusable(&fresh, error))?;
    file.write_all(text.as_bytes())
        .and_then(|()| file.sync_all())
        .and_then(|()| fs::rename(&fresh, path))
        .map_err(|error| unusable(path, error))
}

fn unusable(path: &Path, error: std::io::Error) -> Error {
    Error::failed_precondition("DATA_FOLDER_UNUSABLE", format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn secrets_are_drawn_once_and_kept_from_others() {
        let data = tempfile::tempdir().unwrap();

        let first = Secrets::open(data.path()).unwrap();
        let second = Secrets::open(data.path()).unwrap();

        assert_eq!(first.operator_key.expose(), second.operator_key.expose());
        assert_ne!(first.auth_secret.expose(), first.link_secret.expose());
        let mode = fs::metadata(data.path().join(FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_damaged_file_is_named_and_not_shown() {
        let data = tempfile::tempdir().unwrap();
        fs::write(data.path().join(FILE), "auth_secret = hunter2").unwrap();

        let error = Secrets::open(data.path()).unwrap_err();

        assert!(error.message.contains(FILE) && !error.message.contains("hunter2"));
    }
}

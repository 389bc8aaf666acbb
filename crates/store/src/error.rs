//! What can go wrong with a store, by what the caller should do about it.

use std::sync::Arc;
use std::time::Duration;

/// Why a store did not do what was asked.
///
/// It can be cloned, because one failed transaction may answer many who waited for it.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// The store cannot be used now: connection lost, disk full, busy, deadlock. Trying again may help; what was
    /// asked has either not happened or, if a commit was under way, may have.
    #[error("the store is unavailable")]
    Unavailable(#[source] Cause),
    /// More work waits than the configured bound; nothing was done. Try again later.
    #[error("the store is overloaded")]
    Overloaded,
    /// A unique value exists already, or another writer was there first; nothing was done.
    #[error("conflict with what is stored")]
    Conflict(#[source] Cause),
    /// The right to write was lost to another replica; nothing was done. Let go of the state it protected.
    #[error("fenced: {0}")]
    Fenced(String),
    /// Stored bytes are not what was written.
    #[error("damaged data: {0}")]
    Damaged(String),
    /// A bug or a database that is not what it should be; trying again does not help.
    #[error("the store failed")]
    Fatal(#[source] Cause),
}

/// The cause of an [`Error`], shared so that it can answer many.
pub type Cause = Arc<dyn std::error::Error + Send + Sync + 'static>;

impl Error {
    /// Returns a fatal error with a message of its own.
    pub fn fatal(message: impl Into<String>) -> Self {
        Self::Fatal(Arc::new(Message(message.into())))
    }

    /// Returns an error that a later attempt may not meet.
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::Unavailable(Arc::new(Message(message.into())))
    }

    /// Whether the same attempt may succeed later.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Unavailable(_) | Self::Overloaded)
    }
}

#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Message(String);

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        match kind(&error) {
            Kind::Unavailable => Self::Unavailable(Arc::new(error)),
            Kind::Conflict => Self::Conflict(Arc::new(error)),
            Kind::Fatal => Self::Fatal(Arc::new(error)),
        }
    }
}

impl From<Error> for kit::Error {
    fn from(error: Error) -> Self {
        /// Long enough for a lock to pass or a connection to come back.
        const WAIT: Duration = Duration::from_secs(1);

        let public = match &error {
            Error::Unavailable(_) => {
                Self::unavailable("STORE_UNAVAILABLE", "the store is unavailable").retry_after(WAIT)
            }
            Error::Overloaded => {
                Self::unavailable("STORE_OVERLOADED", "too much is waiting to be stored").retry_after(WAIT)
            }
            Error::Conflict(_) => Self::aborted("STORE_CONFLICT", "somebody else wrote the same meanwhile"),
            Error::Fenced(_) => Self::aborted("STORE_FENCED", "another replica has taken over"),
            Error::Damaged(_) | Error::Fatal(_) => return Self::internal(error),
        };
        public.caused_by(error)
    }
}

impl From<sqlx::migrate::MigrateError> for Error {
    fn from(error: sqlx::migrate::MigrateError) -> Self {
        match error {
            sqlx::migrate::MigrateError::Execute(error) => error.into(),
            error => Self::Fatal(Arc::new(error)),
        }
    }
}

enum Kind {
    Unavailable,
    Conflict,
    Fatal,
}

fn kind(error: &sqlx::Error) -> Kind {
    match error {
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed
        | sqlx::Error::BeginFailed => Kind::Unavailable,
        sqlx::Error::Database(database) if database.is_unique_violation() => Kind::Conflict,
        sqlx::Error::Database(database) => match database.code() {
            Some(code) if is_transient_code(&code) => Kind::Unavailable,
            _ => Kind::Fatal,
        },
        _ => Kind::Fatal,
    }
}

/// SQLite codes are numbers (extended, the primary one in the low byte), PostgreSQL codes are five characters.
fn is_transient_code(code: &str) -> bool {
    const SQLITE_BUSY: u32 = 5;
    const SQLITE_LOCKED: u32 = 6;
    const SQLITE_IOERR: u32 = 10;
    const SQLITE_FULL: u32 = 13;
    const SQLITE_CANTOPEN: u32 = 14;

    if code.len() < 5 {
        return code.parse::<u32>().is_ok_and(|code| {
            matches!(code & 0xff, SQLITE_BUSY | SQLITE_LOCKED | SQLITE_IOERR | SQLITE_FULL | SQLITE_CANTOPEN)
        });
    }
    let serialization_failure_or_deadlock = matches!(code, "40001" | "40P01");
    let lock_not_available = code == "55P03";
    let connection_resources_or_operator = ["08", "53", "57P", "58"].iter().any(|class| code.starts_with(class));
    let read_only_after_failover = code == "25006";
    serialization_failure_or_deadlock
        || lock_not_available
        || connection_resources_or_operator
        || read_only_after_failover
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_that_pass_are_told_from_codes_that_stay() {
        for transient in ["5", "517", "13", "778", "40P01", "53300", "57P01", "08006"] {
            assert!(is_transient_code(transient), "{transient}");
        }
        for lasting in ["1", "19", "787", "42P01", "23502", "22P02"] {
            assert!(!is_transient_code(lasting), "{lasting}");
        }
    }
}

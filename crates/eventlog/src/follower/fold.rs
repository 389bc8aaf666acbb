//! What a service does with the records that it follows.

use std::error::Error as StdError;
use std::fmt;
use std::future::Future;

use store::Tx;

use super::Unit;
use crate::record::LogRecord;

/// Folds the records of one unit into the follower's database.
///
/// There is one instance per unit that this replica owns, called by one task, so it may keep the unit's hot state in
/// memory as long as the state follows the transactions: see [`Fold::rolled_back`].
pub trait Fold: Send + 'static {
    /// Writes the effects of `records`, which are in the order of their partitions.
    ///
    /// The cursor moves in the same transaction. An error undoes the batch, which comes again after a pause: a record
    /// that can never be folded must be set aside with [`crate::dead_letter`] instead.
    fn apply(&mut self, tx: &mut Tx, records: &[LogRecord]) -> impl Future<Output = Result<(), FoldError>> + Send;

    /// Called after the commit: what was written is durable, caches may show it.
    fn committed(&mut self) {}

    /// Called when the transaction was undone: what it changed in memory must be undone too. The batch comes again.
    ///
    /// Where a commit has an unknown outcome the instance is dropped instead, and another one opened.
    fn rolled_back(&mut self) {}
}

/// Makes the [`Fold`] of a unit when this replica has become its owner.
pub trait FoldFactory: Send + Sync + 'static {
    /// What it makes.
    type Fold: Fold;

    /// Opens the state of `unit`; nobody else owns it from now on.
    fn open(&self, unit: &Unit) -> impl Future<Output = Result<Self::Fold, FoldError>> + Send;
}

/// Why a batch could not be folded; it comes again after a pause. Made from any error with `?`.
pub struct FoldError(Box<dyn StdError + Send + Sync + 'static>);

impl FoldError {
    /// Returns the cause.
    pub fn cause(&self) -> &(dyn StdError + Send + Sync + 'static) {
        self.0.as_ref()
    }

    /// Whether the follower's own database is at fault: then every unit has to wait, not only this one.
    pub(crate) fn is_store_unavailable(&self) -> bool {
        self.0.downcast_ref::<store::Error>().is_some_and(store::Error::is_transient)
    }
}

impl<E: Into<Box<dyn StdError + Send + Sync + 'static>>> From<E> for FoldError {
    fn from(error: E) -> Self {
        let cause: Box<dyn StdError + Send + Sync> = error.into();
        match cause.downcast::<sqlx::Error>() {
            Ok(error) => Self(Box::new(store::Error::from(*error))),
            Err(cause) => Self(cause),
        }
    }
}

impl fmt::Display for FoldError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, formatter)
    }
}

impl fmt::Debug for FoldError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, formatter)
    }
}

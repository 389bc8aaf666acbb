//! Records that a follower could not fold: set aside, so that the rest goes on.

use kit::TenantId;
use store::{Db, Error, Tx};

use crate::record::LogRecord;
use crate::store::dead_letters::{self, DeadLetter, DeadLetterKey};

/// Sets `record` aside in the transaction of its batch, so that it is kept exactly when the batch is.
///
/// `follower` and `log` are the names in the [`crate::FollowerOptions`]. The reason must not hold personal data.
pub async fn dead_letter(
    tx: &mut Tx,
    follower: &str,
    log: &str,
    record: &LogRecord,
    reason: &str,
) -> Result<(), Error> {
    tracing::warn!(
        log.follower = follower,
        log.name = log,
        log.partition = record.partition,
        log.offset = record.offset,
        "set a record aside: {reason}"
    );
    dead_letters::insert(tx, follower, log, record, reason).await
}

/// Lists what was set aside of `tenant`, after the given place, at most `limit`.
pub async fn dead_letters(
    db: &Db,
    tenant: &TenantId,
    after: Option<&DeadLetterKey>,
    limit: u32,
) -> Result<Vec<DeadLetter>, Error> {
    dead_letters::list(db, tenant, after, limit).await
}

/// Removes a record that was set aside; returns whether it was there.
pub async fn remove_dead_letter(tx: &mut Tx, tenant: &TenantId, key: &DeadLetterKey) -> Result<bool, Error> {
    dead_letters::remove(tx, tenant, key).await
}

/// Removes all that was set aside of `tenant`.
pub async fn remove_dead_letters_of(tx: &mut Tx, tenant: &TenantId) -> Result<(), Error> {
    dead_letters::remove_tenant(tx, tenant).await
}

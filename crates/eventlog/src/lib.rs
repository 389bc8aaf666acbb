//! The log: an append-only, partitioned, durable record of what happened, in the publishing service's own database.
//!
//! This crate owns both ends. A publisher appends with [`EventLog::append`], inside the transaction that changes its
//! own state (outbox), and mounts [`EventLog::service`]. A follower gives [`Follower`] a [`Fold`]: the runtime shares
//! the units of work among replicas by leases, reads from the publisher, and has each batch folded and its cursor
//! moved in one transaction. [`GroupCommit`] lets one transaction serve everybody who waits.
//!
//! It promises: offsets of a partition have no gaps and become visible in order; what is appended is there when the
//! transaction commits and not otherwise; the effects of a record are in the follower's database exactly once, through
//! crashes and replicas that wake from the dead (a lost lease cannot commit); a slow follower slows its stream and
//! nothing grows; damaged bytes are told, never folded. What it does not promise: that followers keep up. Their lag is
//! known at the publisher ([`EventLog::lags`], metric `comptoir_log_lag_records`).
//!
//! To publish a log: migrate [`MIGRATIONS`], make an [`EventLog`], append, mount its service. To follow one: migrate
//! [`MIGRATIONS`], write a [`Fold`] and its [`FoldFactory`], spawn a [`Follower`]. To add something to every record:
//! add a field to `comptoir.log.v1.Record`; stored batches need no migration.

mod batch;
mod dead_letter;
pub mod follower;
mod group_commit;
mod grpc;
mod heads;
mod log;
mod measure;
mod recent;
mod record;
mod retention;
mod store;
mod watch;

pub use crate::dead_letter::{dead_letter, dead_letters, remove_dead_letter, remove_dead_letters_of};
pub use crate::follower::{Fold, FoldError, FoldFactory, Follower, FollowerHandle, FollowerOptions, Unit, UnitKind};
pub use crate::group_commit::{GroupCommit, GroupCommitOptions, Handler, Lane, Room, SIDE_SHARE};
pub use crate::grpc::LogRpc;
pub use crate::log::{EventLog, LogOptions};
pub use crate::record::{LogRecord, PartitionId, Record};
pub use crate::retention::{Retained, Retention, RetentionConfig};
pub use crate::store::dead_letters::{DeadLetter, DeadLetterKey};
pub use crate::store::followers::Lag;

/// The tables of logs and followers; migrated beside the service's own.
pub static MIGRATIONS: ::store::Migrations = ::store::migrations!("eventlog");

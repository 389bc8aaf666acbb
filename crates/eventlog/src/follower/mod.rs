//! The follower's end: fold the records of another service's log into this service's database, each once.

mod fold;
mod incoming;
mod lane;
mod leasing;
mod positions;
mod supervisor;
mod work;

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use kit::channel::Channel;
use kit::metrics::Metrics;
use kit::server::Readiness;
use kit::shutdown::Shutdown;
use kit::{Clock, TenantId};
use store::Db;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

pub use self::fold::{Fold, FoldError, FoldFactory};
pub use self::positions::FollowerHandle;
use self::positions::Positions;
pub use self::supervisor::LaneEnded;
use crate::measure::FollowerMetrics;
use crate::record::PartitionId;
use crate::store::leases::Scope;

/// What one owner folds at a time: everything of a tenant, or one of its partitions.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Unit {
    /// The tenant.
    pub tenant: TenantId,
    /// The partition; none where the unit is the whole tenant.
    pub partition: Option<u32>,
}

impl fmt::Display for Unit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.partition {
            Some(partition) => write!(formatter, "tenant {} partition {partition}", self.tenant),
            None => write!(formatter, "tenant {}", self.tenant),
        }
    }
}

/// How the work is cut into units.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnitKind {
    /// One owner per tenant: for state that spans partitions.
    Tenant,
    /// One owner per partition of a tenant: for state of one key.
    Partition,
}

impl UnitKind {
    fn of(self, partition: &PartitionId) -> Unit {
        let number = match self {
            Self::Tenant => None,
            Self::Partition => Some(partition.partition),
        };
        Unit { tenant: partition.tenant.clone(), partition: number }
    }
}

/// How to follow a log.
#[derive(Clone)]
pub struct FollowerOptions {
    /// Names the follower, the same in all its replicas; its cursors are kept under it.
    pub name: &'static str,
    /// Names the log that is followed.
    pub log: &'static str,
    /// How the work is cut.
    pub unit: UnitKind,
    /// The follower's own database, in which [`crate::MIGRATIONS`] have been applied.
    pub db: Db,
    /// A channel to the `LogService` of the publisher.
    pub source: Channel,
    /// The injected clock, to measure the age of records. Leases and pauses are in real time.
    pub clock: Clock,
    /// Records after which a batch is full; it may hold up to a stored batch (1,000) more. Default 2,000.
    pub batch: usize,
    /// Batches folded side by side. Default 1 on SQLite, which has one writer, 4 on PostgreSQL.
    pub lanes: usize,
    /// Time without a sign of life after which other replicas take a replica's units over. Default 6 s.
    pub lease: Duration,
}

impl FollowerOptions {
    /// Returns the usual options.
    pub fn new(name: &'static str, log: &'static str, unit: UnitKind, db: Db, source: Channel, clock: Clock) -> Self {
        let lanes = match db {
            Db::Sqlite(_) => 1,
            Db::Postgres(_) => 4,
        };
        Self { name, log, unit, db, source, clock, batch: 2_000, lanes, lease: Duration::from_secs(6) }
    }
}

/// A replica of a follower, ready to run.
pub struct Follower<F: FoldFactory> {
    options: FollowerOptions,
    factory: F,
}

/// What the parts of a running follower share.
struct Shared {
    options: FollowerOptions,
    scope: Scope,
    positions: Arc<Positions>,
    metrics: FollowerMetrics,
}

impl<F: FoldFactory> Follower<F> {
    /// Returns a follower that folds what `factory` opens.
    pub fn new(options: FollowerOptions, factory: F) -> Self {
        Self { options, factory }
    }

    /// Runs it until shutdown, when it finishes its batches and gives its units up.
    ///
    /// Counts as ready when it has reached the publisher and its own database once.
    pub fn spawn(self, shutdown: &Shutdown, readiness: &Readiness, metrics: &Metrics) -> FollowerHandle {
        let name = self.task_name();
        let (handle, task) = self.into_task(readiness, metrics, shutdown.token.clone());
        shutdown.spawn(name, task);
        handle
    }

    /// Returns the task that runs it until `ending`, for a caller that wants to own the task.
    ///
    /// Dropping the task is like a crash: nothing half done is committed, and the units are free again when the
    /// lease has run out.
    pub fn into_task(
        self,
        readiness: &Readiness,
        metrics: &Metrics,
        ending: CancellationToken,
    ) -> (FollowerHandle, impl Future<Output = Result<(), LaneEnded>> + Send + 'static) {
        let ready = readiness.register(self.task_name());
        let positions = Arc::new(Positions::default());
        let shared = Arc::new(Shared {
            scope: Scope {
                follower: self.options.name.to_owned(),
                log: self.options.log.to_owned(),
                owner: Uuid::now_v7().to_string(),
            },
            positions: Arc::clone(&positions),
            metrics: FollowerMetrics::new(metrics, self.options.log, self.options.name),
            options: self.options,
        });
        let task = supervisor::run(shared, Arc::new(self.factory), ready, ending);
        (FollowerHandle::new(positions), task)
    }

    fn task_name(&self) -> String {
        format!("follower {} of {}", self.options.name, self.options.log)
    }
}

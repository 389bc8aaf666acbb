//! What every RPC of this service works with.

use std::sync::Arc;
use std::time::Duration;

use eventlog::EventLog;
use kit::server::BodyRoom;
use kit::{Clock, TenantId};
use store::Db;

use crate::directory::Directory;
use crate::intake::{Intake, LaneKeeper, Source, Tail};
use crate::metrics::IntakeMetrics;
use crate::quotas::Quotas;
use crate::seal::Sealer;
use crate::window::Merger;

/// The parts that the RPCs share.
pub(crate) struct App {
    pub(crate) db: Db,
    pub(crate) clock: Clock,
    pub(crate) directory: Directory,
    pub(crate) intake: Intake,
    pub(crate) metrics: IntakeMetrics,
    pub(crate) sealer: Arc<Sealer>,
    pub(crate) lane_keeper: LaneKeeper,
    pub(crate) merger: Merger,
    pub(crate) log: EventLog,
    pub(crate) tail: Tail,
    pub(crate) quotas: Quotas,
    /// Room for what is received, until it is answered.
    pub(crate) receiving: BodyRoom,
    /// How long a transaction may take before the store counts as slow.
    pub(crate) slow_store: Duration,
    /// How long a dead letter is kept, in microseconds; `None` for ever.
    pub(crate) dead_letter_life_us: Option<i64>,
}

impl App {
    /// Returns a source of the tenant. `NOT_FOUND` when it has none of this id.
    pub(crate) async fn source(&self, tenant: &TenantId, source_id: &str) -> Result<Source, kit::Error> {
        let found = self.directory.find(tenant, source_id).await?;
        found.ok_or_else(source_not_found)
    }
}

pub(crate) fn source_not_found() -> kit::Error {
    kit::Error::not_found("SOURCE_NOT_FOUND", "the tenant has no such source")
}

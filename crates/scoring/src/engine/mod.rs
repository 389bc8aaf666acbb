//! What keeps people's state, judges them, and publishes what comes of it.
//!
//! People are changed from two sides: by the follower as events come, and by the [`keeper`] as time passes, rules
//! change and cuts move. Both do so as [`work`] on one shard, under the shard's lock.

mod bench;
mod cache;
pub(crate) mod keeper;
mod publish;
pub(crate) mod ranks;
pub(crate) mod work;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use ::store::{Db, Error};
use eventlog::EventLog;
use kit::{Clock, TenantId};
use tokio::sync::Notify;

use self::bench::Benches;
pub(crate) use self::bench::{MAX_SEGMENTS, TenantBench};
use self::cache::Cache;
use self::ranks::Ranks;

/// What all parts of the service share. Cloning is cheap.
#[derive(Clone)]
pub(crate) struct Engine(Arc<Parts>);

/// The parts of an [`Engine`].
pub(crate) struct Parts {
    /// The service's own database.
    pub(crate) db: Db,
    /// The injected clock.
    pub(crate) clock: Clock,
    /// The score log.
    pub(crate) scores: EventLog,
    /// Live RFM cuts, for reads.
    pub(crate) ranks: Ranks,
    cache: Cache,
    benches: Benches,
    /// When the keeper next looks at who is due.
    next_look_us: AtomicI64,
    wake: Notify,
}

impl std::ops::Deref for Engine {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

impl Engine {
    /// Returns the engine; `shard_people` is how many people of a partition are kept in memory.
    pub(crate) fn new(db: Db, clock: Clock, scores: EventLog, shard_people: usize) -> Self {
        Self(Arc::new(Parts {
            db,
            clock,
            scores,
            ranks: Ranks::default(),
            cache: Cache::new(shard_people),
            benches: Benches::default(),
            next_look_us: AtomicI64::new(i64::MAX),
            wake: Notify::new(),
        }))
    }

    /// Returns by what the people of a tenant are judged, as committed.
    pub(crate) async fn bench(&self, tenant: &TenantId) -> Result<TenantBench, Error> {
        self.benches.committed(&self.db, tenant).await
    }

    /// Has the keeper look at what there is to do.
    pub(crate) fn wake_keeper(&self) {
        self.wake.notify_one();
    }

    /// Tells that somebody is due, perhaps before the keeper meant to look.
    fn due_at(&self, due_us: Option<i64>) {
        if due_us.is_some_and(|due_us| due_us < self.next_look_us.load(Ordering::Acquire)) {
            self.wake_keeper();
        }
    }
}

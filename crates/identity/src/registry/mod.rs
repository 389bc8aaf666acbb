//! Whoever writes a tenant's people: the follower with its batches, and the RPCs that decide.
//!
//! All of them take the tenant's row first ([`Registry::begin`]), in the transaction that holds what they write. So there
//! is one writer at a time, however many replicas there are, and no need to ask whose lease the tenant is. The row
//! counts the transactions; the follower, who keeps components in memory from batch to batch, sees by the count whether
//! anybody else wrote in between, and then forgets what it kept.

mod decide;
mod fold;
mod move_events;
mod publish;

use std::{collections::BTreeSet, sync::Arc};

use eventlog::EventLog;
use kit::{Clock, TenantId};
use store::{Db, Error, Tx};
use uuid::{NoContext, Timestamp, Uuid};

pub(crate) use self::decide::Separated;
use crate::{
    domain::{graph::Graph, identifier::Key, policy::Policy, rules::Rules},
    store::{self as sql, rows::From},
};

/// What every writer and reader of identity uses. Cloning shares it.
#[derive(Clone)]
pub(crate) struct Shared {
    pub(crate) db: Db,
    /// The profile log.
    pub(crate) log: EventLog,
    pub(crate) clock: Clock,
    pub(crate) rules: Arc<Rules>,
    /// Most components that a tenant's owner keeps in memory.
    pub(crate) cached_components: usize,
}

/// One tenant's people, as far as they are in memory.
pub(crate) struct Registry {
    shared: Shared,
    tenant: TenantId,
    graph: Graph,
    policy: Policy,
    /// Version of the tenant's row that `graph` and `policy` agree with.
    version: i64,
    last_change: i64,
}

impl Registry {
    /// Returns the registry of `tenant`, with nothing in memory.
    pub(crate) fn new(shared: Shared, tenant: TenantId) -> Self {
        Self { shared, tenant, graph: Graph::default(), policy: Policy::default(), version: 0, last_change: 0 }
    }

    /// Takes the tenant's row, and forgets what is in memory if anybody else wrote since this registry did.
    async fn begin(&mut self, tx: &mut Tx) -> Result<(), Error> {
        let row = sql::lock(tx, &self.tenant).await?;
        let alone = self.version != 0 && row.version == self.version + 1;
        if !alone {
            self.graph = Graph::default();
            let (separations, overrides) = sql::load_decisions(From::Tx(tx), &self.tenant).await?;
            self.policy = Policy { rules: Arc::clone(&self.shared.rules), separations, overrides };
        }
        self.version = row.version;
        self.last_change = row.last_change;
        self.graph.next_component = row.last_component;
        Ok(())
    }

    /// Notes that the transaction was committed.
    pub(crate) fn committed(&mut self) {
        self.graph.saved(self.shared.cached_components);
    }

    /// Forgets everything, as the transaction was undone.
    pub(crate) fn rolled_back(&mut self) {
        self.version = 0;
        self.graph = Graph::default();
    }

    /// Brings the components of identifiers into memory.
    async fn load(&mut self, tx: &mut Tx, keys: Vec<Key>) -> Result<(), Error> {
        let missing = self.graph.missing(keys);
        if missing.is_empty() {
            return Ok(());
        }
        let homes = sql::find_homes(From::Tx(tx), &self.tenant, &missing).await?;
        let absent: BTreeSet<i64> =
            homes.into_iter().map(|(_, component)| component).filter(|id| !self.graph.holds(*id)).collect();
        let absent: Vec<i64> = absent.into_iter().collect();
        for component in sql::load_components(From::Tx(tx), &self.tenant, &absent).await? {
            self.graph.load(component);
        }
        Ok(())
    }
}

/// Draws profile ids: UUIDv7 by the injected clock, so that ids sort by when people were first heard of.
fn minter(clock: &Clock) -> impl FnMut() -> Uuid + Send + use<> {
    let now_us = clock.now_us().max(0) as u64;
    move || {
        let seconds = now_us / 1_000_000;
        let nanos = (now_us % 1_000_000) as u32 * 1_000;
        Uuid::new_v7(Timestamp::from_unix(NoContext, seconds, nanos))
    }
}

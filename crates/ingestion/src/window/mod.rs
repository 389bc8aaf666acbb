//! The deduplication window: which messages of a tenant were taken lately, exactly.
//!
//! Hashes of message ids come in no order. In a table with a row for each, every one of them changes a page somewhere
//! else: at 10^8 rows, 8 KiB written for 16 bytes. So they are kept as a log-structured merge tree (O'Neil et al.,
//! "The log-structured merge-tree", 1996), in tables of the same database:
//!
//! - A transaction writes what it took as **one batch**, in the transaction that appends the events. It holds the row of
//!   the tenant's head from before it asks until it ends, so replicas take turns, and each reads first what others wrote.
//! - In the background batches are merged into **runs** of sorted blocks, and runs into larger runs
//!   ([`merger`]): written once for each level, one block after another.
//! - Each replica keeps in memory the hashes that are in no run yet, and of each run an **index** of 2.4 bytes a message
//!   ([`index`]). It says of nearly every new message that it is new, and of any other which block to look into. What
//!   the store holds decides; memory only spares asking.
//!
//! Nothing in memory is ahead of the store: what a transaction took is added once it is committed, and one whose fate is
//! unknown is read again.

mod entries;
mod index;
mod merger;
#[cfg(test)]
mod tests;
mod view;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::BuildHasherDefault;
use std::sync::Arc;

use kit::TenantId;
use store::{Error, Tx};

use self::index::RunIndex;
use self::merger::Shared;
pub use self::merger::{Merger, Tuning};
use self::view::{Even, Known, Run, View};
use crate::domain::finish::MessageHash;
use crate::store::seen::runs::{self, State};
use crate::store::seen::{self, Batch, Head};

/// Hashes of messages.
pub(crate) type Hashes = HashSet<MessageHash, BuildHasherDefault<Even>>;

/// Batches read at once.
const BATCHES_AT_ONCE: i64 = 256;

/// Tells new messages from repetitions, one transaction after another.
pub struct Window {
    shared: Arc<Shared>,
    views: HashMap<TenantId, View>,
    /// What the open transaction wrote.
    written: Vec<(TenantId, Batch)>,
    uses: u64,
}

impl Window {
    /// Returns the window of a database, and what merges it in the background.
    pub fn new(db: store::Db, tuning: Tuning) -> (Self, Merger) {
        let shared = Arc::new(Shared::new(tuning));
        let merger = Merger::new(db, Arc::clone(&shared));
        (Self { shared, views: HashMap::new(), written: Vec::new(), uses: 0 }, merger)
    }

    /// Records messages, each given once, and returns those that were not seen since `cutoff_us`.
    ///
    /// Exact: it stands or falls with the transaction, and transactions of one tenant wait for each other from here on.
    /// Call it for tenants in one order, so that they cannot wait in a circle.
    pub(crate) async fn insert_new(
        &mut self,
        tx: &mut Tx,
        tenant: &TenantId,
        hashes: &[MessageHash],
        (now_us, cutoff_us): (i64, i64),
    ) -> Result<Hashes, Error> {
        let head = seen::take_seq(tx, tenant).await?;
        self.uses += 1;
        let view = match self.views.get_mut(tenant) {
            Some(view) => view,
            None => self.views.entry(tenant.clone()).or_default(),
        };
        view.last_use = self.uses;
        if let Err(error) = catch_up(view, tx, tenant, head, &self.shared).await {
            // Half of a view would be taken for all of it.
            self.views.remove(tenant);
            return Err(error);
        }
        view.trim(now_us, cutoff_us);

        let mut new = Hashes::with_capacity_and_hasher(hashes.len(), BuildHasherDefault::default());
        let mut doubtful: Vec<(MessageHash, Vec<(i64, usize)>)> = Vec::new();
        for hash in hashes {
            match view.ask(hash, cutoff_us) {
                Known::New => drop(new.insert(*hash)),
                Known::Seen => {}
                Known::Maybe(places) => doubtful.push((*hash, places)),
            }
        }
        if !doubtful.is_empty() {
            let seen = self.look_up(tx, tenant, &doubtful, cutoff_us).await?;
            new.extend(doubtful.into_iter().map(|(hash, _)| hash).filter(|hash| !seen.contains(hash)));
        }
        if !new.is_empty() {
            let mut hashes: Vec<MessageHash> = new.iter().copied().collect();
            hashes.sort_unstable();
            let batch = Batch { seq: head.seq, received_us: now_us, hashes };
            seen::insert_batch(tx, tenant, &batch).await?;
            self.written.push((tenant.clone(), batch));
        }
        Ok(new)
    }

    /// Returns which of the messages that may be in runs are, and were received within the window.
    async fn look_up(
        &self,
        tx: &mut Tx,
        tenant: &TenantId,
        doubtful: &[(MessageHash, Vec<(i64, usize)>)],
        cutoff_us: i64,
    ) -> Result<Hashes, Error> {
        let block_entries = self.shared.tuning.block_entries;
        let mut wanted: BTreeMap<i64, BTreeMap<i64, Vec<(usize, MessageHash)>>> = BTreeMap::new();
        for (hash, places) in doubtful {
            for (run_id, place) in places {
                let block = (place / block_entries) as i64;
                let within = place % block_entries;
                wanted.entry(*run_id).or_default().entry(block).or_default().push((within, *hash));
            }
        }
        let mut seen = Hashes::default();
        for (run_id, blocks) in wanted {
            let numbers: Vec<i64> = blocks.keys().copied().collect();
            let mut found = 0;
            for (block, bytes) in runs::find_blocks(tx, tenant, run_id, &numbers).await? {
                let entries = entries::from_bytes(&bytes)?;
                found += 1;
                for (within, hash) in &blocks[&block] {
                    let entry = entries.get(*within);
                    if entry.is_some_and(|entry| entry.hash == *hash && entry.received_us >= cutoff_us) {
                        seen.insert(*hash);
                    }
                }
            }
            if found != numbers.len() {
                return Err(Error::Damaged(format!("blocks of the seen run {run_id} are missing")));
            }
        }
        Ok(seen)
    }

    /// Adds what the transaction wrote to what is known.
    pub(crate) fn committed(&mut self) {
        for (tenant, batch) in std::mem::take(&mut self.written) {
            let Some(view) = self.views.get_mut(&tenant) else { continue };
            view.add(batch.seq, batch.received_us, batch.hashes);
            self.shared.note_waiting(&tenant, view.batches, view.recent.len());
        }
        self.keep_within_budget();
    }

    /// Forgets what the transaction wrote. If it was committed all the same, it is read next time.
    pub(crate) fn rolled_back(&mut self) {
        self.written.clear();
    }

    /// Lets go of the tenants that were not used for longest. The one used last stays, whatever it takes.
    fn keep_within_budget(&mut self) {
        let mut bytes: usize = self.views.values().map(View::bytes).sum();
        while bytes > self.shared.tuning.memory_bytes && self.views.len() > 1 {
            let oldest = self.views.iter().min_by_key(|(_, view)| view.last_use).map(|(tenant, _)| tenant.clone());
            let Some(view) = oldest.and_then(|tenant| self.views.remove(&tenant)) else { return };
            bytes -= view.bytes();
        }
    }

    /// Records messages as the transaction that appends them does, commits it, and returns how many were new. For
    /// measuring the window by itself; events come in through the service.
    pub async fn remember(
        &mut self,
        db: &store::Db,
        tenant: &TenantId,
        mut message_hashes: Vec<[u8; 16]>,
        (now_us, cutoff_us): (i64, i64),
    ) -> Result<usize, Error> {
        message_hashes.sort_unstable();
        let mut tx = db.begin().await?;
        let new = self.insert_new(&mut tx, tenant, &message_hashes, (now_us, cutoff_us)).await?;
        tx.commit().await?;
        self.committed();
        Ok(new.len())
    }

    /// Returns how much memory the window takes, in bytes.
    pub fn memory_bytes(&self) -> usize {
        self.views.values().map(View::bytes).sum()
    }
}

/// Reads what others wrote or merged since; everything, when nothing is known.
async fn catch_up(view: &mut View, tx: &mut Tx, tenant: &TenantId, head: Head, shared: &Shared) -> Result<(), Error> {
    if view.merges != head.merges {
        let mut known: HashMap<i64, Arc<RunIndex>> =
            std::mem::take(&mut view.runs).into_iter().map(|run| (run.run_id, run.index)).collect();
        let rows = runs::list_in(tx, tenant).await?;
        for row in rows.iter().filter(|row| row.state == State::Live) {
            let at_hand = known.remove(&row.run_id).or_else(|| shared.take_prepared(tenant, row.run_id));
            let index = match at_hand {
                Some(index) => index,
                None => Arc::new(RunIndex::from_bytes(&runs::read_parts(tx, tenant, row.run_id).await?)?),
            };
            view.runs.push(Run { run_id: row.run_id, index });
        }
        shared.forget_prepared(tenant, &rows);
        view.forget_merged(head.merged_seq);
        view.merges = head.merges;
    }
    view.known_seq = view.known_seq.max(head.merged_seq);
    // The number that was taken is this transaction's own.
    while view.known_seq < head.seq - 1 {
        let batches = seen::read_batches_in(tx, tenant, view.known_seq, BATCHES_AT_ONCE).await?;
        if batches.is_empty() {
            // Some transactions bring nothing new and leave no batch.
            view.known_seq = head.seq - 1;
        }
        for batch in batches {
            view.add(batch.seq, batch.received_us, batch.hashes);
        }
    }
    Ok(())
}

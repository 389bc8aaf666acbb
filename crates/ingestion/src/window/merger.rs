//! What goes on behind the window: batches become runs, runs become larger runs, what expired goes.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use kit::TenantId;
use store::{Db, Error};
use tokio::sync::Notify;

use super::entries::{self, Entry, Stream, merge};
use super::index::{IndexBuilder, RunIndex};
use crate::store::seen;
use crate::store::seen::runs::{self, RunRow, State};

/// How long a claim to merge lasts unless it is renewed, and after how long a run that nobody works on is given up.
const CLAIM: Duration = Duration::from_secs(60);
const ABANDONED: Duration = Duration::from_secs(600);
/// A run has fewer messages than its index can count.
const MOST_IDS: i64 = 1 << 31;

/// Sizes of the window's parts.
#[derive(Debug, Clone)]
pub struct Tuning {
    /// Messages in batches from which they are merged. Default 131,072.
    pub merge_ids: i64,
    /// Batches from which they are merged. Default 2,048.
    pub merge_batches: i64,
    /// Runs of a level from which they are merged into one of the next. Default 8.
    pub fan_in: usize,
    /// Entries in one block. The same for the life of a database. Default 320, which fill a page of 8 KiB.
    pub block_entries: usize,
    /// Blocks written in one transaction. Default 512, about 4 MB.
    pub blocks_at_once: usize,
    /// Memory for what is known of tenants; the one used last may take more. Default 256 MiB.
    pub memory_bytes: usize,
}

impl Default for Tuning {
    fn default() -> Self {
        Self {
            merge_ids: 131_072,
            merge_batches: 2_048,
            fan_in: 8,
            block_entries: 320,
            blocks_at_once: 512,
            memory_bytes: 256 << 20,
        }
    }
}

/// What the window and its merger share.
pub(super) struct Shared {
    pub(super) tuning: Tuning,
    /// Indexes of runs that were built here, until the window takes them over.
    prepared: Mutex<HashMap<(TenantId, i64), Arc<RunIndex>>>,
    /// Tenants that have enough to merge.
    waiting: Mutex<BTreeSet<TenantId>>,
    woken: Notify,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    pub(super) fn new(tuning: Tuning) -> Self {
        Self { tuning, prepared: Mutex::default(), waiting: Mutex::default(), woken: Notify::new() }
    }

    pub(super) fn take_prepared(&self, tenant: &TenantId, run_id: i64) -> Option<Arc<RunIndex>> {
        lock(&self.prepared).remove(&(tenant.clone(), run_id))
    }

    /// Lets go of indexes of runs that were merged away before the window took them over: all but those in `rows` that
    /// are no garbage.
    pub(super) fn forget_prepared(&self, tenant: &TenantId, rows: &[RunRow]) {
        let is_kept = |run_id: i64| rows.iter().any(|row| row.run_id == run_id && row.state != State::Garbage);
        lock(&self.prepared).retain(|(of, run_id), _| of != tenant || is_kept(*run_id));
    }

    /// Wakes the merger when enough waits.
    pub(super) fn note_waiting(&self, tenant: &TenantId, batches: i64, ids: usize) {
        if batches >= self.tuning.merge_batches || ids as i64 >= self.tuning.merge_ids {
            lock(&self.waiting).insert(tenant.clone());
            self.woken.notify_one();
        }
    }
}

/// Merges in the background; replicas may each have one.
pub struct Merger {
    db: Db,
    shared: Arc<Shared>,
}

/// What is to be merged into one run.
enum Plan {
    Batches { after_seq: i64 },
    Runs { level: i64, rows: Vec<RunRow> },
}

/// A part of a run that is being read.
struct Source {
    run_id: i64,
    next_block: i64,
}

/// A run that is being written.
struct Building<'a> {
    merger: &'a Merger,
    tenant: &'a TenantId,
    run_id: i64,
    index: IndexBuilder,
    blocks: i64,
    ids: i64,
    newest_us: i64,
    /// When the claim was renewed last.
    claimed_us: i64,
}

/// Leases and claims run on real time: the service's clock may be virtual.
fn real_us() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

fn after(time_us: i64, wait: Duration) -> i64 {
    time_us.saturating_add(i64::try_from(wait.as_micros()).unwrap_or(i64::MAX))
}

/// Rests twice as long as the work since `begun` took: runs are merged for later, and events come now.
async fn rest_after(begun: Instant) {
    tokio::time::sleep(2 * begun.elapsed()).await;
}

impl Merger {
    pub(super) fn new(db: Db, shared: Arc<Shared>) -> Self {
        Self { db, shared }
    }

    /// Waits until a tenant has something to merge, and returns those that have.
    pub async fn waiting(&self) -> BTreeSet<TenantId> {
        loop {
            let waiting = std::mem::take(&mut *lock(&self.shared.waiting));
            if !waiting.is_empty() {
                return waiting;
            }
            self.shared.woken.notified().await;
        }
    }

    /// Merges what there is of a tenant, and removes what nobody needs. Messages received before `cutoff_us` are
    /// forgotten on the way; returns how many.
    pub async fn tend(&self, tenant: &TenantId, cutoff_us: i64) -> Result<u64, Error> {
        let mut expired = 0;
        while let Some(forgotten) = self.merge_once(tenant, cutoff_us).await? {
            expired += forgotten;
        }
        self.remove_garbage(tenant).await?;
        Ok(expired)
    }

    /// Removes what expired without being merged: of tenants that are quiet.
    pub(crate) async fn expire(&self, tenant: &TenantId, cutoff_us: i64) -> Result<u64, Error> {
        let mut expired = u64::try_from(seen::delete_expired(&self.db, tenant, cutoff_us).await?).unwrap_or(0);
        let rows = runs::list(&self.db, tenant).await?;
        let old = |row: &&RunRow| row.state == State::Live && row.newest_us < cutoff_us;
        for row in rows.iter().filter(old) {
            let mut tx = self.db.begin().await?;
            let head = seen::take_seq(&mut tx, tenant).await?;
            if runs::give_up(&mut tx, tenant, row.run_id, State::Live).await? {
                seen::note_merge(&mut tx, tenant, head.merged_seq).await?;
                expired += u64::try_from(row.ids).unwrap_or(0);
            }
            tx.commit().await?;
        }
        self.remove_garbage(tenant).await?;
        Ok(expired)
    }

    /// Merges once, when there is enough to merge and nobody else does. Returns how many messages were forgotten.
    async fn merge_once(&self, tenant: &TenantId, cutoff_us: i64) -> Result<Option<u64>, Error> {
        let Some(plan) = self.plan(tenant).await? else { return Ok(None) };
        let now_us = real_us();
        if !seen::claim_merging(&self.db, tenant, now_us, after(now_us, CLAIM)).await? {
            return Ok(None);
        }
        let merged = self.carry_out(tenant, plan, cutoff_us).await;
        seen::keep_merging(&self.db, tenant, 0).await?;
        merged
    }

    async fn plan(&self, tenant: &TenantId) -> Result<Option<Plan>, Error> {
        let tuning = &self.shared.tuning;
        if let Some(after_seq) = self.waiting_batches(tenant).await? {
            return Ok(Some(Plan::Batches { after_seq }));
        }
        let mut live = runs::list(&self.db, tenant).await?;
        live.retain(|row| row.state == State::Live);
        let levels: BTreeSet<i64> = live.iter().map(|row| row.level).collect();
        for level in levels {
            let of_level = live.iter().filter(|row| row.level == level).copied();
            let rows: Vec<RunRow> = of_level.take(tuning.fan_in).collect();
            let ids: i64 = rows.iter().map(|row| row.ids).sum();
            if rows.len() == tuning.fan_in && ids < MOST_IDS {
                return Ok(Some(Plan::Runs { level, rows }));
            }
        }
        Ok(None)
    }

    /// Returns after which number batches wait to be merged, if they are enough.
    async fn waiting_batches(&self, tenant: &TenantId) -> Result<Option<i64>, Error> {
        let tuning = &self.shared.tuning;
        let Some(head) = seen::find_head(&self.db, tenant).await? else { return Ok(None) };
        let (batches, ids) = seen::size_of_batches(&self.db, tenant, head.merged_seq).await?;
        let are_enough = batches >= tuning.merge_batches || ids >= tuning.merge_ids;
        Ok(are_enough.then_some(head.merged_seq))
    }

    /// Returns how many messages were forgotten; nothing, when somebody else was there first.
    async fn carry_out(&self, tenant: &TenantId, plan: Plan, cutoff_us: i64) -> Result<Option<u64>, Error> {
        match plan {
            Plan::Batches { after_seq } => self.merge_batches(tenant, after_seq, cutoff_us).await,
            Plan::Runs { level, rows } => {
                let ids: i64 = rows.iter().map(|row| row.ids).sum();
                let mut building = self.begin(tenant, level + 1, u64::try_from(ids).unwrap_or(0)).await?;
                let expired = self.merge_runs(tenant, &rows, &mut building, cutoff_us).await?;
                let done = building.finish(&rows, None).await?;
                Ok(done.then_some(expired))
            }
        }
    }

    /// Merges the batches after `after_seq` into a run.
    async fn merge_batches(&self, tenant: &TenantId, after_seq: i64, cutoff_us: i64) -> Result<Option<u64>, Error> {
        let (entries, through_seq) = self.read_batches(tenant, after_seq).await?;
        let mut building = self.begin(tenant, 1, entries.len() as u64).await?;
        let mut streams = [Stream::default()];
        streams[0].refill(entries);
        let mut out = Vec::new();
        let expired = merge(&mut streams, &mut out, usize::MAX, cutoff_us);
        building.write(&mut out, true).await?;
        let done = building.finish(&[], Some((after_seq, through_seq))).await?;
        Ok(done.then_some(expired))
    }

    /// Reads batches as sorted entries, each hash once, and returns the last batch's number with them.
    async fn read_batches(&self, tenant: &TenantId, after_seq: i64) -> Result<(Vec<Entry>, i64), Error> {
        const AT_ONCE: i64 = 64;
        let most = usize::try_from(self.shared.tuning.merge_ids).unwrap_or(usize::MAX).saturating_mul(8);
        let (mut entries, mut through_seq) = (Vec::new(), after_seq);
        while entries.len() < most {
            let batches = seen::read_batches(&self.db, tenant, through_seq, AT_ONCE).await?;
            let Some(last) = batches.last() else { break };
            through_seq = last.seq;
            for batch in batches {
                let received_us = batch.received_us;
                entries.extend(batch.hashes.into_iter().map(|hash| Entry { hash, received_us }));
            }
        }
        entries.sort_unstable();
        // Of two with one hash the later stays, which comes second.
        entries.reverse();
        entries.dedup_by_key(|entry| entry.hash);
        entries.reverse();
        Ok((entries, through_seq))
    }

    async fn merge_runs(
        &self,
        tenant: &TenantId,
        rows: &[RunRow],
        building: &mut Building<'_>,
        cutoff_us: i64,
    ) -> Result<u64, Error> {
        const BLOCKS_READ_AT_ONCE: i64 = 64;
        let limit = self.shared.tuning.block_entries * self.shared.tuning.blocks_at_once;
        let mut sources: Vec<Source> = rows.iter().map(|row| Source { run_id: row.run_id, next_block: 0 }).collect();
        let mut streams: Vec<Stream> = rows.iter().map(|_| Stream::default()).collect();
        let (mut out, mut expired) = (Vec::with_capacity(limit), 0);
        let mut begun = Instant::now();
        loop {
            let mut index = 0;
            while index < streams.len() {
                let source = &mut sources[index];
                if streams[index].is_empty() {
                    let blocks =
                        runs::read_blocks(&self.db, tenant, source.run_id, source.next_block, BLOCKS_READ_AT_ONCE)
                            .await?;
                    source.next_block += BLOCKS_READ_AT_ONCE;
                    if blocks.is_empty() {
                        drop((sources.remove(index), streams.remove(index)));
                        continue;
                    }
                    let mut entries = Vec::new();
                    for (_, bytes) in blocks {
                        entries.extend(entries::from_bytes(&bytes)?);
                    }
                    streams[index].refill(entries);
                }
                index += 1;
            }
            if streams.is_empty() {
                building.write(&mut out, true).await?;
                return Ok(expired);
            }
            expired += merge(&mut streams, &mut out, limit, cutoff_us);
            if out.len() >= limit {
                building.write(&mut out, false).await?;
                rest_after(begun).await;
                // Large runs take their time; what comes meanwhile is held in memory until it is merged.
                if let Some(after_seq) = self.waiting_batches(tenant).await? {
                    expired += self.merge_batches(tenant, after_seq, cutoff_us).await?.unwrap_or(0);
                }
                begun = Instant::now();
            }
        }
    }

    async fn begin<'a>(&'a self, tenant: &'a TenantId, level: i64, expected: u64) -> Result<Building<'a>, Error> {
        let mut tx = self.db.begin().await?;
        let run_id = seen::take_seq(&mut tx, tenant).await?.seq;
        runs::insert(&mut tx, tenant, run_id, level, real_us()).await?;
        tx.commit().await?;
        let index = IndexBuilder::new(expected);
        Ok(Building { merger: self, tenant, run_id, index, blocks: 0, ids: 0, newest_us: 0, claimed_us: real_us() })
    }

    async fn remove_garbage(&self, tenant: &TenantId) -> Result<(), Error> {
        let blocks = self.shared.tuning.blocks_at_once as i64;
        let now_us = real_us();
        for row in runs::list(&self.db, tenant).await? {
            let is_abandoned = row.state == State::Building && now_us > after(row.touch_us, ABANDONED);
            if is_abandoned {
                let mut tx = self.db.begin().await?;
                runs::give_up(&mut tx, tenant, row.run_id, State::Building).await?;
                tx.commit().await?;
            }
            if is_abandoned || row.state == State::Garbage {
                let mut begun = Instant::now();
                while !runs::remove_some(&self.db, tenant, row.run_id, blocks).await? {
                    rest_after(begun).await;
                    begun = Instant::now();
                }
            }
        }
        Ok(())
    }
}

impl Building<'_> {
    /// Writes entries in whole blocks, and the rest when it `is_last`.
    async fn write(&mut self, out: &mut Vec<Entry>, is_last: bool) -> Result<(), Error> {
        let tuning = &self.merger.shared.tuning;
        let whole = out.len() - out.len() % tuning.block_entries;
        let rest = out.split_off(if is_last { out.len() } else { whole });
        for piece in out.chunks(tuning.block_entries * tuning.blocks_at_once) {
            for entry in piece {
                self.index.push(&entry.hash);
                self.newest_us = self.newest_us.max(entry.received_us);
            }
            let blocks: Vec<Vec<u8>> = piece.chunks(tuning.block_entries).map(entries::to_bytes).collect();
            let (first, count) = (self.blocks, blocks.len() as i64);
            let mut tx = self.merger.db.begin().await?;
            runs::insert_blocks(&mut tx, self.tenant, self.run_id, first, blocks).await?;
            runs::touch(&mut tx, self.tenant, self.run_id, real_us()).await?;
            tx.commit().await?;
            self.blocks += count;
            self.ids += piece.len() as i64;
            self.renew_claim().await?;
        }
        *out = rest;
        Ok(())
    }

    /// Writes the index, no more in one transaction than of blocks, so that nobody waits for long.
    async fn write_index(&mut self, index: &RunIndex) -> Result<(), Error> {
        const PARTS_AT_ONCE: usize = 4;
        let bytes = index.to_bytes();
        for (piece, bytes) in bytes.chunks(runs::PART_BYTES * PARTS_AT_ONCE).enumerate() {
            let mut tx = self.merger.db.begin().await?;
            runs::insert_parts(&mut tx, self.tenant, self.run_id, piece * PARTS_AT_ONCE, bytes).await?;
            runs::touch(&mut tx, self.tenant, self.run_id, real_us()).await?;
            tx.commit().await?;
            self.renew_claim().await?;
        }
        Ok(())
    }

    async fn renew_claim(&mut self) -> Result<(), Error> {
        let now_us = real_us();
        if now_us > after(self.claimed_us, CLAIM / 4) {
            seen::keep_merging(&self.merger.db, self.tenant, after(now_us, CLAIM)).await?;
            self.claimed_us = now_us;
        }
        Ok(())
    }

    /// Puts the run in the place of what it was merged from, unless somebody else has done so. Returns whether it did.
    async fn finish(mut self, sources: &[RunRow], batches: Option<(i64, i64)>) -> Result<bool, Error> {
        let index = std::mem::replace(&mut self.index, IndexBuilder::new(0)).finish();
        self.write_index(&index).await?;
        let Self { merger, tenant, run_id, ids, newest_us, .. } = self;
        let (db, shared) = (&merger.db, &merger.shared);
        // The window may look for it as soon as it is committed.
        lock(&shared.prepared).insert((tenant.clone(), run_id), Arc::new(index));

        let mut tx = db.begin().await?;
        let head = seen::take_seq(&mut tx, tenant).await?;
        let mut is_first = batches.is_none_or(|(after_seq, _)| head.merged_seq == after_seq);
        for row in sources {
            is_first = is_first && runs::give_up(&mut tx, tenant, row.run_id, State::Live).await?;
        }
        is_first = is_first && runs::finish(&mut tx, tenant, run_id, (ids, newest_us)).await?;
        if !is_first {
            tx.rollback().await?;
            shared.take_prepared(tenant, run_id);
            let mut tx = db.begin().await?;
            runs::give_up(&mut tx, tenant, run_id, State::Building).await?;
            tx.commit().await?;
            return Ok(false);
        }
        let merged_seq = batches.map_or(head.merged_seq, |(_, through_seq)| through_seq);
        if batches.is_some() {
            seen::delete_merged(&mut tx, tenant, merged_seq).await?;
        }
        seen::note_merge(&mut tx, tenant, merged_seq).await?;
        tx.commit().await?;
        Ok(true)
    }
}

//! One batch: what was gathered, folded and committed in one transaction.

use std::collections::BTreeMap;

use store::Error;

use super::incoming::Chunk;
use super::{Fold, FoldError, Shared, Unit};
use crate::record::{LogRecord, PartitionId};
use crate::store::cursors;

/// The records of one unit in a batch.
#[derive(Default)]
pub(crate) struct Work {
    pub(crate) records: Vec<LogRecord>,
    /// Where the cursors stand once the records are folded.
    pub(crate) cursors: BTreeMap<u32, u64>,
    /// Keeps the room for the records taken until they are folded.
    chunks: Vec<Chunk>,
}

impl Work {
    /// Adds records of a chunk, leaving out what lies before `next_offset`.
    pub(crate) fn add(&mut self, mut chunk: Chunk, next_offset: u64) {
        if chunk.first_offset > next_offset {
            tracing::warn!(
                log.partition = chunk.partition.partition,
                log.offset = next_offset,
                log.missing_records = chunk.first_offset - next_offset,
                "records were dropped by retention before they were folded"
            );
        }
        let fresh = chunk.records.drain(..).filter(|record| record.offset >= next_offset);
        self.records.extend(fresh);
        self.cursors.insert(chunk.partition.partition, chunk.next_offset);
        self.chunks.push(chunk);
    }
}

/// Who folds a unit, with the right to it.
pub(crate) struct Seat<'s, F> {
    pub(crate) unit: &'s Unit,
    pub(crate) epoch: u64,
    pub(crate) fold: &'s mut F,
    pub(crate) work: &'s Work,
}

/// Why a batch was not committed.
pub(crate) enum Failure {
    /// The fold of one unit failed; the transaction was undone.
    Fold(Unit, FoldError),
    /// A lease was lost; the transaction was undone.
    Fenced,
    /// The database failed; the transaction was undone.
    Store(Error),
    /// The commit failed and may have happened all the same.
    Doubtful(Error),
}

/// Folds the work of all seats and moves their cursors, in one transaction.
pub(crate) async fn commit<F: Fold>(shared: &Shared, seats: &mut [Seat<'_, F>]) -> Result<(), Failure> {
    let mut tx = shared.options.db.begin().await.map_err(Failure::Store)?;
    for seat in seats.iter_mut() {
        if seat.work.records.is_empty() {
            continue;
        }
        if let Err(error) = seat.fold.apply(&mut tx, &seat.work.records).await {
            return Err(Failure::Fold(seat.unit.clone(), error));
        }
    }
    let moved = moved_cursors(seats);
    let (follower, log) = (&shared.scope.follower, &shared.scope.log);
    cursors::save(&mut tx, follower, log, &moved).await.map_err(Failure::Store)?;

    // Last, so that the leases are locked as shortly as possible; nothing can take them between here and the commit.
    let held: Vec<(&Unit, u64)> = seats.iter().map(|seat| (seat.unit, seat.epoch)).collect();
    match shared.scope.fence(&mut tx, &held).await {
        Ok(()) => {}
        Err(Error::Fenced(_)) => return Err(Failure::Fenced),
        Err(error) => return Err(Failure::Store(error)),
    }
    tx.commit().await.map_err(Failure::Doubtful)
}

fn moved_cursors<F>(seats: &[Seat<'_, F>]) -> Vec<(PartitionId, u64)> {
    let mut moved = Vec::new();
    for seat in seats {
        for (&partition, &next_offset) in &seat.work.cursors {
            moved.push((PartitionId::new(&seat.unit.tenant, partition), next_offset));
        }
    }
    moved
}

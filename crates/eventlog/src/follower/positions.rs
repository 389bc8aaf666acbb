//! How far a running follower has come.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use crate::record::PartitionId;

/// The committed cursors of the units that this replica holds or held.
#[derive(Default)]
pub(crate) struct Positions {
    cursors: Mutex<HashMap<PartitionId, Position>>,
    changed: watch::Sender<()>,
}

struct Position {
    next_offset: u64,
    is_reported: bool,
}

impl Positions {
    pub(crate) fn set(&self, cursors: impl IntoIterator<Item = (PartitionId, u64)>) {
        let mut known = self.lock();
        for (partition, next_offset) in cursors {
            let is_reported = known.get(&partition).is_some_and(|at| at.next_offset == next_offset && at.is_reported);
            known.insert(partition, Position { next_offset, is_reported });
        }
        drop(known);
        self.changed.send_replace(());
    }

    /// Forgets partitions that another replica reads from now on.
    pub(crate) fn forget<'p>(&self, partitions: impl IntoIterator<Item = &'p PartitionId>) {
        let mut known = self.lock();
        for partition in partitions {
            known.remove(partition);
        }
    }

    /// Returns the cursors that have moved since they were last reported, in order; marks them as reported.
    pub(crate) fn take_unreported(&self) -> Vec<(PartitionId, u64)> {
        let mut unreported = Vec::new();
        for (partition, position) in self.lock().iter_mut().filter(|(_, position)| !position.is_reported) {
            position.is_reported = true;
            unreported.push((partition.clone(), position.next_offset));
        }
        unreported.sort_unstable();
        unreported
    }

    /// Marks cursors as not reported after all.
    pub(crate) fn put_back(&self, cursors: &[(PartitionId, u64)]) {
        let mut known = self.lock();
        for (partition, _) in cursors {
            if let Some(position) = known.get_mut(partition) {
                position.is_reported = false;
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<PartitionId, Position>> {
        self.cursors.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Shows how far a running follower has come. Cloning is cheap.
#[derive(Clone)]
pub struct FollowerHandle {
    positions: Arc<Positions>,
}

impl FollowerHandle {
    pub(crate) fn new(positions: Arc<Positions>) -> Self {
        Self { positions }
    }

    /// Returns the committed cursor in `partition`, when this replica reads it: the offset of the next record.
    pub fn position(&self, partition: &PartitionId) -> Option<u64> {
        self.positions.lock().get(partition).map(|position| position.next_offset)
    }

    /// Waits until everything before `ends` is folded and committed by this replica; see [`crate::EventLog::ends`].
    pub async fn reached(&self, ends: &[(PartitionId, u64)]) {
        let mut changes = self.positions.changed.subscribe();
        loop {
            let has_reached = |(partition, end): &(PartitionId, u64)| {
                *end == 0 || self.position(partition).is_some_and(|next_offset| next_offset >= *end)
            };
            if ends.iter().all(has_reached) {
                return;
            }
            changes.changed().await.expect("the sender lives as long as this handle");
        }
    }
}

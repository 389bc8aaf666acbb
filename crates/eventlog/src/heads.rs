//! Where each partition ends, and who waits for more.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tokio::sync::Notify;

use crate::record::PartitionId;

/// The known end of each partition. Ends only move forward.
#[derive(Default)]
pub(crate) struct Heads {
    partitions: Mutex<HashMap<PartitionId, Head>>,
    /// Told whenever any end has moved: what the watch over other replicas' appends listens to.
    moved: Notify,
}

#[derive(Default)]
struct Head {
    next_offset: u64,
    waiting: Vec<(Weak<Waker>, usize)>,
}

/// What one stream waits on: the partitions, by their index in the stream, that have moved.
#[derive(Default)]
pub(crate) struct Waker {
    moved: Mutex<Vec<usize>>,
    notify: Notify,
}

impl Heads {
    /// Notes that `partition` ends at `next_offset` and wakes those who wait for it. Returns whether that was news.
    pub(crate) fn advance(&self, partition: &PartitionId, next_offset: u64) -> bool {
        let mut partitions = self.lock();
        let head = match partitions.get_mut(partition) {
            Some(head) => head,
            None => partitions.entry(partition.clone()).or_default(),
        };
        if next_offset <= head.next_offset {
            return false;
        }
        head.next_offset = next_offset;
        head.waiting.retain(|(waker, index)| match waker.upgrade() {
            Some(waker) => {
                waker.wake(*index);
                true
            }
            None => false,
        });
        drop(partitions);
        self.moved.notify_waiters();
        true
    }

    /// Returns where `partition` is known to end; 0 when nothing is known.
    pub(crate) fn end(&self, partition: &PartitionId) -> u64 {
        self.lock().get(partition).map_or(0, |head| head.next_offset)
    }

    /// Returns what is woken when one of `partitions` moves, with its index among them.
    pub(crate) fn subscribe<'p>(&self, partitions: impl IntoIterator<Item = &'p PartitionId>) -> Arc<Waker> {
        let waker = Arc::new(Waker::default());
        let mut heads = self.lock();
        for (index, partition) in partitions.into_iter().enumerate() {
            let waiting = &mut heads.entry(partition.clone()).or_default().waiting;
            waiting.retain(|(waker, _)| waker.strong_count() > 0);
            waiting.push((Arc::downgrade(&waker), index));
        }
        waker
    }

    /// Waits until some end moves.
    pub(crate) async fn any_moved(&self) {
        self.moved.notified().await;
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<PartitionId, Head>> {
        self.partitions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waker {
    fn wake(&self, index: usize) {
        self.moved.lock().unwrap_or_else(PoisonError::into_inner).push(index);
        self.notify.notify_one();
    }

    /// Waits for news and returns the indices of the partitions that moved, each once.
    pub(crate) async fn moved(&self) -> Vec<usize> {
        loop {
            let mut moved = std::mem::take(&mut *self.moved.lock().unwrap_or_else(PoisonError::into_inner));
            if !moved.is_empty() {
                moved.sort_unstable();
                moved.dedup();
                return moved;
            }
            self.notify.notified().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn partition(number: u32) -> PartitionId {
        PartitionId::new(&"shop".try_into().unwrap(), number)
    }

    #[tokio::test]
    async fn a_waiter_learns_what_moved_even_before_it_waits() {
        let heads = Heads::default();
        let waker = heads.subscribe(&[partition(0), partition(1), partition(2)]);

        heads.advance(&partition(2), 5);
        heads.advance(&partition(0), 1);
        heads.advance(&partition(2), 6);

        assert_eq!(waker.moved().await, [0, 2]);
        assert!(!heads.advance(&partition(2), 6), "an end that is known is no news");
        assert_eq!(heads.end(&partition(2)), 6);
    }

    #[tokio::test]
    async fn waiters_that_left_are_forgotten() {
        let heads = Heads::default();
        for _ in 0..100 {
            drop(heads.subscribe(&[partition(0)]));
        }

        let waker = heads.subscribe(&[partition(0)]);

        assert_eq!(heads.lock()[&partition(0)].waiting.len(), 1);
        heads.advance(&partition(0), 1);
        assert_eq!(waker.moved().await, [0]);
    }
}

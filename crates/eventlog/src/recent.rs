//! The batches used last, unpacked, for reading single records.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use crate::batch::Unpacked;
use crate::record::PartitionId;

/// A cache of unpacked batches within a budget of bytes.
///
/// Two generations: what is used while the younger fills stays, the rest of the older goes as a whole. That forgets
/// nearly as well as a list ordered by use, at a constant cost.
pub(crate) struct RecentBatches {
    generations: Mutex<Generations>,
    budget_bytes: usize,
}

#[derive(Default)]
struct Generations {
    young: Generation,
    old: Generation,
}

#[derive(Default)]
struct Generation {
    /// By last offset, so that the batch that may hold an offset is the next one at or after it.
    partitions: HashMap<PartitionId, BTreeMap<u64, Arc<Unpacked>>>,
    bytes: usize,
}

impl RecentBatches {
    pub(crate) fn new(budget_bytes: usize) -> Self {
        Self { generations: Mutex::default(), budget_bytes }
    }

    /// Returns the batch that holds `offset`, if it is at hand.
    pub(crate) fn get(&self, partition: &PartitionId, offset: u64) -> Option<Arc<Unpacked>> {
        let mut generations = self.generations.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(batch) = generations.young.get(partition, offset) {
            return Some(batch);
        }
        let batch = generations.old.get(partition, offset)?;
        generations.insert(partition, Arc::clone(&batch), self.budget_bytes);
        Some(batch)
    }

    pub(crate) fn insert(&self, partition: &PartitionId, batch: Arc<Unpacked>) {
        let mut generations = self.generations.lock().unwrap_or_else(PoisonError::into_inner);
        generations.insert(partition, batch, self.budget_bytes);
    }

    /// Forgets the batches of `partition`: they were rewritten or dropped.
    pub(crate) fn forget(&self, partition: &PartitionId) {
        let mut generations = self.generations.lock().unwrap_or_else(PoisonError::into_inner);
        generations.young.forget(partition);
        generations.old.forget(partition);
    }
}

impl Generations {
    fn insert(&mut self, partition: &PartitionId, batch: Arc<Unpacked>, budget_bytes: usize) {
        if batch.weight() > budget_bytes / 2 {
            return;
        }
        if self.young.bytes + batch.weight() > budget_bytes / 2 {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(partition, batch);
    }
}

impl Generation {
    fn get(&self, partition: &PartitionId, offset: u64) -> Option<Arc<Unpacked>> {
        let (_, batch) = self.partitions.get(partition)?.range(offset..).next()?;
        batch.contains(offset).then(|| Arc::clone(batch))
    }

    fn insert(&mut self, partition: &PartitionId, batch: Arc<Unpacked>) {
        let last_offset = batch.first_offset + batch.len() as u64 - 1;
        self.bytes += batch.weight();
        let batches = match self.partitions.get_mut(partition) {
            Some(batches) => batches,
            None => self.partitions.entry(partition.clone()).or_default(),
        };
        if let Some(replaced) = batches.insert(last_offset, batch) {
            self.bytes -= replaced.weight();
        }
    }

    fn forget(&mut self, partition: &PartitionId) {
        if let Some(batches) = self.partitions.remove(partition) {
            self.bytes -= batches.values().map(|batch| batch.weight()).sum::<usize>();
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::batch::Packed;
    use crate::record::Record;

    fn batch(first_offset: u64) -> Arc<Unpacked> {
        let payload = Bytes::from(vec![1; 100]);
        let record = Record { key: Bytes::new(), payload, event_time_us: 0, traceparent: None };
        let packed = Packed { first_offset, ..Packed::new(vec![record; 10], 0) };
        Arc::new(packed.unpack().unwrap())
    }

    #[test]
    fn the_cache_stays_within_its_budget_and_keeps_what_is_used() {
        let recent = RecentBatches::new(20_000);
        let partition = PartitionId::new(&"shop".try_into().unwrap(), 0);

        for index in 0..1_000 {
            recent.insert(&partition, batch(index * 10));
            assert!(recent.get(&partition, 5).is_some(), "the batch in use was let go at {index}");
        }

        let generations = recent.generations.lock().unwrap();
        assert!(generations.young.bytes + generations.old.bytes <= 20_000);
        drop(generations);
        assert!(recent.get(&partition, 9_999).is_some());
        assert!(recent.get(&partition, 500).is_none());

        recent.forget(&partition);
        assert!(recent.get(&partition, 5).is_none());
        assert_eq!(recent.generations.lock().unwrap().young.bytes, 0);
    }
}

//! Keys that flood wait aside.
//!
//! While the queue is more than an eighth full, what each key has waiting is counted. A key that has more than a
//! sixteenth of the queue waiting goes into the side lane of the group commit, which gets a quarter of each transaction
//! and a quarter of the queue: the other keys wait no longer for it than that, and find room. Its order is kept, because
//! the side lane commits nothing before what was in the main lane earlier, and because a key stays aside until nothing
//! of it waits there any more.
//!
//! Keys are counted by their hash in two rows of buckets, of which the lesser counts. Two keys that share both buckets
//! with a flood wait aside with it: slower, never wrong.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use super::submission::{Arrived, Item, Submission};

const ROWS: usize = 2;
const BUCKETS: usize = 4_096;
/// Part of the queue that must be full before anything is counted.
const BUSY_PART: usize = 8;
/// Part of the queue that one key may have waiting in the main lane.
const KEY_PART: usize = 16;

/// What each key has waiting.
pub(super) struct Shares {
    waiting: Buckets,
    aside: Buckets,
    /// Submissions aside.
    submissions_aside: AtomicUsize,
    queue_weight: usize,
}

type Buckets = [Vec<AtomicU32>; ROWS];
/// A bucket of each row.
type Places = [usize; ROWS];

/// What a submission adds to the counts, until it is committed or given up.
pub(crate) struct Share {
    shares: Arc<Shares>,
    weights: Vec<(Places, u32)>,
    is_aside: bool,
}

/// What was taken out of a submission to wait aside.
pub(super) struct Aside {
    pub(super) submission: Submission,
    /// Where its items stood.
    pub(super) indices: Vec<usize>,
}

impl Shares {
    pub(super) fn new(queue_weight: usize) -> Arc<Self> {
        let buckets = || std::array::from_fn(|_| (0..BUCKETS).map(|_| AtomicU32::new(0)).collect());
        Arc::new(Self { waiting: buckets(), aside: buckets(), submissions_aside: AtomicUsize::new(0), queue_weight })
    }

    /// Counts what a submission brings, and takes out of it what must wait aside. `waiting_weight` is what waits in all.
    pub(super) fn set_aside(self: &Arc<Self>, submission: &mut Submission, waiting_weight: usize) -> Option<Aside> {
        let is_busy = waiting_weight > self.queue_weight / BUSY_PART;
        if !is_busy && self.submissions_aside.load(Ordering::SeqCst) == 0 {
            return None;
        }
        let most = u32::try_from((self.queue_weight / KEY_PART).max(1)).unwrap_or(u32::MAX);
        // Decided for all before any is counted: one key has one lane in one submission.
        let mut weights = Vec::with_capacity(submission.items.len());
        let mut weights_aside = Vec::new();
        let mut indices = Vec::new();
        for (index, item) in submission.items.iter().enumerate() {
            let Arrived::Ready(ready) = &item.arrived else { continue };
            let places = places(&submission.source.tenant, &ready.key);
            let weight = u32::try_from(item.weight()).unwrap_or(u32::MAX);
            let floods = least(&self.aside, places) > 0 || least(&self.waiting, places) > most;
            if floods {
                indices.push(index);
                weights_aside.push((places, weight));
            } else {
                weights.push((places, weight));
            }
        }
        submission.share = Some(Share::count(self, weights, false));
        if indices.is_empty() {
            return None;
        }

        let share = Some(Share::count(self, weights_aside, true));
        let items = take(&mut submission.items, &indices);
        let (source, traceparent) = (Arc::clone(&submission.source), submission.traceparent.clone());
        Some(Aside { submission: Submission { source, traceparent, items, share }, indices })
    }
}

impl Share {
    fn count(shares: &Arc<Shares>, weights: Vec<(Places, u32)>, is_aside: bool) -> Self {
        let share = Self { shares: Arc::clone(shares), weights, is_aside };
        share.each(|bucket, weight| bucket.fetch_add(weight, Ordering::SeqCst));
        if is_aside {
            shares.submissions_aside.fetch_add(1, Ordering::SeqCst);
        }
        share
    }

    fn each(&self, change: impl Fn(&AtomicU32, u32) -> u32) {
        let buckets = if self.is_aside { &self.shares.aside } else { &self.shares.waiting };
        for (places, weight) in &self.weights {
            for (row, place) in buckets.iter().zip(places) {
                change(&row[*place], *weight);
            }
        }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.each(|bucket, weight| bucket.fetch_sub(weight, Ordering::SeqCst));
        if self.is_aside {
            self.shares.submissions_aside.fetch_sub(1, Ordering::SeqCst);
        }
    }
}

/// Takes the items at `indices`, which are in order, and leaves the others.
fn take(items: &mut Vec<Item>, indices: &[usize]) -> Vec<Item> {
    let mut wanted = indices.iter().copied().peekable();
    let (mut taken, mut left) = (Vec::with_capacity(indices.len()), Vec::with_capacity(items.len()));
    for (index, item) in std::mem::take(items).into_iter().enumerate() {
        if wanted.next_if_eq(&index).is_some() { taken.push(item) } else { left.push(item) }
    }
    *items = left;
    taken
}

fn least(buckets: &Buckets, places: Places) -> u32 {
    buckets.iter().zip(places).map(|(row, place)| row[place].load(Ordering::SeqCst)).min().unwrap_or_default()
}

fn places(tenant: &kit::TenantId, key: &[u8]) -> Places {
    use std::hash::{DefaultHasher, Hasher};
    let mut hasher = DefaultHasher::new();
    hasher.write(tenant.as_str().as_bytes());
    hasher.write(key);
    let hash = hasher.finish();
    [hash as usize % BUCKETS, (hash >> 32) as usize % BUCKETS]
}

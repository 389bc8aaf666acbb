//! People in memory, so that most events need no read.
//!
//! Whoever changes people of a shard holds its lock in the database, and each holder has a revision one greater than
//! the one before. The cache of a shard is good for the next holder only if its revision is the one before: when a
//! replica, a crash or a rollback came between, it is thrown away.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use kit::TenantId;

use crate::domain::state::State;

/// People of all shards that this process has worked on.
pub(crate) struct Cache {
    shards: Mutex<HashMap<(TenantId, u32), Kept>>,
    /// Most weight of a shard: a person counts one, and one more for every eight orders.
    shard_weight: usize,
}

/// People of one shard, in two generations: what is not used while the younger one fills is dropped.
#[derive(Default)]
struct Kept {
    revision: i64,
    young: HashMap<String, State>,
    old: HashMap<String, State>,
    young_weight: usize,
}

impl Cache {
    /// Returns an empty cache of at most `shard_weight` for each shard.
    pub(crate) fn new(shard_weight: usize) -> Self {
        Self { shards: Mutex::default(), shard_weight: shard_weight.max(2) }
    }

    /// Makes the cache of a shard fit for the holder of the lock with `revision`.
    pub(crate) fn open(&self, tenant: &TenantId, partition: u32, revision: i64) {
        let mut shards = self.lock();
        let kept = shards.entry((tenant.clone(), partition)).or_default();
        if kept.revision != revision - 1 {
            *kept = Kept::default();
        }
        kept.revision = revision;
    }

    /// Takes those of some people out that are there.
    pub(crate) fn take(&self, tenant: &TenantId, partition: u32, profile_ids: &[String]) -> HashMap<String, State> {
        let mut taken = HashMap::with_capacity(profile_ids.len());
        let mut shards = self.lock();
        let Some(kept) = shards.get_mut(&(tenant.clone(), partition)) else { return taken };
        for profile_id in profile_ids {
            if let Some((profile_id, state)) = kept.remove(profile_id) {
                taken.insert(profile_id, state);
            }
        }
        taken
    }

    /// Drops somebody whom the holder of the lock has read from the store and changes.
    pub(crate) fn drop_one(&self, tenant: &TenantId, partition: u32, profile_id: &str) {
        if let Some(kept) = self.lock().get_mut(&(tenant.clone(), partition)) {
            kept.remove(profile_id);
        }
    }

    /// Puts people back once what was done under `revision` is committed.
    ///
    /// When the next holder is already at work its reads are as fresh, and these may be older: they are dropped.
    pub(crate) fn put_back(
        &self,
        tenant: &TenantId,
        partition: u32,
        revision: i64,
        people: impl IntoIterator<Item = (String, State)>,
    ) {
        let mut shards = self.lock();
        let Some(kept) = shards.get_mut(&(tenant.clone(), partition)) else { return };
        if kept.revision != revision {
            return;
        }
        for (profile_id, state) in people {
            kept.put(profile_id, state, self.shard_weight / 2);
        }
    }

    /// A panic elsewhere leaves maps of whole states behind, each as good as before.
    fn lock(&self) -> MutexGuard<'_, HashMap<(TenantId, u32), Kept>> {
        self.shards.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn remove(&mut self, profile_id: &str) -> Option<(String, State)> {
        if let Some(found) = self.young.remove_entry(profile_id) {
            self.young_weight = self.young_weight.saturating_sub(weight(&found.1));
            return Some(found);
        }
        self.old.remove_entry(profile_id)
    }

    fn put(&mut self, profile_id: String, state: State, generation_weight: usize) {
        self.remove(&profile_id);
        self.young_weight += weight(&state);
        self.young.insert(profile_id, state);
        if self.young_weight > generation_weight {
            self.old = std::mem::take(&mut self.young);
            self.young_weight = 0;
        }
    }
}

fn weight(state: &State) -> usize {
    1 + state.orders.as_ref().map_or(0, |orders| orders.len() / 8)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shop() -> TenantId {
        "shop".parse().unwrap()
    }

    fn put(cache: &Cache, revision: i64, profile_ids: &[&str]) {
        let people = profile_ids.iter().map(|profile_id| ((*profile_id).to_owned(), State::new()));
        cache.put_back(&shop(), 0, revision, people);
    }

    fn taken(cache: &Cache, profile_ids: &[&str]) -> usize {
        let profile_ids: Vec<String> = profile_ids.iter().map(|profile_id| (*profile_id).to_owned()).collect();
        cache.take(&shop(), 0, &profile_ids).len()
    }

    #[test]
    fn the_next_holder_finds_what_the_last_one_left() {
        let cache = Cache::new(100);
        cache.open(&shop(), 0, 1);
        put(&cache, 1, &["a", "b"]);

        cache.open(&shop(), 0, 2);

        assert_eq!(taken(&cache, &["a", "b", "c"]), 2);
        assert_eq!(taken(&cache, &["a"]), 0);
    }

    #[test]
    fn what_another_replica_may_have_changed_is_thrown_away() {
        let cache = Cache::new(100);
        cache.open(&shop(), 0, 1);
        put(&cache, 1, &["a"]);

        cache.open(&shop(), 0, 3);

        assert_eq!(taken(&cache, &["a"]), 0);
    }

    #[test]
    fn what_was_rolled_back_is_thrown_away() {
        let cache = Cache::new(100);
        cache.open(&shop(), 0, 1);
        put(&cache, 1, &["a", "b"]);
        cache.open(&shop(), 0, 2);
        assert_eq!(taken(&cache, &["a"]), 1);

        cache.open(&shop(), 0, 2);

        assert_eq!(taken(&cache, &["b"]), 0);
    }

    #[test]
    fn who_comes_back_late_does_not_overwrite_the_next_holder() {
        let cache = Cache::new(100);
        cache.open(&shop(), 0, 1);
        cache.open(&shop(), 0, 2);

        put(&cache, 1, &["a"]);

        assert_eq!(taken(&cache, &["a"]), 0);
    }

    #[test]
    fn who_was_changed_past_the_cache_is_not_found_before_the_change_is_put_back() {
        let cache = Cache::new(100);
        cache.open(&shop(), 0, 1);
        put(&cache, 1, &["a", "b"]);

        cache.open(&shop(), 0, 2);
        cache.drop_one(&shop(), 0, "a");
        cache.open(&shop(), 0, 3);
        put(&cache, 2, &["a"]);

        assert_eq!(taken(&cache, &["a", "b"]), 1);
    }

    #[test]
    fn it_stays_within_its_weight_and_keeps_what_is_used() {
        let cache = Cache::new(10);
        cache.open(&shop(), 0, 1);
        put(&cache, 1, &["used"]);
        for number in 0..100 {
            put(&cache, 1, &[&format!("p{number}")]);
            assert_eq!(taken(&cache, &["used"]), 1);
            put(&cache, 1, &["used"]);
        }

        let shards = cache.lock();
        let kept = &shards[&(shop(), 0)];
        assert!(kept.young.len() + kept.old.len() <= 12);
    }
}

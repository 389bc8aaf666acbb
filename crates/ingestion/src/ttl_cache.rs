//! A small cache whose entries live for a moment.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Most entries; beyond, the cache begins anew. Guessed write keys must not fill the memory.
const MAX_ENTRIES: usize = 10_000;

/// Values by key, each for a moment of real time.
pub(crate) struct TtlCache<K, V> {
    entries: Mutex<HashMap<K, (Instant, V)>>,
}

impl<K: Hash + Eq, V: Clone> TtlCache<K, V> {
    pub(crate) fn new() -> Self {
        Self { entries: Mutex::new(HashMap::new()) }
    }

    pub(crate) fn get(&self, key: &K) -> Option<V> {
        let entries = self.lock();
        let (end, value) = entries.get(key)?;
        (Instant::now() < *end).then(|| value.clone())
    }

    pub(crate) fn insert(&self, key: K, value: V, ttl: Duration) {
        let mut entries = self.lock();
        if entries.len() >= MAX_ENTRIES {
            entries.clear();
        }
        entries.insert(key, (Instant::now() + ttl, value));
    }

    pub(crate) fn remove(&self, key: &K) {
        self.lock().remove(key);
    }

    pub(crate) fn clear(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<K, (Instant, V)>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_end_and_do_not_pile_up() {
        let cache = TtlCache::new();

        cache.insert(1, "one", Duration::from_secs(60));
        cache.insert(2, "two", Duration::ZERO);
        assert_eq!((cache.get(&1), cache.get(&2)), (Some("one"), None));

        for key in 0..3 * MAX_ENTRIES {
            cache.insert(key, "more", Duration::from_secs(60));
        }
        assert!(cache.lock().len() <= MAX_ENTRIES);
    }
}

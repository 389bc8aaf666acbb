//! The cache of one process.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Entries kept at most. Past it the expired go first, then those that would expire soonest.
const CAPACITY: usize = 200_000;

/// A bounded map whose entries expire.
#[derive(Default)]
pub struct Memory {
    entries: Mutex<HashMap<String, Entry>>,
}

struct Entry {
    value: Value,
    expires: Instant,
}

enum Value {
    Counter(i64),
    Bytes(Vec<u8>),
    /// When a bucket has paid its debt and is full.
    FullAt(Instant),
}

impl Memory {
    pub(crate) fn incr_by(&self, key: &str, amount: i64, ttl: Duration) -> i64 {
        let now = Instant::now();
        let mut entries = self.entries(now);
        match entries.get_mut(key) {
            Some(Entry { value: Value::Counter(count), expires }) if *expires > now => {
                *count = count.saturating_add(amount);
                *count
            }
            _ => {
                entries.insert(key.to_owned(), Entry { value: Value::Counter(amount), expires: now + ttl });
                amount
            }
        }
    }

    pub(crate) fn get(&self, key: &str) -> Option<Vec<u8>> {
        let now = Instant::now();
        let entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = entries.get(key).filter(|entry| entry.expires > now)?;
        match &entry.value {
            Value::Bytes(bytes) => Some(bytes.clone()),
            // As Redis shows a counter.
            Value::Counter(count) => Some(count.to_string().into_bytes()),
            Value::FullAt(_) => None,
        }
    }

    pub(crate) fn set(&self, key: &str, value: &[u8], ttl: Duration) {
        let now = Instant::now();
        let entry = Entry { value: Value::Bytes(value.to_vec()), expires: now + ttl };
        self.entries(now).insert(key.to_owned(), entry);
    }

    pub(crate) fn set_if_absent(&self, key: &str, value: &[u8], ttl: Duration) -> bool {
        let now = Instant::now();
        let mut entries = self.entries(now);
        if entries.get(key).is_some_and(|entry| entry.expires > now) {
            return false;
        }
        entries.insert(key.to_owned(), Entry { value: Value::Bytes(value.to_vec()), expires: now + ttl });
        true
    }

    pub(crate) fn draw(&self, key: &str, cost: Duration, burst: Duration) -> Duration {
        let now = Instant::now();
        let mut entries = self.entries(now);
        let full_at = match entries.get(key) {
            Some(Entry { value: Value::FullAt(full_at), .. }) => (*full_at).max(now),
            _ => now,
        };
        let wait = full_at.duration_since(now).saturating_sub(burst);
        if wait.is_zero() {
            let full_at = full_at + cost;
            entries.insert(key.to_owned(), Entry { value: Value::FullAt(full_at), expires: full_at });
        }
        wait
    }

    pub(crate) fn remove(&self, key: &str) {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
    }

    /// Returns the entries with room for one more.
    fn entries(&self, now: Instant) -> MutexGuard<'_, HashMap<String, Entry>> {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        if entries.len() >= CAPACITY {
            entries.retain(|_, entry| entry.expires > now);
        }
        if entries.len() >= CAPACITY {
            let mut expiries: Vec<Instant> = entries.values().map(|entry| entry.expires).collect();
            let (_, soonest_tenth, _) = expiries.select_nth_unstable(CAPACITY / 10);
            let threshold = *soonest_tenth;
            entries.retain(|_, entry| entry.expires > threshold);
        }
        entries
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_cache_lets_the_soonest_to_expire_go() {
        let memory = Memory::default();
        for index in 0..CAPACITY {
            memory.set(&format!("key{index}"), b"x", Duration::from_secs(60 + index as u64));
        }

        memory.set("one more", b"x", Duration::from_secs(60));

        assert!(memory.entries.lock().unwrap().len() < CAPACITY);
        assert_eq!(memory.get("key0"), None);
        assert!(memory.get(&format!("key{}", CAPACITY - 1)).is_some());
        assert!(memory.get("one more").is_some());
    }
}

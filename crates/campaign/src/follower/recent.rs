//! The people met lately.

use std::collections::HashMap;

/// A bounded map that forgets what was not used for longest, in two generations: cheap, and never above its bound.
pub(crate) struct Recent<V> {
    young: HashMap<String, V>,
    old: HashMap<String, V>,
    generation: usize,
}

impl<V: Clone> Recent<V> {
    /// Returns an empty map that keeps at least `bound / 2` and at most `bound` of what was used last.
    pub(crate) fn new(bound: usize) -> Self {
        Self { young: HashMap::new(), old: HashMap::new(), generation: (bound / 2).max(1) }
    }

    pub(crate) fn get(&mut self, key: &str) -> Option<&V> {
        if !self.young.contains_key(key) {
            let (key, value) = self.old.remove_entry(key)?;
            self.put(key, value);
        }
        self.young.get(key)
    }

    pub(crate) fn put(&mut self, key: String, value: V) {
        self.old.remove(&key);
        if self.young.len() >= self.generation && !self.young.contains_key(&key) {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_used_stays_and_the_rest_is_forgotten() {
        let mut recent = Recent::new(10);
        recent.put("used".into(), 0);
        for number in 0..100 {
            recent.put(format!("k{number}"), number);
            assert_eq!(recent.get("used"), Some(&0));
            assert!(recent.young.len() + recent.old.len() <= 10);
        }

        assert_eq!(recent.get("k99"), Some(&99));
        assert_eq!(recent.get("k1"), None);
    }
}

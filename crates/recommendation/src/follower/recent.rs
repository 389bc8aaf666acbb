//! What was used lately, within bounds.

use std::collections::HashMap;

/// Values by name: at least the `capacity / 2` used last, at most `capacity`.
///
/// Two generations instead of a list: when the young one is full, the old one is dropped and the young one grows old.
#[derive(Debug)]
pub(crate) struct Recent<V> {
    young: HashMap<String, V>,
    old: HashMap<String, V>,
    half: usize,
}

impl<V> Recent<V> {
    pub(crate) fn new(capacity: usize) -> Self {
        Self { young: HashMap::new(), old: HashMap::new(), half: (capacity / 2).max(1) }
    }

    /// Takes a value out, to be put back once used.
    pub(crate) fn take(&mut self, name: &str) -> Option<V> {
        self.young.remove(name).or_else(|| self.old.remove(name))
    }

    pub(crate) fn put(&mut self, name: String, value: V) {
        if self.young.len() >= self.half {
            self.old = std::mem::take(&mut self.young);
        }
        self.old.remove(&name);
        self.young.insert(name, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_used_last_stays_and_the_rest_goes() {
        let mut recent = Recent::new(4);
        for number in 0..5 {
            recent.put(format!("{number}"), number);
        }

        assert_eq!(recent.take("0"), None);
        assert_eq!(recent.take("4"), Some(4));
        assert_eq!(recent.take("4"), None);
        recent.put("3".into(), 30);
        assert_eq!(recent.take("3"), Some(30));
        assert_eq!(recent.take("3"), None);
    }
}

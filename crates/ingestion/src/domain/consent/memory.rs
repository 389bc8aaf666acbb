//! What strings of the IAB said: a page sends the same one with each of its events.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::signals::Statement;

/// Strings that are remembered for one policy: those of the pages that are open at the moment.
const MOST_STRINGS: usize = 64;
/// Longer strings are read each time, so that nobody fills the memory: real ones have about a thousand characters.
const MOST_CHARS: usize = 2_048;

/// What a string says by one policy; nothing when it cannot be read.
type Said = Option<Arc<[Statement]>>;

/// The strings that were read last by one policy.
#[derive(Debug, Default)]
pub(super) struct Memory(Mutex<HashMap<Box<str>, Said>>);

impl Memory {
    /// Returns what a string says, read with `read` unless that is known.
    pub(super) fn recall(&self, text: &str, read: impl FnOnce(&str) -> Option<Vec<Statement>>) -> Said {
        if text.len() > MOST_CHARS {
            return read(text).map(Arc::from);
        }
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(text).cloned();
        if let Some(said) = known {
            return said;
        }
        let said: Said = read(text).map(Arc::from);
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MOST_STRINGS {
            known.clear();
        }
        known.insert(text.into(), said.clone());
        said
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_string_is_read_once_and_few_are_kept() {
        let memory = Memory::default();
        let mut times_read = 0;
        for _ in 0..3 {
            let said = memory.recall("same", |_| {
                times_read += 1;
                Some(Vec::new())
            });
            assert!(said.is_some_and(|said| said.is_empty()));
        }
        assert_eq!(times_read, 1);

        for number in 0..10 * MOST_STRINGS {
            assert!(memory.recall(&number.to_string(), |_| None).is_none());
        }
        memory.recall(&"x".repeat(MOST_CHARS + 1), |_| None);
        let known = memory.0.lock().unwrap();
        assert!(known.len() <= MOST_STRINGS && known.keys().all(|text| text.len() <= MOST_CHARS));
    }
}

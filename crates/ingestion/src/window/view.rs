//! What one replica knows of a tenant's window: enough to tell without the store that a message is new.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;

use super::index::RunIndex;
use crate::domain::finish::MessageHash;

/// Hashes are drawn as evenly as any hasher would spread them.
#[derive(Default)]
pub(crate) struct Even(u64);

impl Hasher for Even {
    fn write(&mut self, bytes: &[u8]) {
        if let Some(last) = bytes.last_chunk() {
            self.0 = u64::from_le_bytes(*last);
        }
    }

    fn write_usize(&mut self, _length: usize) {}

    fn finish(&self) -> u64 {
        self.0
    }
}

/// Hashes of messages, with what belongs to each.
pub(crate) type ByHash<T> = HashMap<MessageHash, T, BuildHasherDefault<Even>>;

/// When a message came that is in no run yet, and in which batch.
#[derive(Debug, Clone, Copy)]
pub(super) struct Recent {
    pub(super) received_us: i64,
    pub(super) seq: i64,
}

/// A run that is part of the window.
pub(super) struct Run {
    pub(super) run_id: i64,
    pub(super) index: Arc<RunIndex>,
}

/// A tenant's window as of its last batch that was read or written here.
#[derive(Default)]
pub(super) struct View {
    /// Every batch up to this one is known.
    pub(super) known_seq: i64,
    /// Batches that were added since the set of runs changed.
    pub(super) batches: i64,
    /// How often the set of runs had changed.
    pub(super) merges: i64,
    pub(super) recent: ByHash<Recent>,
    pub(super) runs: Vec<Run>,
    /// When it was used last, by the count of uses.
    pub(super) last_use: u64,
    /// When what expired was last let go of.
    pub(super) trimmed_us: i64,
}

/// What is known of a message without asking the store.
pub(super) enum Known {
    New,
    Seen,
    /// It may stand at these places of runs.
    Maybe(Vec<(i64, usize)>),
}

impl View {
    /// Says what is known of a message, of which what came before `cutoff_us` is forgotten.
    pub(super) fn ask(&self, hash: &MessageHash, cutoff_us: i64) -> Known {
        if self.recent.get(hash).is_some_and(|recent| recent.received_us >= cutoff_us) {
            return Known::Seen;
        }
        let mut places = Vec::new();
        for run in &self.runs {
            places.extend(run.index.places(hash).map(|place| (run.run_id, place)));
        }
        if places.is_empty() { Known::New } else { Known::Maybe(places) }
    }

    /// Adds the messages of a batch.
    pub(super) fn add(&mut self, seq: i64, received_us: i64, hashes: impl IntoIterator<Item = MessageHash>) {
        for hash in hashes {
            let recent = self.recent.entry(hash).or_insert(Recent { received_us, seq });
            // Of two the later counts, as in merges.
            *recent = Recent { received_us: recent.received_us.max(received_us), seq };
        }
        self.known_seq = self.known_seq.max(seq);
        self.batches += 1;
    }

    /// Lets go of what is in runs by now.
    pub(super) fn forget_merged(&mut self, merged_seq: i64) {
        self.recent.retain(|_, recent| recent.seq > merged_seq);
        // After a flood it would stay as large as it ever was.
        self.recent.shrink_to(2 * self.recent.len());
        self.batches = 0;
    }

    /// Lets go of what expired, now and then.
    pub(super) fn trim(&mut self, now_us: i64, cutoff_us: i64) {
        const EVERY_US: i64 = 600_000_000;
        if now_us.saturating_sub(self.trimmed_us) >= EVERY_US {
            self.recent.retain(|_, recent| recent.received_us >= cutoff_us);
            self.trimmed_us = now_us;
        }
    }

    /// Returns about how much memory it takes, in bytes.
    pub(super) fn bytes(&self) -> usize {
        let recent = self.recent.capacity() * (size_of::<(MessageHash, Recent)>() + 1);
        recent + self.runs.iter().map(|run| run.index.bytes()).sum::<usize>()
    }
}

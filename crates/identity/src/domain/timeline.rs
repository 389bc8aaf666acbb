//! Where a person's events stand in the profile log.
//!
//! A pointer is an event time and an offset; the partition is that of the profile. The newest few travel with the
//! person, so that an event costs no row of its own; full chunks are put away.

/// A pointer to an event in the profile's partition of the profile log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Pointer {
    /// Event time.
    pub(crate) time_us: i64,
    /// Offset of the record.
    pub(crate) offset: u64,
}

/// How many pointers travel with the person before they are put away.
pub(crate) const CHUNK: usize = 64;

/// The pointers of one person.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Timeline {
    /// Those not yet put away, in order of arrival.
    pub(crate) head: Vec<Pointer>,
    /// How many chunks are stored, numbered from 0.
    pub(crate) stored_chunks: i64,
    /// Chunks that the next save stores, numbered from `stored_chunks` on.
    pub(crate) full: Vec<Vec<Pointer>>,
}

impl Timeline {
    /// Adds an event.
    pub(crate) fn push(&mut self, pointer: Pointer) {
        self.head.push(pointer);
        if self.head.len() >= CHUNK {
            self.full.push(std::mem::take(&mut self.head));
        }
    }

    /// Returns the chunks to store, with their numbers, and counts them as stored.
    pub(crate) fn take_full(&mut self) -> Vec<(i64, Vec<Pointer>)> {
        let first = self.stored_chunks;
        self.stored_chunks += self.full.len() as i64;
        self.full.drain(..).enumerate().map(|(index, chunk)| (first + index as i64, chunk)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn full_chunks_are_put_away_once_and_numbered_on() {
        let mut timeline = Timeline::default();
        for offset in 0..(2 * CHUNK as u64 + 3) {
            timeline.push(Pointer { time_us: 0, offset });
        }

        let first = timeline.take_full();
        let again = timeline.take_full();

        assert_eq!(
            first.iter().map(|(number, chunk)| (*number, chunk.len())).collect::<Vec<_>>(),
            [(0, CHUNK), (1, CHUNK)]
        );
        assert!(again.is_empty());
        assert_eq!((timeline.head.len(), timeline.stored_chunks), (3, 2));
    }
}

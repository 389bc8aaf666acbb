//! Entries of runs: a hash and when it was received; how they are stored and merged.

use store::Error;

use crate::domain::finish::MessageHash;

/// Bytes of a stored entry: 16 of the hash, 8 of the time.
const ENTRY_BYTES: usize = 24;

/// A message that was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Entry {
    pub(super) hash: MessageHash,
    pub(super) received_us: i64,
}

/// Serialises a block.
pub(super) fn to_bytes(entries: &[Entry]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(entries.len() * ENTRY_BYTES);
    for entry in entries {
        bytes.extend_from_slice(&entry.hash);
        bytes.extend_from_slice(&entry.received_us.to_be_bytes());
    }
    bytes
}

/// Reads a block.
pub(super) fn from_bytes(bytes: &[u8]) -> Result<Vec<Entry>, Error> {
    let (entries, rest) = bytes.as_chunks::<ENTRY_BYTES>();
    if !rest.is_empty() {
        return Err(Error::Damaged("a block of a seen run".into()));
    }
    Ok(entries.iter().map(entry).collect())
}

fn entry(bytes: &[u8; ENTRY_BYTES]) -> Entry {
    let (hash, time) = bytes.split_first_chunk().expect("an entry has 24 bytes");
    let received_us = i64::from_be_bytes(time.try_into().expect("an entry has 24 bytes"));
    Entry { hash: *hash, received_us }
}

/// A sorted stream of entries, of which some are at hand.
#[derive(Debug, Default)]
pub(super) struct Stream {
    entries: Vec<Entry>,
    next: usize,
}

impl Stream {
    /// Goes on with these entries; what was at hand must have been taken.
    pub(super) fn refill(&mut self, entries: Vec<Entry>) {
        (self.entries, self.next) = (entries, 0);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.next == self.entries.len()
    }

    fn head(&self) -> &Entry {
        &self.entries[self.next]
    }
}

/// Takes entries off the streams in order, each hash once with its latest time, until one of the streams has none at
/// hand or `out` has `limit`. What was received before `cutoff_us` is left out. Returns how many were.
pub(super) fn merge(streams: &mut [Stream], out: &mut Vec<Entry>, limit: usize, cutoff_us: i64) -> u64 {
    let mut expired = 0;
    while out.len() < limit && !streams.is_empty() && !streams.iter().any(Stream::is_empty) {
        let mut least = *streams[0].head();
        for stream in &streams[1..] {
            let head = stream.head();
            if head.hash < least.hash || (head.hash == least.hash && head.received_us > least.received_us) {
                least = *head;
            }
        }
        for stream in streams.iter_mut() {
            if stream.head().hash == least.hash {
                stream.next += 1;
            }
        }
        match least.received_us >= cutoff_us {
            true => out.push(least),
            false => expired += 1,
        }
    }
    expired
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(number: u8, received_us: i64) -> Entry {
        Entry { hash: [number; 16], received_us }
    }

    fn stream(entries: &[(u8, i64)]) -> Stream {
        let entries = entries.iter().map(|(number, time)| entry(*number, *time)).collect();
        Stream { entries, next: 0 }
    }

    #[test]
    fn blocks_come_out_as_they_went_in() {
        let entries = [entry(1, 5), entry(7, -1), entry(255, i64::MAX)];

        assert_eq!(from_bytes(&to_bytes(&entries)).unwrap(), entries);
        assert!(from_bytes(&[0; 25]).is_err());
    }

    #[test]
    fn each_hash_comes_once_with_its_latest_time_and_none_is_passed_by() {
        let mut streams = [stream(&[(1, 10), (3, 30), (4, 5)]), stream(&[(1, 11), (2, 20), (3, 29)])];
        let mut out = Vec::new();

        assert_eq!(merge(&mut streams, &mut out, 2, 10), 0);
        assert_eq!(out, [entry(1, 11), entry(2, 20)]);
        assert_eq!(merge(&mut streams, &mut out, 100, 10), 0);
        assert_eq!(out.last(), Some(&entry(3, 30)), "the second has nothing more at hand");

        let mut rest = [stream(&[(4, 5), (5, 10)])];
        assert_eq!(merge(&mut rest, &mut out, 100, 10), 1);
        assert_eq!(out.last(), Some(&entry(5, 10)));
    }
}

//! Where in a run a message may be: 16 bits of each hash, in buckets by its first bits.
//!
//! Some 2.4 bytes a message in memory, two places of memory touched for each question, and of 4,000 messages that are
//! not there about one sends its asker to the stored block in vain.

use store::Error;

use crate::domain::finish::MessageHash;

/// Hashes in one bucket, at most on average.
const PER_BUCKET: u64 = 16;
const HEAD_BYTES: usize = 12;

/// The index of one run.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct RunIndex {
    /// Bits of a hash that choose its bucket.
    bits: u32,
    /// Where each bucket begins in `prints`; one more for the end.
    offsets: Vec<u32>,
    /// Bits of each hash, in the order of the hashes.
    prints: Vec<u16>,
}

fn bucket(hash: &MessageHash, bits: u32) -> usize {
    let first = u64::from_be_bytes(*hash.first_chunk().expect("a hash has 16 bytes"));
    first.checked_shr(u64::BITS - bits).unwrap_or(0) as usize
}

fn print(hash: &MessageHash) -> u16 {
    // Not of those bits that chose the bucket.
    u16::from_be_bytes([hash[8], hash[9]])
}

impl RunIndex {
    /// Returns the places at which `hash` may stand in its run.
    pub(super) fn places(&self, hash: &MessageHash) -> impl Iterator<Item = usize> + use<'_> {
        let bucket = bucket(hash, self.bits);
        let (from, to) = (self.offsets[bucket] as usize, self.offsets[bucket + 1] as usize);
        let wanted = print(hash);
        let places = self.prints[from..to].iter().enumerate();
        places.filter_map(move |(place, print)| (*print == wanted).then_some(from + place))
    }

    /// Returns its size in memory, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.offsets.len() * 4 + self.prints.len() * 2
    }

    /// Returns it as it is stored.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEAD_BYTES + self.bytes());
        bytes.extend_from_slice(&self.bits.to_le_bytes());
        bytes.extend_from_slice(&(self.prints.len() as u64).to_le_bytes());
        bytes.extend(self.prints.iter().flat_map(|print| print.to_le_bytes()));
        bytes.extend(self.offsets.iter().flat_map(|offset| offset.to_le_bytes()));
        bytes
    }

    /// Reads what [`to_bytes`](Self::to_bytes) returned.
    pub(super) fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        Self::parse(bytes).ok_or_else(|| Error::Damaged("the index of a seen run".into()))
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        let (bits, rest) = bytes.split_first_chunk()?;
        let (count, rest) = rest.split_first_chunk()?;
        let bits = Some(u32::from_le_bytes(*bits)).filter(|bits| *bits < 40)?;
        let count = usize::try_from(u64::from_le_bytes(*count)).ok()?;
        let (prints, rest) = rest.split_at_checked(count.checked_mul(2)?)?;
        let (prints, _) = prints.as_chunks();
        let (offsets, left) = rest.as_chunks();
        let prints = prints.iter().map(|print| u16::from_le_bytes(*print)).collect();
        let offsets: Vec<u32> = offsets.iter().map(|offset| u32::from_le_bytes(*offset)).collect();
        let is_whole = left.is_empty() && offsets.len() == (1 << bits) + 1;
        let is_sound = offsets.is_sorted() && offsets.last().is_some_and(|end| *end as usize == count);
        (is_whole && is_sound).then_some(Self { bits, offsets, prints })
    }
}

/// Makes an index of hashes that come in order.
pub(super) struct IndexBuilder {
    bits: u32,
    offsets: Vec<u32>,
    prints: Vec<u16>,
}

impl IndexBuilder {
    /// Begins an index of about so many hashes.
    pub(super) fn new(expected: u64) -> Self {
        let buckets = expected.div_ceil(PER_BUCKET).next_power_of_two();
        let bits = buckets.trailing_zeros();
        Self { bits, offsets: Vec::with_capacity(buckets as usize + 1), prints: Vec::with_capacity(expected as usize) }
    }

    /// Adds the next hash.
    pub(super) fn push(&mut self, hash: &MessageHash) {
        self.begin_buckets(bucket(hash, self.bits));
        self.prints.push(print(hash));
    }

    pub(super) fn finish(mut self) -> RunIndex {
        self.begin_buckets(1 << self.bits);
        self.prints.shrink_to_fit();
        RunIndex { bits: self.bits, offsets: self.offsets, prints: self.prints }
    }

    fn begin_buckets(&mut self, through: usize) {
        while self.offsets.len() <= through {
            self.offsets.push(u32::try_from(self.prints.len()).expect("a run has fewer than 2^32 messages"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hashes(count: u64) -> Vec<MessageHash> {
        let mut hashes: Vec<MessageHash> = (0..count)
            .map(|number| {
                let high = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
                let low = high.rotate_left(29).wrapping_mul(0xbf58_476d_1ce4_e5b9);
                ((u128::from(high) << 64) | u128::from(low)).to_be_bytes()
            })
            .collect();
        hashes.sort_unstable();
        hashes
    }

    fn index(hashes: &[MessageHash], expected: u64) -> RunIndex {
        let mut builder = IndexBuilder::new(expected);
        hashes.iter().for_each(|hash| builder.push(hash));
        builder.finish()
    }

    #[test]
    fn every_message_is_found_at_its_place_and_few_others_are() {
        for (count, expected) in [(0, 0), (1, 1), (17, 17), (50_000, 50_000), (50_000, 400_000), (5_000, 10)] {
            let known = hashes(count);
            let index = index(&known, expected);

            for (place, hash) in known.iter().enumerate() {
                assert!(index.places(hash).any(|found| found == place), "{count} {expected} {place}");
            }
            let others = hashes(count + 100_000);
            let strangers = others.iter().filter(|hash| known.binary_search(hash).is_err());
            let in_vain = strangers.filter(|hash| index.places(hash).next().is_some()).count();
            assert!(expected < count || in_vain < 100, "{in_vain} of 100,000");
            assert_eq!(RunIndex::from_bytes(&index.to_bytes()).unwrap(), index);
        }
    }

    #[test]
    fn a_damaged_index_is_told() {
        let good = index(&hashes(1_000), 1_000).to_bytes();
        assert!(RunIndex::from_bytes(&[]).is_err());
        assert!(RunIndex::from_bytes(&good[..good.len() - 1]).is_err());
        for (place, value) in [(0, 60), (4, 1), (good.len() - 1, 0xff)] {
            let mut damaged = good.clone();
            damaged[place] = value;
            assert!(RunIndex::from_bytes(&damaged).is_err(), "{place}");
        }
    }
}

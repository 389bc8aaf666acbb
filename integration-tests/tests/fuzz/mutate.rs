//! Inputs made from others, the same for the same number in every run.

/// Longest input that is made, but by [`Mutator::flood`].
const MOST_BYTES: usize = 64 << 10;
/// Longest input that says one thing again and again.
const MOST_FLOOD_BYTES: usize = 1 << 20;
/// Bytes that end, begin or overflow something in one of the formats.
const TELLING: &[u8] = b"\0\n\r\"\\{}[](),:;.~?&=%#-+0919eEuAz/*\x08\x0a\x12\x7f\x80\xff";
/// Every how many inputs one is a flood.
const FLOOD_EVERY: u64 = 100;

/// Makes one input.
pub(crate) struct Mutator {
    state: u64,
    floods: bool,
}

impl Mutator {
    pub(crate) fn new(round: u64) -> Self {
        Self {
            state: round.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5851_f42d_4c95_7f2d,
            floods: round % FLOOD_EVERY == 1,
        }
    }

    /// Makes an input from one or two of `seeds`.
    pub(crate) fn make(mut self, seeds: &[&[u8]]) -> Vec<u8> {
        let mut input = seeds[self.below(seeds.len())].to_vec();
        if self.floods {
            self.flood(&mut input);
            return input;
        }
        for _ in 0..=self.below(6) {
            match self.below(8) {
                0 | 1 => self.flip(&mut input),
                2 => self.set(&mut input),
                3 => input.truncate(self.below(input.len() + 1)),
                4 => self.splice(&mut input, seeds),
                5 => self.repeat(&mut input),
                6 => self.remove(&mut input),
                _ => self.insert(&mut input),
            }
        }
        input.truncate(MOST_BYTES);
        input
    }

    fn flip(&mut self, input: &mut [u8]) {
        if let Some(place) = self.place(input) {
            input[place] ^= 1 << self.below(8);
        }
    }

    fn set(&mut self, input: &mut [u8]) {
        if let Some(place) = self.place(input) {
            input[place] = self.telling();
        }
    }

    fn insert(&mut self, input: &mut Vec<u8>) {
        let place = self.below(input.len() + 1);
        let byte = self.telling();
        input.insert(place, byte);
    }

    fn remove(&mut self, input: &mut Vec<u8>) {
        let (from, until) = self.part(input);
        input.drain(from..until);
    }

    /// The beginning of one and the end of another.
    fn splice(&mut self, input: &mut Vec<u8>, seeds: &[&[u8]]) {
        let other = seeds[self.below(seeds.len())];
        input.truncate(self.below(input.len() + 1));
        input.extend_from_slice(&other[self.below(other.len() + 1)..]);
    }

    fn repeat(&mut self, input: &mut Vec<u8>) {
        let (from, until) = self.part(input);
        let part = input[from..until].repeat(1 + self.below(64));
        input.splice(from..from, part);
        input.truncate(MOST_BYTES);
    }

    /// One part, mostly a few bytes long, as often as fits.
    fn flood(&mut self, input: &mut Vec<u8>) {
        let (from, mut until) = self.part(input);
        if self.below(4) != 0 {
            until = until.min(from + 1 + self.below(8));
        }
        let part = input[from..until].to_vec();
        if !part.is_empty() {
            let times = MOST_FLOOD_BYTES.saturating_sub(input.len()) / part.len();
            input.splice(from..from, part.repeat(times));
        }
    }

    fn part(&mut self, input: &[u8]) -> (usize, usize) {
        let (one, other) = (self.below(input.len() + 1), self.below(input.len() + 1));
        (one.min(other), one.max(other))
    }

    fn place(&mut self, input: &[u8]) -> Option<usize> {
        (!input.is_empty()).then(|| self.below(input.len()))
    }

    fn telling(&mut self) -> u8 {
        TELLING[self.below(TELLING.len())]
    }

    /// Returns a number below `limit`, which is at least 1.
    fn below(&mut self, limit: usize) -> usize {
        // SplitMix64: not good enough for secrets, good enough to go everywhere.
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % limit as u64) as usize
    }
}

//! Reading strings of the IAB bit by bit.

/// Longest string that is read, in characters: real ones have some hundreds.
pub(crate) const MAX_CHARS: usize = 8_192;

/// A base64url string as bits, six to a character. Whatever it holds, reading ends at its end.
pub(super) struct Bits {
    sextets: Vec<u8>,
    at: usize,
}

impl Bits {
    /// Decodes a string, padded or not; `None` when it is too long or holds another character.
    pub(super) fn decode(text: &str) -> Option<Self> {
        let text = text.trim_end_matches('=');
        if text.len() > MAX_CHARS {
            return None;
        }
        let sextets: Vec<u8> = text.bytes().map(|byte| SEXTETS[usize::from(byte)]).collect();
        (!sextets.contains(&NONE)).then_some(Self { sextets, at: 0 })
    }

    /// Returns how many bits are left.
    pub(super) fn left(&self) -> usize {
        self.sextets.len() * 6 - self.at
    }

    /// Takes a number of at most 64 bits.
    pub(super) fn take(&mut self, width: usize) -> Option<u64> {
        if width > self.left() {
            return None;
        }
        let mut number = 0;
        let mut missing = width;
        while missing > 0 {
            let unread = 6 - self.at % 6;
            let step = missing.min(unread);
            let bits = u64::from(self.sextets[self.at / 6]) >> (unread - step) & ((1 << step) - 1);
            number = number << step | bits;
            self.at += step;
            missing -= step;
        }
        Some(number)
    }

    /// Takes a number of at most 16 bits.
    pub(super) fn small(&mut self, width: usize) -> Option<u16> {
        u16::try_from(self.take(width)?).ok()
    }

    /// Takes one bit.
    pub(super) fn flag(&mut self) -> Option<bool> {
        Some(self.take(1)? == 1)
    }

    /// Passes over bits.
    pub(super) fn skip(&mut self, width: usize) -> Option<()> {
        if width > self.left() {
            return None;
        }
        self.at += width;
        Some(())
    }

    /// Takes a number in Fibonacci coding: 1 or more, its end marked by two ones.
    pub(super) fn fibonacci(&mut self) -> Option<u32> {
        let (mut term, mut next) = (1_u32, 2_u32);
        let mut sum = 0_u32;
        let mut before = false;
        loop {
            let one = self.flag()?;
            if one && before {
                return Some(sum);
            }
            if one {
                sum = sum.checked_add(term)?;
            }
            before = one;
            (term, next) = (next, term.checked_add(next)?);
        }
    }
}

/// Stands for a character of no meaning.
const NONE: u8 = 0xff;

/// The meaning of every character.
const SEXTETS: [u8; 256] = {
    let mut sextets = [NONE; 256];
    let mut byte = 0;
    while byte < 256 {
        sextets[byte] = match byte as u8 {
            letter @ b'A'..=b'Z' => letter - b'A',
            letter @ b'a'..=b'z' => letter - b'a' + 26,
            digit @ b'0'..=b'9' => digit - b'0' + 52,
            b'-' | b'+' => 62,
            b'_' | b'/' => 63,
            _ => NONE,
        };
        byte += 1;
    }
    sextets
};

#[cfg(test)]
pub(super) mod writing {
    //! Writing what the reader reads.

    /// Bits in the order they were put.
    #[derive(Default)]
    pub(crate) struct Writer(Vec<bool>);

    impl Writer {
        pub(crate) fn put(mut self, number: u64, width: usize) -> Self {
            self.0.extend((0..width).rev().map(|place| number >> place & 1 == 1));
            self
        }

        pub(crate) fn encode(&self) -> String {
            const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
            let sextet = |bits: &[bool]| (0..6).fold(0, |sum, at| sum << 1 | usize::from(bits.get(at) == Some(&true)));
            self.0.chunks(6).map(|bits| char::from(ALPHABET[sextet(bits)])).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::writing::Writer;
    use super::*;

    #[test]
    fn numbers_come_back_and_nothing_is_read_beyond_the_end() {
        let text = Writer::default().put(2, 6).put(1_000_000, 36).put(1, 1).encode();
        let mut bits = Bits::decode(&text).unwrap();

        assert_eq!((bits.take(6), bits.take(36), bits.flag()), (Some(2), Some(1_000_000), Some(true)));
        assert_eq!((bits.left(), bits.take(6), bits.skip(6), bits.take(5)), (5, None, None, Some(0)));
        assert!(Bits::decode("a b").is_none() && Bits::decode(&"A".repeat(MAX_CHARS + 1)).is_none());
    }

    #[test]
    fn fibonacci_numbers_are_read() {
        for (bits, number) in [(0b11, 1), (0b011, 2), (0b0011, 3), (0b1011, 4), (0b00011, 5), (0b10011, 6)] {
            let width = if number < 5 { [2, 3, 4, 4][number - 1] } else { 5 };
            let mut bits = Bits::decode(&Writer::default().put(bits, width).encode()).unwrap();
            assert_eq!(bits.fibonacci(), Some(number as u32));
        }
        assert_eq!(Bits::decode(&"A".repeat(2_000)).unwrap().fibonacci(), None, "a number without an end");
    }
}

//! Write keys: drawing them, recognising them, and keeping only their hash.

use sha2::{Digest, Sha256};

const PREFIX: &str = "wk_";
/// 32 characters of 62 are 190 bits.
const DRAWN_CHARS: usize = 32;
const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/// Most characters of a key that are shown again.
const SHOWN_CHARS: usize = 7;

/// SHA-256 of a write key: all that is kept of it.
pub(crate) type KeyHash = [u8; 32];

/// Returns a new key.
pub(crate) fn draw(rng: &mut impl rand::RngExt) -> String {
    let drawn = (0..DRAWN_CHARS).map(|_| char::from(ALPHABET[rng.random_range(0..ALPHABET.len())]));
    PREFIX.chars().chain(drawn).collect()
}

/// Whether a key brought along has the right form: 8 to 100 characters of `[A-Za-z0-9_-]`.
pub(crate) fn is_well_formed(key: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    (8..=100).contains(&key.len()) && key.bytes().all(allowed)
}

pub(crate) fn hash(key: &str) -> KeyHash {
    Sha256::digest(key.as_bytes()).into()
}

/// Returns the first characters, by which a person recognises the key; never more than half of it.
pub(crate) fn prefix(key: &str) -> &str {
    let shown = SHOWN_CHARS.min(key.len() / 2);
    key.get(..shown).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drawn_keys_are_well_formed_and_differ() {
        let first = draw(&mut rand::rng());
        let second = draw(&mut rand::rng());

        assert!(is_well_formed(&first) && first.starts_with(PREFIX));
        assert_ne!(first, second);
        assert_ne!(hash(&first), hash(&second));
        assert_eq!(prefix(&first).len(), SHOWN_CHARS);
        assert_eq!(prefix("12345678"), "1234");
    }

    #[test]
    fn other_forms_are_refused() {
        for key in ["", "short", "with space", "schlüssel", &"x".repeat(101)] {
            assert!(!is_well_formed(key), "{key}");
        }
    }
}

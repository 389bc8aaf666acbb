use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest, Sha256};

/// Head of every secret key, so that scanners and people recognise a leaked one.
pub(crate) const KEY_HEAD: &str = "csk_";

/// Characters of a key that may be shown: the head and four more.
const PREFIX_LENGTH: usize = KEY_HEAD.len() + 4;

/// A secret key as it is made: in clear once, then only as a hash.
pub(crate) struct NewKey {
    pub(crate) secret: String,
    pub(crate) prefix: String,
    pub(crate) hash: Vec<u8>,
}

impl NewKey {
    /// Draws a key of 256 random bits.
    pub(crate) fn draw() -> Self {
        let random: [u8; 32] = rand::random();
        let secret = format!("{KEY_HEAD}{}", URL_SAFE_NO_PAD.encode(random));
        Self { prefix: secret[..PREFIX_LENGTH].to_owned(), hash: hash(&secret), secret }
    }
}

/// Returns the hash that stands for a key at rest. A plain digest is enough: the key has 256 random bits, so there is
/// nothing to guess, and looking up by digest leaks no timing about the key itself.
pub(crate) fn hash(secret: &str) -> Vec<u8> {
    Sha256::digest(secret.as_bytes()).to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_shows_only_its_prefix_and_is_found_by_its_hash() {
        let first = NewKey::draw();
        let second = NewKey::draw();

        assert_ne!(first.secret, second.secret);
        assert!(first.secret.starts_with(&first.prefix) && first.prefix.len() == PREFIX_LENGTH);
        assert_eq!(hash(&first.secret), first.hash);
    }
}

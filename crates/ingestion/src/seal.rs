//! Sealing what waits for an answer: each person's events under a key of their own, that key under the key of the
//! configuration. To destroy the one is to destroy the others.

use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use sha2::{Digest, Sha256};

const KEY_BYTES: usize = 32;

/// The key of the configuration; without one nothing can wait.
pub(crate) struct Sealer(Option<LessSafeKey>);

/// The key of one person.
pub(crate) struct SubjectKey(LessSafeKey);

impl Sealer {
    /// Makes the key out of a secret; an empty one makes none.
    pub(crate) fn new(secret: &str) -> Self {
        let derive = |secret: &str| key(&Sha256::digest(["comptoir: events that wait for consent", secret].join("\0")));
        Self((!secret.is_empty()).then(|| derive(secret)))
    }

    /// Whether there is a key.
    pub(crate) fn can_seal(&self) -> bool {
        self.0.is_some()
    }

    /// Draws the key of a person, and returns it sealed.
    pub(crate) fn draw(&self, whose: &[u8]) -> Option<Vec<u8>> {
        let drawn: [u8; KEY_BYTES] = rand::random();
        self.0.as_ref().and_then(|master| seal(master, whose, &drawn))
    }

    /// Opens the key of a person; `None` when it was sealed by another configuration or for somebody else.
    pub(crate) fn open(&self, whose: &[u8], sealed: &[u8]) -> Option<SubjectKey> {
        let opened = open(self.0.as_ref()?, whose, sealed)?;
        (opened.len() == KEY_BYTES).then(|| SubjectKey(key(&opened)))
    }
}

impl SubjectKey {
    /// Seals an event, bound to what it is.
    pub(crate) fn seal(&self, what: &[u8], plain: &[u8]) -> Option<Vec<u8>> {
        seal(&self.0, what, plain)
    }

    /// Opens an event; `None` when it was changed, or is another.
    pub(crate) fn open(&self, what: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
        open(&self.0, what, sealed)
    }
}

fn key(bytes: &[u8]) -> LessSafeKey {
    LessSafeKey::new(UnboundKey::new(&CHACHA20_POLY1305, bytes).expect("a key has 32 bytes"))
}

/// Returns a nonce and what it was sealed with. Nonces are drawn: a key seals some hundreds of things, so that two alike
/// are as good as impossible.
fn seal(key: &LessSafeKey, what: &[u8], plain: &[u8]) -> Option<Vec<u8>> {
    let nonce: [u8; NONCE_LEN] = rand::random();
    let mut text = plain.to_vec();
    key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(what), &mut text).ok()?;
    Some([&nonce[..], &text].concat())
}

fn open(key: &LessSafeKey, what: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
    let (nonce, text) = sealed.split_first_chunk::<NONCE_LEN>()?;
    let mut text = text.to_vec();
    let plain = key.open_in_place(Nonce::assume_unique_for_key(*nonce), Aad::from(what), &mut text).ok()?;
    Some(plain.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_right_key_opens_what_was_sealed() {
        let sealer = Sealer::new("a secret of the configuration");
        let sealed_key = sealer.draw(b"somebody").unwrap();
        let key = sealer.open(b"somebody", &sealed_key).unwrap();
        let sealed = key.seal(b"event 1", b"what happened").unwrap();

        assert!(!sealed.windows(13).any(|window| window == b"what happened"));
        assert_eq!(key.open(b"event 1", &sealed).unwrap(), b"what happened");
        assert_eq!(key.open(b"event 2", &sealed), None);
        let mut damaged = sealed.clone();
        damaged[NONCE_LEN] ^= 1;
        assert_eq!(key.open(b"event 1", &damaged), None);
        assert_eq!(key.open(b"event 1", b"short"), None);
        assert!(sealer.open(b"somebody else", &sealed_key).is_none());
        assert!(Sealer::new("another").open(b"somebody", &sealed_key).is_none());
        assert!(!Sealer::new("").can_seal() && Sealer::new("").draw(b"x").is_none());
    }
}

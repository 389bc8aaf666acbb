//! Signed tokens of links, and keyed hashes of addresses.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use kit::TenantId;
use sha2::Sha256;
use subtle::ConstantTimeEq;
use uuid::Uuid;

const MAC_BYTES: usize = 16;
const HEAD_BYTES: usize = 1 + 16 + 2;
const LONGEST_TOKEN: usize = 256;

/// What a link is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    Click,
    Open,
    Unsubscribe,
}

/// What a token carries: no address and no name, only where to look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) purpose: Purpose,
    pub(crate) tenant: TenantId,
    pub(crate) message_id: Uuid,
    /// Of the link in the message, for clicks.
    pub(crate) link: u16,
}

/// Signs tokens and hashes addresses, each with a key of its own. Cloning is cheap.
#[derive(Clone)]
pub(crate) struct Keys {
    links: Hmac<Sha256>,
    addresses: Hmac<Sha256>,
}

impl Keys {
    /// Returns the keys for these secrets.
    pub(crate) fn new(link_secret: &[u8], address_secret: &[u8]) -> Self {
        Self {
            links: derived(link_secret, b"comptoir links v1"),
            addresses: derived(address_secret, b"comptoir addresses v1"),
        }
    }

    /// Returns the token as it stands in a link.
    pub(crate) fn sign(&self, token: &Token) -> String {
        let mut bytes = Vec::with_capacity(HEAD_BYTES + 64 + MAC_BYTES);
        bytes.push(token.purpose.number());
        bytes.extend_from_slice(token.message_id.as_bytes());
        bytes.extend_from_slice(&token.link.to_be_bytes());
        bytes.extend_from_slice(token.tenant.as_str().as_bytes());
        let mac = self.mac(&bytes);
        bytes.extend_from_slice(&mac);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Reads a token of this purpose; none when it was not signed with our key.
    pub(crate) fn verify(&self, text: &str, purpose: Purpose) -> Option<Token> {
        if text.len() > LONGEST_TOKEN {
            return None;
        }
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let signed = bytes.len().checked_sub(MAC_BYTES).filter(|&signed| signed > HEAD_BYTES)?;
        let (content, mac) = bytes.split_at(signed);
        if !bool::from(self.mac(content).ct_eq(mac)) || content[0] != purpose.number() {
            return None;
        }
        Some(Token {
            purpose,
            tenant: std::str::from_utf8(&content[HEAD_BYTES..]).ok()?.parse().ok()?,
            message_id: Uuid::from_slice(&content[1..17]).ok()?,
            link: u16::from_be_bytes([content[17], content[18]]),
        })
    }

    /// Returns the keyed hash under which an address of a tenant is suppressed. Case and surrounding space do not count.
    pub(crate) fn address_hash(&self, tenant: &TenantId, channel: i32, address: &str) -> Vec<u8> {
        let mut keyed = self.addresses.clone();
        keyed.update(tenant.as_str().as_bytes());
        keyed.update(&[0]);
        keyed.update(&channel.to_be_bytes());
        keyed.update(address.trim().to_lowercase().as_bytes());
        keyed.finalize().into_bytes().to_vec()
    }

    fn mac(&self, content: &[u8]) -> [u8; MAC_BYTES] {
        let mut keyed = self.links.clone();
        keyed.update(content);
        let full = keyed.finalize().into_bytes();
        full[..MAC_BYTES].try_into().expect("SHA-256 is longer than the part that is kept")
    }
}

impl Purpose {
    fn number(self) -> u8 {
        match self {
            Self::Click => 1,
            Self::Open => 2,
            Self::Unsubscribe => 3,
        }
    }
}

/// A key for one use, so that no two uses share one.
fn derived(secret: &[u8], usage: &[u8]) -> Hmac<Sha256> {
    let mut root = Hmac::<Sha256>::new_from_slice(secret).expect("HMAC takes a key of any length");
    root.update(usage);
    let key = root.finalize().into_bytes();
    Hmac::new_from_slice(&key).expect("HMAC takes a key of any length")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys() -> Keys {
        Keys::new(b"links", b"addresses")
    }

    fn token() -> Token {
        let tenant = "shop".try_into().unwrap();
        Token { purpose: Purpose::Click, tenant, message_id: Uuid::from_u128(7), link: 513 }
    }

    #[test]
    fn a_signed_token_is_read_back_and_a_changed_one_is_not() {
        let text = keys().sign(&token());
        assert_eq!(keys().verify(&text, Purpose::Click), Some(token()));
        assert_eq!(keys().verify(&text, Purpose::Unsubscribe), None);
        assert_eq!(Keys::new(b"other", b"addresses").verify(&text, Purpose::Click), None);

        let bytes = URL_SAFE_NO_PAD.decode(&text).unwrap();
        for index in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[index] ^= 1;
            assert_eq!(keys().verify(&URL_SAFE_NO_PAD.encode(changed), Purpose::Click), None, "byte {index}");
        }
        for bad in ["", "x", "!!!", &"A".repeat(300)] {
            assert_eq!(keys().verify(bad, Purpose::Click), None);
        }
    }

    #[test]
    fn an_address_hashes_the_same_however_it_is_written_and_differently_per_tenant() {
        let (shop, rival) = ("shop".try_into().unwrap(), "rival".try_into().unwrap());

        assert_eq!(
            keys().address_hash(&shop, 1, " Ann@Shop.Example "),
            keys().address_hash(&shop, 1, "ann@shop.example")
        );
        assert_ne!(
            keys().address_hash(&shop, 1, "ann@shop.example"),
            keys().address_hash(&rival, 1, "ann@shop.example")
        );
    }
}

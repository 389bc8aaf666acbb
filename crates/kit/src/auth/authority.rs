use std::{fmt, time::Duration};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, Utc};
use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use super::scope;
use crate::{Error, TenantId};

/// Version mark at the head of every token; part of what is signed.
const VERSION: &str = "c1";

/// Longest token that is looked at, in bytes. Longer ones are refused before any work is done on them.
const MAX_TOKEN_BYTES: usize = 4096;

/// What a verified credential says about its bearer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuthContext {
    /// The tenant the bearer is confined to; `None` for services.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<TenantId>,
    /// Who it is: the id of an API key, or the name of a service. Never a secret, never personal data.
    pub subject: String,
    /// What it may do; see [`scope`](crate::auth::scope). Services may do everything and list none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scopes: Vec<String>,
    /// Whether it is one of our services, which may act for any tenant.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub service: bool,
}

impl AuthContext {
    /// Returns the context of a service of ours.
    pub fn service(name: impl Into<String>) -> Self {
        Self { tenant: None, subject: name.into(), scopes: Vec::new(), service: true }
    }

    /// Returns the context of a bearer confined to one tenant.
    pub fn tenant(tenant: TenantId, subject: impl Into<String>, scopes: &[&str]) -> Self {
        let scopes = scopes.iter().map(|&scope| scope.to_owned()).collect();
        Self { tenant: Some(tenant), subject: subject.into(), scopes, service: false }
    }

    /// Tells whether the bearer may do what `wanted` names.
    pub fn allows(&self, wanted: &str) -> bool {
        self.service || self.scopes.iter().any(|scope| scope == wanted || scope == scope::ADMIN)
    }
}

/// Signs and verifies tokens with the secret that all services share. Cloning is cheap.
///
/// A token is `c1.<base64url of JSON>.<base64url of HMAC-SHA256>`. It is stateless and cannot be revoked, hence short-lived.
#[derive(Clone)]
pub struct Authority {
    keyed: Hmac<Sha256>,
}

#[derive(Serialize, Deserialize)]
struct Claims {
    #[serde(flatten)]
    context: AuthContext,
    /// End of validity, in microseconds since the Unix epoch.
    exp_us: i64,
}

impl Authority {
    /// Returns the authority for `secret`, which should hold 32 random bytes or more.
    pub fn new(secret: &[u8]) -> Self {
        let keyed = Hmac::new_from_slice(secret).expect("HMAC takes a key of any length");
        Self { keyed }
    }

    /// Returns a token for `context`, valid until `now + ttl`.
    pub fn sign(&self, context: &AuthContext, ttl: Duration, now: DateTime<Utc>) -> String {
        let ttl_us = i64::try_from(ttl.as_micros()).unwrap_or(i64::MAX);
        let claims = Claims { context: context.clone(), exp_us: now.timestamp_micros().saturating_add(ttl_us) };
        let json = serde_json::to_vec(&claims).expect("claims are plain data");

        let mut token = format!("{VERSION}.{}", URL_SAFE_NO_PAD.encode(json));
        let tag = self.tag(&token).finalize().into_bytes();
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(tag, &mut token);
        token
    }

    /// Returns what `token` says, if this authority signed it and it is still valid at `now`.
    pub fn verify(&self, token: &str, now: DateTime<Utc>) -> Result<AuthContext, Error> {
        let claims = self
            .claims(token)
            .ok_or_else(|| Error::unauthenticated("CREDENTIAL_INVALID", "the credential is not one of ours"))?;
        if claims.exp_us <= now.timestamp_micros() {
            return Err(Error::unauthenticated("CREDENTIAL_EXPIRED", "the credential has expired"));
        }
        Ok(claims.context)
    }

    /// Returns the claims of a token with a valid signature. Nothing is decoded before the signature holds.
    fn claims(&self, token: &str) -> Option<Claims> {
        if token.len() > MAX_TOKEN_BYTES {
            return None;
        }
        let (signed, tag) = token.rsplit_once('.')?;
        let tag = URL_SAFE_NO_PAD.decode(tag).ok()?;
        self.tag(signed).verify_slice(&tag).ok()?;

        let (version, payload) = signed.split_once('.')?;
        if version != VERSION {
            return None;
        }
        let json = URL_SAFE_NO_PAD.decode(payload).ok()?;
        serde_json::from_slice(&json).ok()
    }

    fn tag(&self, signed: &str) -> Hmac<Sha256> {
        let mut mac = self.keyed.clone();
        mac.update(signed.as_bytes());
        mac
    }
}

impl fmt::Debug for Authority {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Authority(***)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shop_key() -> AuthContext {
        AuthContext::tenant("shop".parse().unwrap(), "key-1", &[scope::EVENTS_WRITE])
    }

    #[test]
    fn a_signed_token_is_verified_until_it_expires() {
        let authority = Authority::new(b"secret");
        let now = Utc::now();
        let token = authority.sign(&shop_key(), Duration::from_secs(60), now);

        let soon = now + chrono::Duration::seconds(59);
        let later = now + chrono::Duration::seconds(60);

        assert_eq!(authority.verify(&token, soon).unwrap(), shop_key());
        assert_eq!(authority.verify(&token, later).unwrap_err().reason, "CREDENTIAL_EXPIRED");
    }

    #[test]
    fn a_forged_or_changed_token_is_refused() {
        let now = Utc::now();
        let ours = Authority::new(b"secret");
        let theirs = Authority::new(b"guess").sign(&shop_key(), Duration::from_secs(60), now);
        let honest = ours.sign(&shop_key(), Duration::from_secs(60), now);
        let service = ours.sign(&AuthContext::service("identity"), Duration::from_secs(60), now);
        let honest_parts: Vec<&str> = honest.split('.').collect();
        let service_parts: Vec<&str> = service.split('.').collect();
        let spliced = format!("{VERSION}.{}.{}", service_parts[1], honest_parts[2]);

        for forged in [theirs, spliced, String::new(), "c1..".into(), honest.replace("c1.", "c2."), "é.ü".into()] {
            assert_eq!(ours.verify(&forged, now).unwrap_err().reason, "CREDENTIAL_INVALID", "{forged}");
        }
    }

    #[test]
    fn admin_stands_for_every_scope_and_no_other_does() {
        let admin = AuthContext::tenant("shop".parse().unwrap(), "key-2", &[scope::ADMIN]);

        assert!(scope::ALL.iter().all(|wanted| admin.allows(wanted)));
        assert!(!shop_key().allows(scope::ADMIN));
        assert!(!shop_key().allows(scope::PROFILES_READ));
    }
}

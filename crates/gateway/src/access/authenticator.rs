use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use kit::{
    Clock, Error, TenantId,
    auth::{AuthContext, Authority, scope},
};
use subtle::ConstantTimeEq;

use super::{AccessStore, key};

/// Most keys remembered at once; beyond it all are forgotten, which costs look-ups and nothing else.
const MAX_REMEMBERED: usize = 10_000;

/// How long an internal token lives: long enough for a slow call, short enough to be worthless when it leaks.
const TOKEN_LIFE: Duration = Duration::from_secs(300);

/// Tells who a caller is from its `authorization` header, and speaks for it to the services.
#[derive(Clone)]
pub(crate) struct Authenticator {
    store: AccessStore,
    authority: Authority,
    operator_key: Arc<str>,
    cache_time: Duration,
    remembered: Arc<Mutex<Remembered>>,
}

/// What the hash of a key may do, and since when that is known.
type Remembered = HashMap<Vec<u8>, (AuthContext, Instant)>;

impl Authenticator {
    pub(crate) fn new(store: AccessStore, authority: Authority, operator_key: &str, cache_time: Duration) -> Self {
        Self { store, authority, operator_key: operator_key.into(), cache_time, remembered: Arc::default() }
    }

    /// Returns what the credential in an `authorization` header may do.
    ///
    /// Takes `Bearer KEY`, and `Basic` with the key as the user name. A key is a secret key, the operator's key, or a
    /// token of one of our services.
    pub(crate) async fn identify(&self, authorization: Option<&str>) -> Result<AuthContext, Error> {
        let header = authorization
            .ok_or_else(|| Error::unauthenticated("CREDENTIAL_MISSING", "send a key as `authorization: Bearer KEY`"))?;
        let credential = credential(header)
            .ok_or_else(|| Error::unauthenticated("CREDENTIAL_INVALID", "the authorization header cannot be read"))?;

        if !self.operator_key.is_empty() && bool::from(credential.as_bytes().ct_eq(self.operator_key.as_bytes())) {
            let scopes = vec![scope::ADMIN.to_owned()];
            return Ok(AuthContext { tenant: None, subject: "operator".into(), scopes, service: false });
        }
        if credential.starts_with(key::KEY_HEAD) {
            return self.by_secret_key(&credential).await;
        }
        self.authority.verify(&credential, Clock::system().now())
    }

    /// Returns the token by which the services know this caller.
    pub(crate) fn token(&self, context: &AuthContext) -> String {
        self.authority.sign(context, TOKEN_LIFE, Clock::system().now())
    }

    async fn by_secret_key(&self, secret: &str) -> Result<AuthContext, Error> {
        let hash = key::hash(secret);
        if let Some(context) = self.recall(&hash) {
            return Ok(context);
        }
        let row = self
            .store
            .find_key(&hash)
            .await?
            .ok_or_else(|| Error::unauthenticated("CREDENTIAL_INVALID", "the key is not known"))?;

        let tenant = TenantId::try_from(row.tenant_id.as_str()).map_err(Error::internal)?;
        let scopes = row.scopes.split_whitespace().map(str::to_owned).collect();
        let context = AuthContext { tenant: Some(tenant), subject: row.api_key_id, scopes, service: false };
        self.remember(hash, &context);
        Ok(context)
    }

    fn recall(&self, hash: &[u8]) -> Option<AuthContext> {
        let remembered = self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        let (context, until) = remembered.get(hash)?;
        (Instant::now() < *until).then(|| context.clone())
    }

    fn remember(&self, hash: Vec<u8>, context: &AuthContext) {
        let mut remembered = self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        if remembered.len() >= MAX_REMEMBERED {
            remembered.clear();
        }
        remembered.insert(hash, (context.clone(), Instant::now() + self.cache_time));
    }
}

fn credential(header: &str) -> Option<String> {
    let (scheme, value) = header.split_once(' ')?;
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(value.trim().to_owned());
    }
    if scheme.eq_ignore_ascii_case("basic") {
        let decoded = String::from_utf8(STANDARD.decode(value.trim()).ok()?).ok()?;
        let user = decoded.split_once(':').map_or(decoded.as_str(), |(user, _)| user);
        return Some(user.to_owned());
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_read_from_bearer_and_basic() {
        let cases = [
            ("Bearer csk_x", Some("csk_x")),
            ("bearer  csk_x ", Some("csk_x")),
            ("Basic Y3NrX3g6", Some("csk_x")),
            ("Basic Y3NrX3g=", Some("csk_x")),
            ("Basic ***", None),
            ("csk_x", None),
            ("Digest x", None),
        ];
        for (header, expected) in cases {
            assert_eq!(credential(header).as_deref(), expected, "{header}");
        }
    }
}

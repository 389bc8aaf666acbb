use std::{
    fmt,
    sync::{Arc, PoisonError, RwLock},
    time::{Duration, Instant},
};

use http::HeaderValue;

use crate::{
    Clock, TenantId,
    auth::{AuthContext, Authority},
};

/// How long a token of ours is valid. It is renewed at half of that.
const TOKEN_LIFE: Duration = Duration::from_secs(300);

/// Whom the calls through a channel come from: a source of short-lived tokens. Cloning shares the current token.
///
/// Tokens live on real time, whatever clock the service runs on: a virtual clock may jump a day between signing and verifying.
#[derive(Clone)]
pub struct Credential(Option<Arc<Signer>>);

struct Signer {
    authority: Authority,
    context: AuthContext,
    current: RwLock<Option<(HeaderValue, Instant)>>,
}

impl Credential {
    /// Returns the credential of a service of ours, which may act for any tenant; see [`for_tenant`](super::for_tenant).
    pub fn service(authority: &Authority, name: &str) -> Self {
        Self::of(authority, AuthContext::service(name))
    }

    /// Returns a credential confined to one tenant and some scopes.
    pub fn tenant(authority: &Authority, tenant: TenantId, subject: &str, scopes: &[&str]) -> Self {
        Self::of(authority, AuthContext::tenant(tenant, subject, scopes))
    }

    /// Returns the credential of whomever `context` describes.
    pub fn of(authority: &Authority, context: AuthContext) -> Self {
        Self(Some(Arc::new(Signer { authority: authority.clone(), context, current: RwLock::new(None) })))
    }

    /// Returns no credential at all: calls carry what their maker puts on them.
    pub fn none() -> Self {
        Self(None)
    }

    /// Returns the value of the `authorization` header, if there is a credential.
    pub fn header(&self) -> Option<HeaderValue> {
        let signer = self.0.as_deref()?;
        if let Some((header, renewal)) = &*signer.current.read().unwrap_or_else(PoisonError::into_inner)
            && Instant::now() < *renewal
        {
            return Some(header.clone());
        }
        Some(signer.renew())
    }
}

impl Signer {
    fn renew(&self) -> HeaderValue {
        let token = self.authority.sign(&self.context, TOKEN_LIFE, Clock::system().now());
        let mut header = HeaderValue::try_from(format!("Bearer {token}")).expect("a token is plain ASCII");
        header.set_sensitive(true);

        let renewal = Instant::now() + TOKEN_LIFE / 2;
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Some((header.clone(), renewal));
        header
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let subject = self.0.as_ref().map(|signer| signer.context.subject.as_str());
        write!(formatter, "Credential({})", subject.unwrap_or("none"))
    }
}

use tonic::Request;

use super::{AuthContext, TENANT_METADATA};
use crate::{Error, TenantId};

/// Who calls, for which tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The tenant whose data the call may touch.
    pub tenant: TenantId,
    /// Who it is: the id of an API key, or the name of a service.
    pub subject: String,
}

/// Returns the caller, if its credential allows `scope`. The first line of every handler.
///
/// The tenant comes from the credential. A service credential names it in `comptoir-tenant` metadata instead; metadata that
/// contradicts a tenant's credential is refused rather than ignored, as it is a mistake or an attempt.
pub fn caller<T>(request: &Request<T>, scope: &str) -> Result<Caller, Error> {
    let context = context(request)?;
    if !context.allows(scope) {
        return Err(Error::permission_denied("SCOPE_MISSING", format!("the credential lacks the scope {scope}")));
    }

    let named = named_tenant(request)?;
    let tenant = match (&context.tenant, named) {
        (Some(own), Some(named)) if *own != named => {
            return Err(Error::permission_denied("TENANT_MISMATCH", "the credential belongs to another tenant"));
        }
        (Some(own), _) => own.clone(),
        (None, Some(named)) if context.service => named,
        (None, _) => {
            return Err(Error::invalid(
                "TENANT_REQUIRED",
                format!("a service names the tenant in the metadata {TENANT_METADATA}"),
            ));
        }
    };
    Ok(Caller { tenant, subject: context.subject.clone() })
}

/// Returns the name of the calling service; anyone else is refused.
pub fn service_caller<T>(request: &Request<T>) -> Result<String, Error> {
    let context = context(request)?;
    if !context.service {
        return Err(Error::permission_denied("SERVICE_ONLY", "only services may call this"));
    }
    Ok(context.subject.clone())
}

fn context<T>(request: &Request<T>) -> Result<&AuthContext, Error> {
    request
        .extensions()
        .get::<AuthContext>()
        .ok_or_else(|| Error::unauthenticated("CREDENTIAL_MISSING", "the call carries no credential"))
}

fn named_tenant<T>(request: &Request<T>) -> Result<Option<TenantId>, Error> {
    let Some(value) = request.metadata().get(TENANT_METADATA) else {
        return Ok(None);
    };
    let text = value.to_str().unwrap_or_default();
    TenantId::try_from(text).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Kind, auth::scope};

    fn request(context: Option<AuthContext>, named: Option<&str>) -> Request<()> {
        let mut request = Request::new(());
        if let Some(context) = context {
            request.extensions_mut().insert(context);
        }
        if let Some(named) = named {
            request.metadata_mut().insert(TENANT_METADATA, named.parse().unwrap());
        }
        request
    }

    fn shop() -> Option<AuthContext> {
        Some(AuthContext::tenant("shop".parse().unwrap(), "key-1", &[scope::PROFILES_READ]))
    }

    #[test]
    fn the_tenant_comes_from_the_credential() {
        let found = caller(&request(shop(), None), scope::PROFILES_READ).unwrap();

        assert_eq!(found.tenant.as_str(), "shop");
        assert_eq!(found.subject, "key-1");
    }

    #[test]
    fn a_tenant_cannot_name_another() {
        let refused = caller(&request(shop(), Some("rival")), scope::PROFILES_READ).unwrap_err();

        assert_eq!(refused.reason, "TENANT_MISMATCH");
    }

    #[test]
    fn a_missing_scope_or_credential_is_refused() {
        let unscoped = caller(&request(shop(), None), scope::PROFILES_WRITE).unwrap_err();
        let anonymous = caller(&request(None, Some("shop")), scope::PROFILES_READ).unwrap_err();

        assert_eq!(unscoped.kind, Kind::PermissionDenied);
        assert_eq!(anonymous.kind, Kind::Unauthenticated);
    }

    #[test]
    fn a_service_names_the_tenant_it_acts_for() {
        let service = || Some(AuthContext::service("campaign"));

        let named = caller(&request(service(), Some("shop")), scope::PROFILES_READ).unwrap();
        let unnamed = caller(&request(service(), None), scope::PROFILES_READ).unwrap_err();

        assert_eq!(named.tenant.as_str(), "shop");
        assert_eq!(unnamed.reason, "TENANT_REQUIRED");
        assert_eq!(service_caller(&request(service(), None)).unwrap(), "campaign");
        assert_eq!(service_caller(&request(shop(), None)).unwrap_err().reason, "SERVICE_ONLY");
    }
}

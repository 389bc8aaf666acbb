use kit::{
    Clock, Error, TenantId, Violations,
    auth::{AuthContext, scope},
    paging,
    time::timestamp,
};
use proto::gateway::v1::{
    ApiKey, CreateApiKeyRequest, CreateApiKeyResponse, CreateTenantRequest, CreateTenantResponse, ListApiKeysRequest,
    ListApiKeysResponse, ListTenantsRequest, ListTenantsResponse, RevokeApiKeyRequest, RevokeApiKeyResponse, Tenant,
    WhoAmIRequest, WhoAmIResponse, access_service_server::AccessService,
};
use tonic::{Request, Response, Status};
use uuid::Uuid;

use super::{
    AccessStore,
    key::NewKey,
    store::{KeyRow, TenantRow},
};

/// Largest page.
const MAX_PAGE: usize = 1_000;
/// Usual page.
const USUAL_PAGE: usize = 100;
/// Longest name, in characters.
const MAX_NAME: usize = 100;

/// Answers `AccessService`.
pub(crate) struct AccessHandler {
    pub(crate) store: AccessStore,
    pub(crate) clock: Clock,
}

#[tonic::async_trait]
impl AccessService for AccessHandler {
    async fn create_tenant(
        &self,
        request: Request<CreateTenantRequest>,
    ) -> Result<Response<CreateTenantResponse>, Status> {
        operator(&request)?;
        let asked = request.into_inner().tenant.unwrap_or_default();
        let mut violations = Violations::new();
        let tenant_id = violations.take(TenantId::try_from(asked.tenant_id.as_str()), "tenant.tenant_id");
        violations.check(asked.name.chars().count() <= MAX_NAME, "tenant.name", "must be at most 100 characters");
        violations.finish()?;
        let tenant_id = tenant_id.expect("checked above");

        let row = TenantRow { tenant_id: tenant_id.to_string(), name: asked.name, created_us: self.clock.now_us() };
        match self.store.insert_tenant(&row).await {
            Err(::store::Error::Conflict(_)) => {
                Err(Error::already_exists("TENANT_EXISTS", format!("tenant {tenant_id} exists")).into())
            }
            outcome => {
                outcome.map_err(Error::from)?;
                Ok(Response::new(CreateTenantResponse { tenant: Some(render_tenant(row)) }))
            }
        }
    }

    async fn list_tenants(
        &self,
        request: Request<ListTenantsRequest>,
    ) -> Result<Response<ListTenantsResponse>, Status> {
        operator(&request)?;
        let asked = request.into_inner();
        let (size, after) = page(asked.page_size, &asked.page_token)?;
        let mut rows = self.store.list_tenants(&after, size as i64 + 1).await.map_err(Error::from)?;
        let next_page_token = paging::cut(&mut rows, size, |row| row.tenant_id.clone());
        let tenants = rows.into_iter().map(render_tenant).collect();
        Ok(Response::new(ListTenantsResponse { tenants, next_page_token }))
    }

    async fn create_api_key(
        &self,
        request: Request<CreateApiKeyRequest>,
    ) -> Result<Response<CreateApiKeyResponse>, Status> {
        let context = admin(&request)?.clone();
        let asked = request.into_inner();
        let tenant = tenant_of(&context, &asked.tenant_id)?;
        let mut violations = Violations::new();
        violations.check(asked.name.chars().count() <= MAX_NAME, "name", "must be at most 100 characters");
        violations.check(!asked.scopes.is_empty(), "scopes", "must name at least one scope");
        for (index, wanted) in asked.scopes.iter().enumerate() {
            violations.check(
                scope::ALL.contains(&wanted.as_str()),
                format!("scopes[{index}]"),
                format!("must be one of {}", scope::ALL.join(", ")),
            );
        }
        violations.finish()?;
        if !self.store.tenant_exists(&tenant).await.map_err(Error::from)? {
            return Err(Error::not_found("TENANT_NOT_FOUND", format!("there is no tenant {tenant}")).into());
        }

        let key = NewKey::draw();
        let row = KeyRow {
            api_key_id: Uuid::now_v7().to_string(),
            tenant_id: tenant.to_string(),
            name: asked.name,
            prefix: key.prefix,
            scopes: asked.scopes.join(" "),
            created_us: self.clock.now_us(),
        };
        self.store.insert_key(&row, &key.hash).await.map_err(Error::from)?;
        Ok(Response::new(CreateApiKeyResponse { api_key: Some(render_key(row)), secret: key.secret }))
    }

    async fn list_api_keys(
        &self,
        request: Request<ListApiKeysRequest>,
    ) -> Result<Response<ListApiKeysResponse>, Status> {
        let context = admin(&request)?.clone();
        let asked = request.into_inner();
        let tenant = tenant_of(&context, &asked.tenant_id)?;
        let (size, after) = page(asked.page_size, &asked.page_token)?;
        let mut rows = self.store.list_keys(&tenant, &after, size as i64 + 1).await.map_err(Error::from)?;
        let next_page_token = paging::cut(&mut rows, size, |row| row.api_key_id.clone());
        let api_keys = rows.into_iter().map(render_key).collect();
        Ok(Response::new(ListApiKeysResponse { api_keys, next_page_token }))
    }

    async fn revoke_api_key(
        &self,
        request: Request<RevokeApiKeyRequest>,
    ) -> Result<Response<RevokeApiKeyResponse>, Status> {
        let tenant = admin(&request)?.tenant.clone();
        let api_key_id = request.into_inner().api_key_id;
        self.store.revoke_key(&api_key_id, tenant.as_ref(), self.clock.now_us()).await.map_err(Error::from)?;
        Ok(Response::new(RevokeApiKeyResponse {}))
    }

    async fn who_am_i(&self, request: Request<WhoAmIRequest>) -> Result<Response<WhoAmIResponse>, Status> {
        let context = context(&request)?;
        Ok(Response::new(WhoAmIResponse {
            tenant_id: context.tenant.as_ref().map(ToString::to_string).unwrap_or_default(),
            subject: context.subject.clone(),
            scopes: context.scopes.clone(),
        }))
    }
}

fn context<T>(request: &Request<T>) -> Result<&AuthContext, Error> {
    request
        .extensions()
        .get::<AuthContext>()
        .ok_or_else(|| Error::unauthenticated("CREDENTIAL_MISSING", "the call carries no credential"))
}

fn admin<T>(request: &Request<T>) -> Result<&AuthContext, Error> {
    let context = context(request)?;
    if context.allows(scope::ADMIN) {
        return Ok(context);
    }
    Err(Error::permission_denied("SCOPE_MISSING", "the credential lacks the scope admin"))
}

fn operator<T>(request: &Request<T>) -> Result<(), Error> {
    if admin(request)?.tenant.is_none() {
        return Ok(());
    }
    Err(Error::permission_denied("OPERATOR_ONLY", "only the operator's key may do this"))
}

fn tenant_of(context: &AuthContext, named: &str) -> Result<TenantId, Error> {
    match (&context.tenant, named) {
        (Some(own), "") => Ok(own.clone()),
        (Some(own), named) if own.as_str() == named => Ok(own.clone()),
        (Some(_), _) => Err(Error::permission_denied("TENANT_MISMATCH", "the credential belongs to another tenant")),
        (None, named) => {
            TenantId::try_from(named).map_err(|error| Error::violations([("tenant_id", error.to_string())]))
        }
    }
}

/// Returns how long a page is, and the key behind which it begins.
fn page(page_size: i32, page_token: &str) -> Result<(usize, String), Error> {
    let mut violations = Violations::new();
    let size = paging::size(page_size, USUAL_PAGE, MAX_PAGE, &mut violations);
    let after = paging::after(page_token, &mut violations);
    violations.finish()?;
    Ok((size, after))
}

fn render_tenant(row: TenantRow) -> Tenant {
    Tenant { tenant_id: row.tenant_id, name: row.name, create_time: Some(timestamp(row.created_us)) }
}

fn render_key(row: KeyRow) -> ApiKey {
    ApiKey {
        api_key_id: row.api_key_id,
        tenant_id: row.tenant_id,
        name: row.name,
        prefix: row.prefix,
        scopes: row.scopes.split_whitespace().map(str::to_owned).collect(),
        create_time: Some(timestamp(row.created_us)),
    }
}

//! `IdentityService`: one file per RPC, each of which parses, calls and renders.

mod explain_link;
mod get_profile;
mod list_changes;
mod list_profiles;
mod list_timeline;
mod parse;
mod separate_identifiers;
mod set_identifier_blocked;
mod summarize_profiles;

use std::sync::Arc;

use kit::TenantId;
use proto::identity::v1::{self as wire, identity_service_server::IdentityService};
use tonic::{Request, Response, Status};
use uuid::Uuid;

use crate::{
    domain::{component::Component, identifier::Key, policy::Policy},
    registry::Shared,
    store::{self as sql, rows::From},
};

/// The service on the wire.
#[derive(Clone)]
pub(crate) struct IdentityRpc {
    pub(crate) shared: Shared,
}

/// Writes the methods of the service, each of which only delegates to its file.
macro_rules! delegate {
    ($($method:ident($request:ident) -> $response:ident),+ $(,)?) => {
        #[tonic::async_trait]
        impl IdentityService for IdentityRpc {
            $(
                async fn $method(
                    &self,
                    request: Request<wire::$request>,
                ) -> Result<Response<wire::$response>, Status> {
                    Ok(Response::new($method::handle(&self.shared, request).await?))
                }
            )+
        }
    };
}

delegate! {
    get_profile(GetProfileRequest) -> GetProfileResponse,
    list_profiles(ListProfilesRequest) -> ListProfilesResponse,
    list_timeline(ListTimelineRequest) -> ListTimelineResponse,
    explain_link(ExplainLinkRequest) -> ExplainLinkResponse,
    separate_identifiers(SeparateIdentifiersRequest) -> SeparateIdentifiersResponse,
    set_identifier_blocked(SetIdentifierBlockedRequest) -> SetIdentifierBlockedResponse,
    list_changes(ListChangesRequest) -> ListChangesResponse,
    summarize_profiles(SummarizeProfilesRequest) -> SummarizeProfilesResponse,
}

impl Shared {
    /// Returns the component in which an identifier lives, as committed.
    async fn component_of(&self, tenant: &TenantId, key: Key) -> Result<Option<Component>, store::Error> {
        let homes = sql::find_homes(From::Db(&self.db), tenant, &[key]).await?;
        let ids: Vec<i64> = homes.first().map(|(_, id)| *id).into_iter().collect();
        Ok(sql::load_components(From::Db(&self.db), tenant, &ids).await?.pop())
    }

    /// Returns the component and cluster of the profile that `id` leads to, as committed.
    async fn profile_at(&self, tenant: &TenantId, id: Uuid) -> Result<Option<(Component, usize)>, store::Error> {
        // A merge may commit between the two reads; then the mark it left leads on.
        const TRIES: usize = 5;

        for _ in 0..TRIES {
            let Some((profile, home)) = sql::find_profile(From::Db(&self.db), tenant, id).await? else {
                return Ok(None);
            };
            let component = sql::load_components(From::Db(&self.db), tenant, &[home]).await?.pop();
            let found = component.and_then(|component| {
                let cluster = component.cluster_of_profile(profile)?;
                Some((component, cluster))
            });
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }

    /// Returns what decides about the tenant's evidence, as committed.
    async fn policy(&self, tenant: &TenantId) -> Result<Policy, store::Error> {
        let (separations, overrides) = sql::load_decisions(From::Db(&self.db), tenant).await?;
        Ok(Policy { rules: Arc::clone(&self.rules), separations, overrides })
    }
}

fn profile_not_found() -> kit::Error {
    kit::Error::not_found("PROFILE_NOT_FOUND", "nobody is known by this id or identifier")
}

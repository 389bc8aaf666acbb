use kit::{
    Violations,
    auth::{caller, scope},
};
use proto::identity::v1::{GetProfileRequest, GetProfileResponse, get_profile_request::Key};
use tonic::Request;

use super::{parse, profile_not_found};
use crate::{registry::Shared, render};

pub(super) async fn handle(
    shared: &Shared,
    request: Request<GetProfileRequest>,
) -> Result<GetProfileResponse, kit::Error> {
    let caller = caller(&request, scope::PROFILES_READ)?;
    let mut violations = Violations::new();
    let found = match &request.get_ref().key {
        None => {
            violations.add("key", "must be a profile_id or an identifier");
            violations.finish()?;
            None
        }
        Some(Key::ProfileId(id)) => {
            let id = parse::profile_id(id, "profile_id", &mut violations);
            violations.finish()?;
            match id {
                Some(id) => shared.profile_at(&caller.tenant, id).await?,
                None => None,
            }
        }
        Some(Key::Identifier(identifier)) => {
            let ident = parse::identifier(Some(identifier), "identifier", &shared.rules, &mut violations);
            violations.finish()?;
            let Some(ident) = ident else { return Err(profile_not_found()) };
            let component = shared.component_of(&caller.tenant, ident.key).await?;
            component.and_then(|component| {
                let profile = component.person_of(ident.key)?.id?;
                let cluster = component.cluster_of_profile(profile)?;
                Some((component, cluster))
            })
        }
    };
    let (component, cluster) = found.ok_or_else(profile_not_found)?;
    Ok(GetProfileResponse { profile: Some(render::profile(&component, cluster)) })
}

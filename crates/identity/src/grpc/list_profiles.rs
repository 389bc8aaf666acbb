use std::collections::{BTreeSet, HashMap};

use kit::{
    Violations,
    auth::{caller, scope},
};
use proto::identity::v1::{ListProfilesRequest, ListProfilesResponse};
use tonic::Request;
use uuid::Uuid;

use super::page;
use crate::{
    domain::component::Component,
    registry::Shared,
    render,
    store::{self as sql, rows::From},
};

pub(super) async fn handle(
    shared: &Shared,
    request: Request<ListProfilesRequest>,
) -> Result<ListProfilesResponse, kit::Error> {
    let caller = caller(&request, scope::PROFILES_READ)?;
    let request = request.into_inner();
    let mut violations = Violations::new();
    let size = page::size(request.page_size, 50, 1_000, &mut violations);
    let after = page::token(&request.page_token, |token| Uuid::try_parse(token).ok(), &mut violations);
    violations.finish()?;

    let places = sql::list_profiles(&shared.db, &caller.tenant, after.unwrap_or(Uuid::nil()), size as i64).await?;
    let ids: BTreeSet<i64> = places.iter().map(|(_, component)| *component).collect();
    let ids: Vec<i64> = ids.into_iter().collect();
    let components = sql::load_components(From::Db(&shared.db), &caller.tenant, &ids).await?;
    let components: HashMap<i64, Component> =
        components.into_iter().map(|component| (component.id, component)).collect();

    // A profile that was merged or moved between the two reads is left out: it is shown under its survivor.
    let profiles = places.iter().filter_map(|(id, home)| {
        let component = components.get(home)?;
        Some(render::profile(component, component.cluster_of_profile(*id)?))
    });
    Ok(ListProfilesResponse {
        profiles: profiles.collect(),
        next_page_token: places
            .last()
            .filter(|_| places.len() == size)
            .map(|(id, _)| id.to_string())
            .unwrap_or_default(),
    })
}

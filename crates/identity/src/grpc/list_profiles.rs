use std::collections::{BTreeSet, HashMap};

use kit::{
    Violations,
    auth::{caller, scope},
    paging,
};
use proto::identity::v1::{ListProfilesRequest, ListProfilesResponse};
use tonic::Request;
use uuid::Uuid;

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
    let size = paging::size(request.page_size, 50, 1_000, &mut violations);
    let after = paging::place(&request.page_token, |key| Uuid::try_parse(key).ok(), &mut violations);
    violations.finish()?;

    let after = after.unwrap_or(Uuid::nil());
    let mut places = sql::list_profiles(&shared.db, &caller.tenant, after, size as i64 + 1).await?;
    let next_page_token = paging::cut(&mut places, size, |(id, _)| id.to_string());
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
    Ok(ListProfilesResponse { profiles: profiles.collect(), next_page_token })
}

use kit::{
    Violations,
    auth::{caller, scope},
    paging,
};
use prost::Message;
use proto::identity::v1::{ListChangesRequest, ListChangesResponse, ProfileChange};
use tonic::Request;

use super::parse;
use crate::{registry::Shared, store as sql};

pub(super) async fn handle(
    shared: &Shared,
    request: Request<ListChangesRequest>,
) -> Result<ListChangesResponse, kit::Error> {
    let caller = caller(&request, scope::PROFILES_READ)?;
    let request = request.into_inner();
    let mut violations = Violations::new();
    let profile = match request.profile_id.as_str() {
        "" => None,
        id => parse::profile_id(id, "profile_id", &mut violations),
    };
    let size = paging::size(request.page_size, 50, 500, &mut violations);
    let before = paging::place(&request.page_token, |key| key.parse::<i64>().ok(), &mut violations);
    violations.finish()?;

    let before = before.unwrap_or(i64::MAX);
    let mut rows = sql::list_changes(&shared.db, &caller.tenant, profile, before, size as i64 + 1).await?;
    let next_page_token = paging::cut(&mut rows, size, |(number, _)| number.to_string());
    let mut changes = Vec::with_capacity(rows.len());
    for (_, body) in &rows {
        changes.push(ProfileChange::decode(body.as_slice()).map_err(kit::Error::internal)?);
    }
    Ok(ListChangesResponse { changes, next_page_token })
}

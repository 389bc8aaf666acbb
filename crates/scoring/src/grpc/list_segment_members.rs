use kit::{Error, TenantId, Violations, paging};
use proto::scoring::v1::list_segment_members_response::Member;
use proto::scoring::v1::{ListSegmentMembersRequest, ListSegmentMembersResponse};

use super::segment::{check_segment_id, segment_not_found};
use crate::engine::Engine;
use crate::store::segments;
use kit::time::timestamp;

/// Lists the people in a segment, by profile id.
pub(super) async fn list_segment_members(
    engine: &Engine,
    tenant: &TenantId,
    request: ListSegmentMembersRequest,
) -> Result<ListSegmentMembersResponse, Error> {
    let mut violations = Violations::new();
    check_segment_id(&request.segment_id, "segment_id", &mut violations);
    let size = paging::size(request.page_size, 100, 10_000, &mut violations);
    let after = paging::after(&request.page_token, &mut violations);
    violations.finish()?;

    if segments::find(&engine.db, tenant, &request.segment_id).await?.is_none() {
        return Err(segment_not_found(&request.segment_id));
    }
    let mut found = segments::members(&engine.db, tenant, &request.segment_id, &after, size as u32 + 1).await?;
    let next_page_token = paging::cut(&mut found, size, |(profile_id, _)| profile_id.clone());
    let members =
        found.into_iter().map(|(profile_id, enter_us)| Member { profile_id, enter_time: Some(timestamp(enter_us)) });
    Ok(ListSegmentMembersResponse { members: members.collect(), next_page_token })
}

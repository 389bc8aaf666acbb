use std::collections::BTreeMap;

use kit::{Error, TenantId, Violations, paging};
use proto::scoring::v1::{ListSegmentsRequest, ListSegmentsResponse};

use super::segment::shown;
use crate::engine::Engine;
use crate::store::segments;

/// Lists segments by id, with their sizes.
pub(super) async fn list_segments(
    engine: &Engine,
    tenant: &TenantId,
    request: ListSegmentsRequest,
) -> Result<ListSegmentsResponse, Error> {
    let mut violations = Violations::new();
    let size = paging::size(request.page_size, 100, 1_000, &mut violations);
    let after = paging::after(&request.page_token, &mut violations);
    violations.finish()?;

    let mut found = segments::list(&engine.db, tenant, &after, size as u32 + 1).await?;
    let next_page_token = paging::cut(&mut found, size, |last| last.segment_id.clone());
    let counts: BTreeMap<String, i64> = segments::counts(&engine.db, tenant).await?.into_iter().collect();
    let segments = found.into_iter().map(|segment| {
        let member_count = counts.get(&segment.segment_id).copied().unwrap_or(0);
        shown(segment, member_count)
    });
    Ok(ListSegmentsResponse { segments: segments.collect(), next_page_token })
}

use std::collections::BTreeMap;

use kit::{Error, TenantId, Violations};
use proto::scoring::v1::{ListSegmentsRequest, ListSegmentsResponse};

use super::segment::shown;
use super::{check_token, page_limit};
use crate::engine::Engine;
use crate::store::segments;

/// Lists segments by id, with their sizes.
pub(super) async fn list_segments(
    engine: &Engine,
    tenant: &TenantId,
    request: ListSegmentsRequest,
) -> Result<ListSegmentsResponse, Error> {
    let mut violations = Violations::new();
    let limit = page_limit(request.page_size, 100, 1_000, &mut violations);
    check_token(&request.page_token, &mut violations);
    violations.finish()?;

    let mut found = segments::list(&engine.db, tenant, &request.page_token, limit + 1).await?;
    let has_more = found.len() > limit as usize;
    found.truncate(limit as usize);
    let next_page_token = match found.last() {
        Some(last) if has_more => last.segment_id.clone(),
        _ => String::new(),
    };
    let counts: BTreeMap<String, i64> = segments::counts(&engine.db, tenant).await?.into_iter().collect();
    let segments = found.into_iter().map(|segment| {
        let member_count = counts.get(&segment.segment_id).copied().unwrap_or(0);
        shown(segment, member_count)
    });
    Ok(ListSegmentsResponse { segments: segments.collect(), next_page_token })
}

use kit::Error;
use kit::auth::{caller, scope};
use proto::ingestion::v1::{ListTrackingPlansRequest, ListTrackingPlansResponse, TrackingPlan};
use tonic::Request;

use crate::app::App;
use crate::grpc::paging;
use crate::plans::stored;
use crate::store::plans;

/// Lists plans by source id.
pub(super) async fn list_tracking_plans(
    app: &App,
    request: Request<ListTrackingPlansRequest>,
) -> Result<ListTrackingPlansResponse, Error> {
    let tenant = caller(&request, scope::SOURCES_WRITE)?.tenant;
    let request = request.into_inner();
    // A plan has up to 1 MiB, and a page must fit into a message.
    let size = paging::page_size(request.page_size, 10, 20)?;
    let after = paging::place(&request.page_token)?.unwrap_or_default();

    let mut rows = plans::list_after(&app.db, &tenant, &after, size as i64 + 1).await?;
    let has_more = rows.len() > size;
    rows.truncate(size);
    let next_page_token = match rows.last() {
        Some(last) if has_more => paging::token(&last.source_id),
        _ => String::new(),
    };
    let plans: Vec<TrackingPlan> = rows.into_iter().map(stored).collect::<Result<_, _>>()?;
    Ok(ListTrackingPlansResponse { plans, next_page_token })
}

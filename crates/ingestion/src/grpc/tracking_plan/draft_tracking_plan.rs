use kit::Error;
use kit::auth::{caller, scope};
use proto::ingestion::v1::{DraftTrackingPlanRequest, DraftTrackingPlanResponse};
use tonic::Request;

use crate::app::App;
use crate::grpc::paging;

/// Drafts a plan from what the source sent last.
pub(super) async fn draft_tracking_plan(
    app: &App,
    request: Request<DraftTrackingPlanRequest>,
) -> Result<DraftTrackingPlanResponse, Error> {
    let tenant = caller(&request, scope::SOURCES_WRITE)?.tenant;
    let DraftTrackingPlanRequest { source_id, events } = request.into_inner();
    app.draft_plan(&tenant, &source_id, paging::events(events)?).await
}

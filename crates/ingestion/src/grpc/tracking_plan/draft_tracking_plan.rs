use kit::auth::{caller, scope};
use kit::{Error, Violations};
use proto::ingestion::v1::{DraftTrackingPlanRequest, DraftTrackingPlanResponse};
use tonic::Request;

use super::events_to_look_at;
use crate::app::App;

/// Drafts a plan from what the source sent last.
pub(super) async fn draft_tracking_plan(
    app: &App,
    request: Request<DraftTrackingPlanRequest>,
) -> Result<DraftTrackingPlanResponse, Error> {
    let tenant = caller(&request, scope::SOURCES_WRITE)?.tenant;
    let DraftTrackingPlanRequest { source_id, events } = request.into_inner();
    let mut violations = Violations::new();
    let events = events_to_look_at(events, &mut violations);
    violations.finish()?;
    app.draft_plan(&tenant, &source_id, events).await
}

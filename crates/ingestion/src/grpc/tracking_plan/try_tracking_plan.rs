use kit::auth::{caller, scope};
use kit::{Error, Violations};
use proto::ingestion::v1::{TryTrackingPlanRequest, TryTrackingPlanResponse};
use tonic::Request;

use super::events_to_look_at;
use crate::app::App;

/// Tries a plan against what the source sent last.
pub(super) async fn try_tracking_plan(
    app: &App,
    request: Request<TryTrackingPlanRequest>,
) -> Result<TryTrackingPlanResponse, Error> {
    let tenant = caller(&request, scope::SOURCES_WRITE)?.tenant;
    let TryTrackingPlanRequest { plan, events } = request.into_inner();
    let mut violations = Violations::new();
    violations.check(plan.is_some(), "plan", "must be given");
    let events = events_to_look_at(events, &mut violations);
    violations.finish()?;
    app.try_plan(&tenant, plan.unwrap_or_default(), events).await
}

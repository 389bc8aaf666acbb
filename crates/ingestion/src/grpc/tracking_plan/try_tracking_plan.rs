use kit::Error;
use kit::auth::{caller, scope};
use proto::ingestion::v1::{TryTrackingPlanRequest, TryTrackingPlanResponse};
use tonic::Request;

use crate::app::App;
use crate::grpc::paging;

/// Tries a plan against what the source sent last.
pub(super) async fn try_tracking_plan(
    app: &App,
    request: Request<TryTrackingPlanRequest>,
) -> Result<TryTrackingPlanResponse, Error> {
    let tenant = caller(&request, scope::SOURCES_WRITE)?.tenant;
    let TryTrackingPlanRequest { plan, events } = request.into_inner();
    let plan = plan.ok_or_else(|| Error::violations([("plan", "must be given")]))?;
    app.try_plan(&tenant, plan, paging::events(events)?).await
}

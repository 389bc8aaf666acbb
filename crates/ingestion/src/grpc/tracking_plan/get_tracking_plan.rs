use kit::Error;
use kit::auth::{caller, scope};
use proto::ingestion::v1::{GetTrackingPlanRequest, GetTrackingPlanResponse};
use tonic::Request;

use crate::app::App;

/// Returns the plan of a source.
pub(super) async fn get_tracking_plan(
    app: &App,
    request: Request<GetTrackingPlanRequest>,
) -> Result<GetTrackingPlanResponse, Error> {
    let tenant = caller(&request, scope::SOURCES_WRITE)?.tenant;
    let plan = app.plan(&tenant, &request.into_inner().source_id).await?;
    Ok(GetTrackingPlanResponse { plan: Some(plan) })
}

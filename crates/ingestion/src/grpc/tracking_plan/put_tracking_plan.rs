use kit::Error;
use kit::auth::{caller, scope};
use proto::ingestion::v1::{PutTrackingPlanRequest, PutTrackingPlanResponse};
use tonic::Request;

use crate::app::App;

/// Sets the plan of a source, whole.
pub(super) async fn put_tracking_plan(
    app: &App,
    request: Request<PutTrackingPlanRequest>,
) -> Result<PutTrackingPlanResponse, Error> {
    let tenant = caller(&request, scope::SOURCES_WRITE)?.tenant;
    let PutTrackingPlanRequest { plan, expected_version } = request.into_inner();
    let plan = plan.ok_or_else(|| Error::violations([("plan", "must be given")]))?;
    let plan = app.put_plan(&tenant, plan, expected_version).await?;
    Ok(PutTrackingPlanResponse { plan: Some(plan) })
}

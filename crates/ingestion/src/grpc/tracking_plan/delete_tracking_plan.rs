use kit::Error;
use kit::auth::{caller, scope};
use proto::ingestion::v1::{DeleteTrackingPlanRequest, DeleteTrackingPlanResponse};
use tonic::Request;

use crate::app::App;

/// Removes the plan of a source.
pub(super) async fn delete_tracking_plan(
    app: &App,
    request: Request<DeleteTrackingPlanRequest>,
) -> Result<DeleteTrackingPlanResponse, Error> {
    let tenant = caller(&request, scope::SOURCES_WRITE)?.tenant;
    app.delete_plan(&tenant, &request.into_inner().source_id).await?;
    Ok(DeleteTrackingPlanResponse {})
}

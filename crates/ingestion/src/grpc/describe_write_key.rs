use kit::Error;
use kit::auth::service_caller;
use proto::ingestion::v1::{DescribeWriteKeyRequest, DescribeWriteKeyResponse};
use tonic::Request;

use crate::app::App;

/// Tells what a page may know of the source that a write key opens. Only the gateway asks.
pub(super) async fn describe_write_key(
    app: &App,
    request: Request<DescribeWriteKeyRequest>,
) -> Result<DescribeWriteKeyResponse, Error> {
    service_caller(&request)?;
    let found = app.directory.find_by_key(&request.get_ref().write_key).await?;
    let source = found.ok_or_else(|| Error::not_found("WRITE_KEY_UNKNOWN", "the write key is not known"))?;
    let plan = source.controls.plan.as_deref();
    Ok(DescribeWriteKeyResponse {
        source_id: source.source_id.clone(),
        name: source.name.clone(),
        allowed_origins: source.controls.origins.list().to_vec(),
        planned_events: plan.map(|plan| plan.event_names()).unwrap_or_default(),
        unplanned_quarantined: plan.is_some_and(|plan| plan.quarantines_unplanned()),
    })
}

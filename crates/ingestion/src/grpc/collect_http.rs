use kit::Error;
use kit::auth::service_caller;
use proto::ingestion::v1::{CollectHttpRequest, CollectHttpResponse};
use tonic::Request;

use crate::app::App;
use crate::door::http;

/// Takes an HTTP request as it came. Only the gateway calls it; tenant and source come from the write key inside.
pub(super) async fn collect_http(
    app: &App,
    request: Request<CollectHttpRequest>,
) -> Result<CollectHttpResponse, Error> {
    service_caller(&request)?;
    Ok(http::collect(app, request.into_inner()).await)
}

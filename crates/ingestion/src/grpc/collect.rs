use kit::Error;
use kit::auth::{caller, scope};
use proto::ingestion::v1::{CollectRequest, CollectResponse};
use tonic::Request;

use crate::app::App;
use crate::door::typed;

/// Takes a batch; refuses at once when too much waits.
pub(super) async fn collect(app: &App, request: Request<CollectRequest>) -> Result<CollectResponse, Error> {
    let caller = caller(&request, scope::EVENTS_WRITE)?;
    typed::collect(app, &caller.tenant, request.into_inner()).await
}

use std::sync::Arc;

use futures::{Stream, StreamExt};
use kit::auth::{caller, scope};
use kit::server::MessageRoom;
use kit::status::unreadable;
use kit::{Error, TenantId};
use proto::ingestion::v1::{CollectStreamRequest, CollectStreamResponse};
use tonic::{Request, Status, Streaming};

use crate::app::App;
use crate::door::typed::{self, WhenBusy};

/// Batches of one stream that are on their way to the log at once. The stream is read no further meanwhile, so a sender
/// that does not read its acknowledgements, or that is faster than the store, is slowed by its connection.
const BATCHES_IN_FLIGHT: usize = 8;

/// Takes batches and acknowledges each after its commit, in order.
pub(super) fn collect_stream(
    app: Arc<App>,
    request: Request<Streaming<CollectStreamRequest>>,
) -> Result<impl Stream<Item = Result<CollectStreamResponse, Status>> + Send, Error> {
    let tenant = caller(&request, scope::EVENTS_WRITE)?.tenant;
    let room = request.extensions().get::<MessageRoom>().cloned().unwrap_or_default();
    let acknowledgements = request
        .into_inner()
        .map(move |received| {
            let app = Arc::clone(&app);
            let tenant = tenant.clone();
            let held = room.take();
            async move {
                let _held = held;
                Ok(take(&app, &tenant, received.map_err(unreadable)?).await?)
            }
        })
        .buffered(BATCHES_IN_FLIGHT);
    Ok(acknowledgements)
}

async fn take(app: &App, tenant: &TenantId, request: CollectStreamRequest) -> Result<CollectStreamResponse, Error> {
    let CollectStreamRequest { sequence, batch } = request;
    let batch = batch.ok_or_else(|| Error::violations([("batch", "must be given")]))?;
    let result = typed::collect(app, tenant, batch, WhenBusy::Wait).await?;
    Ok(CollectStreamResponse { sequence, result: Some(result) })
}

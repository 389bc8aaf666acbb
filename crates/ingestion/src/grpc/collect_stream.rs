use std::sync::Arc;

use futures::{Stream, StreamExt};
use kit::auth::{caller, scope};
use kit::server::MessageRoom;
use kit::status::unreadable;
use kit::{Error, TenantId};
use proto::ingestion::v1::{CollectResponse, CollectStreamRequest, CollectStreamResponse};
use tonic::{Request, Status, Streaming};

use crate::app::App;
use crate::door::typed;
use crate::intake::Enqueued;

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
    let mut received = request.into_inner();
    // One after the other into the queue, so that no batch overtakes another; only their answers are awaited together.
    let batches = async_stream::stream! {
        while let Some(next) = received.next().await {
            let held = room.take();
            let enqueued = enqueue(&app, &tenant, next).await;
            let is_last = enqueued.is_err();
            let app = Arc::clone(&app);
            yield async move {
                let _held = held;
                acknowledge(app, enqueued).await
            };
            // Behind what was refused nothing is taken: it would stand before what is sent again.
            if is_last {
                break;
            }
        }
    };
    Ok(batches.buffered(BATCHES_IN_FLIGHT))
}

async fn enqueue(
    app: &App,
    tenant: &TenantId,
    received: Result<CollectStreamRequest, Status>,
) -> Result<(u64, Enqueued), Error> {
    let CollectStreamRequest { sequence, batch } = received.map_err(unreadable)?;
    let batch = batch.ok_or_else(|| Error::violations([("batch", "must be given")]))?;
    Ok((sequence, typed::enqueue(app, tenant, batch).await?))
}

async fn acknowledge(app: Arc<App>, enqueued: Result<(u64, Enqueued), Error>) -> Result<CollectStreamResponse, Status> {
    let (sequence, enqueued) = enqueued?;
    let verdicts = enqueued.await.map_err(|error| typed::not_taken(&app, error))?;
    Ok(CollectStreamResponse { sequence, result: Some(CollectResponse { verdicts }) })
}

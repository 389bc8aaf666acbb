//! The door for typed events.

use bytes::Bytes;
use kit::TenantId;
use prost::Message;
use proto::event::v1::Event;
use proto::ingestion::v1::dead_letter::Encoding;
use proto::ingestion::v1::{CollectRequest, CollectResponse};
use store::Error;

use super::{breathe, drawn_message_id};
use crate::app::App;
use crate::domain::consent::{Country, Unread};
use crate::domain::finish::Arrival;
use crate::domain::limits::{MAX_EVENTS, MAX_REQUEST_BYTES};
use crate::domain::problem::Problem;
use crate::domain::typed;
use crate::intake::{Arrived, DeadLetterIdSeed, Enqueued, Item, Refused, Source, Submission};
use crate::quotas;

/// What to do when the quota is spent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum WhenBusy {
    /// The caller is told to come again.
    Refuse,
    /// The caller waits: it is a stream, and sends nothing meanwhile.
    Wait,
}

/// Takes a batch for a tenant. Refuses when too much waits.
pub(crate) async fn collect(
    app: &App,
    tenant: &TenantId,
    request: CollectRequest,
) -> Result<CollectResponse, kit::Error> {
    let submission = read(app, tenant, request, WhenBusy::Refuse).await?;
    let verdicts = app.intake.submit(submission).await.map_err(|error| not_taken(app, error))?;
    Ok(CollectResponse { verdicts })
}

/// Puts a batch of a stream into the queue, as soon as quota and room allow. One batch after the other, they keep their
/// order.
pub(crate) async fn enqueue(app: &App, tenant: &TenantId, request: CollectRequest) -> Result<Enqueued, kit::Error> {
    let submission = read(app, tenant, request, WhenBusy::Wait).await?;
    app.intake.enqueue_patiently(submission).await.map_err(|error| not_taken(app, error))
}

async fn read(
    app: &App,
    tenant: &TenantId,
    request: CollectRequest,
    when_busy: WhenBusy,
) -> Result<Submission, kit::Error> {
    check(&request)?;
    if when_busy == WhenBusy::Refuse {
        app.intake.require_pace().map_err(|error| not_taken(app, error))?;
    }
    let source = app.source(tenant, &request.source_id).await?;
    draw(app, &source, &request.events, when_busy).await?;
    let received_us = app.clock.now_us();
    let items = read_all(&source, received_us, request.events).await?;
    Ok(Submission::new(source, items))
}

/// Takes the events off the source's quota. A stream waits for its turn.
async fn draw(app: &App, source: &Source, events: &[Event], when_busy: WhenBusy) -> Result<(), kit::Error> {
    if source.controls.quota.is_unbounded() {
        return Ok(());
    }
    let bytes = events.iter().map(Message::encoded_len).sum();
    while let Err(wait) = app.quotas.draw(source, events.len(), bytes).await {
        if when_busy == WhenBusy::Refuse {
            app.metrics.count_throttled(&source.source_id, events.len() as u64);
            app.metrics.count_refusal("quota_exceeded");
            return Err(quotas::exceeded(wait));
        }
        tokio::time::sleep(wait).await;
    }
    Ok(())
}

fn check(request: &CollectRequest) -> Result<(), kit::Error> {
    let mut violations = kit::Violations::new();
    violations.check(!request.source_id.is_empty(), "source_id", "must be given");
    let events = request.events.len();
    violations.check((1..=MAX_EVENTS).contains(&events), "events", format!("must be 1 to {MAX_EVENTS}"));
    violations.finish()
}

/// Reads every event of a batch.
pub(crate) async fn read_all(source: &Source, received_us: i64, events: Vec<Event>) -> Result<Vec<Item>, kit::Error> {
    let mut items = Vec::with_capacity(events.len());
    let mut total_bytes = 0;
    for (index, mut event) in events.into_iter().enumerate() {
        let bytes = event.encoded_len();
        total_bytes += bytes;
        if total_bytes > MAX_REQUEST_BYTES {
            let rule = format!("must be at most {MAX_REQUEST_BYTES} bytes together");
            return Err(kit::Error::violations([("events", rule)]));
        }
        let arrival = Arrival { source, received_us };
        let arrived = match typed::read(&mut event, bytes, arrival, drawn_message_id) {
            Ok(ready) => Arrived::Ready(ready),
            Err(problem) => refused(problem, event, source, received_us),
        };
        items.push(Item::new(arrived));
        breathe(index).await;
    }
    Ok(items)
}

/// Keeps a typed event that cannot be taken.
fn refused(problem: Problem, event: Event, source: &Source, received_us: i64) -> Arrived {
    let payload = match may_keep(&event, source) {
        true => Bytes::from(event.encode_to_vec()),
        false => Bytes::new(),
    };
    let refused = Refused {
        problem,
        payload,
        encoding: Encoding::Event,
        library: event.provenance.map(|provenance| provenance.library).unwrap_or_default(),
        event_name: event.name,
    };
    let seed = match event.message_id.as_str() {
        "" => DeadLetterIdSeed::None,
        message_id => DeadLetterIdSeed::Message(message_id),
    };
    Arrived::refused(refused, (source, received_us), seed)
}

/// Whether consent allows to keep the content of an event that cannot be taken.
fn may_keep(event: &Event, source: &Source) -> bool {
    let context = event.context.as_ref();
    let signals = context.and_then(|context| context.consent_signals.as_ref());
    let told = context.and_then(|context| Country::parse(&context.location.as_ref()?.country));
    let found = || Country::parse(&source.edge.enricher.country(&context?.ip)?);
    let country = told.or_else(found);
    source.edge.policy.keeps_unread(&Unread { signals, consents: &event.consents, country })
}

/// Says that nothing was taken, and whether to come again.
pub(crate) fn not_taken(app: &App, error: Error) -> kit::Error {
    match error {
        Error::Overloaded => {
            app.metrics.count_refusal("overloaded");
            kit::Error::resource_exhausted("OVERLOADED", "too many events wait to be stored")
                .retry_after(super::http::BUSY_RETRY_AFTER)
        }
        error => {
            app.metrics.count_refusal("store_unavailable");
            error.into()
        }
    }
}

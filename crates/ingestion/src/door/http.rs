//! The door for Segment-compatible clients: one HTTP request as it came.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use proto::ingestion::v1::{CollectHttpRequest, CollectHttpResponse, Verdict};
use store::Error;

use super::answer::{Refusal, success};
use super::segment::read_all;
use super::write_key::basic_key;
use crate::app::App;
use crate::domain::inflate::{InflateError, inflate, is_compressed};
use crate::domain::json_scan::mend_escapes;
use crate::domain::limits::MAX_BODY_BYTES;
use crate::domain::segment::{BodyError, Route, split};
use crate::intake::{Item, Source, Submission};

/// How long a client waits when too much waits to be stored already.
pub(crate) const BUSY_RETRY_AFTER: Duration = Duration::from_secs(1);
/// How long a client waits when the store cannot be used.
pub(crate) const UNAVAILABLE_RETRY_AFTER: Duration = Duration::from_secs(2);

/// Takes one request.
pub(crate) async fn collect(app: &App, request: CollectHttpRequest) -> CollectHttpResponse {
    match take(app, request).await {
        Ok(verdicts) => success(verdicts),
        Err(refusal) => {
            app.metrics.count_refusal(refusal.code());
            refusal.render()
        }
    }
}

async fn take(app: &App, mut request: CollectHttpRequest) -> Result<Vec<Verdict>, Refusal> {
    let route =
        Route::parse(&request.route).ok_or_else(|| Refusal::new(404, "ROUTE_UNKNOWN", "there is no such route"))?;
    if route == Route::Metrics {
        return Ok(Vec::new());
    }
    app.intake.require_pace().map_err(|error| Refusal::not_stored(&error))?;
    // A key in the header is known before the body is worth any work.
    let source_by_header = match basic_key(&request.authorization) {
        Some(key) => Some(open(app, &key).await?),
        None => None,
    };
    if let Some(wait) = source_by_header.as_ref().and_then(|source| app.quotas.known_wait(source)) {
        return Err(Refusal::over_quota(wait));
    }

    // What is inside a compressed body is not known before it is inflated.
    let mut room = match is_compressed(&request.content_encoding) {
        true => Some(app.receiving.take(MAX_BODY_BYTES).map_err(|_| Refusal::not_stored(&Error::Overloaded))?),
        false => None,
    };
    let body = readable_body(std::mem::take(&mut request.body), &request.content_encoding)?;
    if let Some(room) = &mut room {
        room.shrink_to(body.len());
    }
    let text = text_of(&body)?;
    let parts = split(route, text).map_err(body_refusal)?;
    let source = match source_by_header {
        Some(source) => source,
        None => match (parts.write_key(), request.query_write_key.as_str()) {
            (Some(key), _) => open(app, &key).await?,
            (None, "") => return Err(Refusal::new(401, "WRITE_KEY_MISSING", "the request carries no write key")),
            (None, key) => open(app, key).await?,
        },
    };
    if !source.controls.origins.admit(&request.origin) {
        return Err(Refusal::new(403, "ORIGIN_NOT_ALLOWED", "pages of this site may not send to this source"));
    }

    if let Err(wait) = app.quotas.draw(&source, parts.events.len(), text.len()).await {
        app.metrics.count_throttled(&source.source_id, parts.events.len() as u64);
        return Err(Refusal::over_quota(wait));
    }
    let received_us = app.clock.now_us();
    let items = read_all(&source, received_us, &parts, &request).await;
    if items.is_empty() {
        return Ok(Vec::new());
    }
    app.intake.submit(Submission::new(source, items)).await.map_err(|error| Refusal::not_stored(&error))
}

/// What a request holds, read.
pub(crate) struct ReadRequest {
    pub(crate) items: Vec<Item>,
    /// How many events stood in it.
    pub(crate) events: usize,
    /// Bytes of its body, inflated.
    pub(crate) text_bytes: usize,
}

/// Reads a request of a source as [`collect`] does; `None` when nothing of it would be taken. For fuzzing.
pub(crate) async fn read_request(
    source: &Source,
    received_us: i64,
    mut request: CollectHttpRequest,
) -> Option<ReadRequest> {
    let route = Route::parse(&request.route).filter(|route| *route != Route::Metrics)?;
    let body = readable_body(std::mem::take(&mut request.body), &request.content_encoding).ok()?;
    let text = text_of(&body).ok()?;
    let parts = split(route, text).ok()?;
    let items = read_all(source, received_us, &parts, &request).await;
    Some(ReadRequest { items, events: parts.events.len(), text_bytes: text.len() })
}

/// Returns the source that a write key opens.
async fn open(app: &App, key: &str) -> Result<Source, Refusal> {
    let found = app.directory.find_by_key(key).await.map_err(|error| Refusal::not_stored(&error))?;
    found.ok_or_else(|| Refusal::new(401, "WRITE_KEY_UNKNOWN", "the write key is not known"))
}

/// Returns the body inflated, within its limit, with escapes that stand for no character replaced.
fn readable_body(body: Bytes, content_encoding: &str) -> Result<BytesMut, Refusal> {
    let too_large = || Refusal::new(413, "BODY_TOO_LARGE", "a body is at most 4 MiB, inflated as well");
    if body.len() > MAX_BODY_BYTES {
        return Err(too_large());
    }
    let inflated = inflate(&body, content_encoding, MAX_BODY_BYTES).map_err(|error| match error {
        InflateError::TooLarge => too_large(),
        InflateError::Broken => Refusal::new(400, "BODY_INVALID", "the body is not what its Content-Encoding says"),
        InflateError::Unknown => {
            Refusal::new(415, "ENCODING_UNKNOWN", "the Content-Encoding must be gzip, deflate or identity")
        }
    })?;
    let mut readable = match inflated {
        Some(inflated) => BytesMut::from(Bytes::from(inflated)),
        None => body.try_into_mut().unwrap_or_else(|shared| BytesMut::from(&shared[..])),
    };
    mend_escapes(&mut readable);
    Ok(readable)
}

fn text_of(body: &[u8]) -> Result<&str, Refusal> {
    let without_mark = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    std::str::from_utf8(without_mark).map_err(|_| body_refusal(BodyError::NotJson))
}

fn body_refusal(error: BodyError) -> Refusal {
    match error {
        BodyError::NotJson => Refusal::new(400, "BODY_INVALID", "the body must be a JSON object in UTF-8"),
        BodyError::NoBatch => Refusal::new(400, "BATCH_MISSING", "the body must have an array `batch`"),
        BodyError::TooDeep => Refusal::new(400, "TOO_DEEP", "the context nests deeper than 64 levels"),
        BodyError::TooManyEvents => Refusal::new(413, "TOO_MANY_EVENTS", "a batch holds at most 5,000 events"),
    }
}

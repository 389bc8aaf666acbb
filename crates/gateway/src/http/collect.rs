//! The Segment-compatible collector. Bodies go to ingestion as they came; its answer is the client's answer.

use std::{sync::Arc, time::Duration};

use axum::{
    Extension, Router,
    body::Body,
    extract::State,
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header},
    response::Response,
    routing::{get, post},
};
use kit::Error;
use proto::ingestion::v1::{
    CollectHttpRequest, Verdict, ingestion_service_client::IngestionServiceClient, verdict::Outcome,
};
use tonic::transport::server::TcpConnectInfo;
use tower_http::cors::{AllowHeaders, AllowOrigin, CorsLayer};

use super::{
    Gate, answer,
    answer::Failure,
    receive::{Bounds, Received, receive},
    sources::{admits, named_key},
};

/// As it comes over the wire; ingestion bounds what it inflates to.
const BOUNDS: Bounds = Bounds { largest: 5 << 20, factor: 1 };

/// Says which events of a request were kept as dead letters: `1=NAME_MISSING, 4=TIME_INVALID`. SDKs want the body to be the same always.
const QUARANTINED: HeaderName = HeaderName::from_static("comptoir-quarantined");

/// Most events that [`QUARANTINED`] names.
const MAX_NAMED: usize = 20;

/// How often an SDK tried before.
const RETRY_COUNT: HeaderName = HeaderName::from_static("x-retry-count");

pub(crate) fn router(gate: Arc<Gate>) -> Router<Arc<Gate>> {
    Router::new()
        .route("/v1/{route}", post(collect))
        .route("/v1/{route}/", post(collect))
        .route("/beacon/v1/batch", post(collect))
        .route("/beacon/v1/batch/", post(collect))
        .route("/v1/m", post(discard_metrics))
        .route("/v1/m/", post(discard_metrics))
        .route("/v1/health", get(|| std::future::ready("ok")))
        .method_not_allowed_fallback(no_such_method)
        .layer(source_cors(&gate))
        .with_state(gate)
}

/// Browsers always ask first, as current SDKs send `Authorization`; the write key is public and any page may use it.
pub(super) fn collector_cors() -> CorsLayer {
    CorsLayer::new()
        .allow_origin(AllowOrigin::mirror_request())
        .allow_headers(AllowHeaders::mirror_request())
        .allow_methods([Method::GET, Method::POST, Method::OPTIONS])
        .allow_credentials(true)
        .expose_headers([header::RETRY_AFTER, QUARANTINED])
        .max_age(Duration::from_secs(7200))
}

/// As [`collector_cors`], for the sites that the source admits.
pub(super) fn source_cors(gate: &Arc<Gate>) -> CorsLayer {
    let gate = Arc::clone(gate);
    collector_cors().allow_origin(AllowOrigin::async_predicate(move |origin, request| {
        admits(gate, named_key(&request.uri), origin)
    }))
}

/// The path is right, the method is not.
pub(super) async fn no_such_method() -> Response {
    answer::error(
        StatusCode::METHOD_NOT_ALLOWED,
        &Error::invalid("METHOD_NOT_ALLOWED", "this path does not answer this method"),
    )
}

/// SDKs report on themselves; we do not keep it.
async fn discard_metrics() -> Response {
    answer::json_answer(StatusCode::OK, &serde_json::json!({ "success": true }))
}

async fn collect(
    State(gate): State<Arc<Gate>>,
    uri: Uri,
    peer: Option<Extension<TcpConnectInfo>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Failure> {
    let client_ip = gate.client_ip(&headers, peer.as_ref().map(|Extension(info)| info));
    let authorization = text(&headers, &header::AUTHORIZATION);
    let bearer = if authorization.is_empty() { &client_ip } else { &authorization };
    gate.limits.collect(&short_hash(bearer)).await?;
    if headers.get(RETRY_COUNT).is_some_and(|count| count != "0") {
        gate.retried_requests.inc();
    }

    let Received { bytes, room } = receive(&gate.receiving, &headers, body, &BOUNDS).await?;
    let request = CollectHttpRequest {
        route: route(&uri).to_owned(),
        body: bytes,
        content_encoding: text(&headers, &header::CONTENT_ENCODING),
        authorization,
        query_write_key: named_key(&uri).unwrap_or_default(),
        client_ip,
        user_agent: text(&headers, &header::USER_AGENT),
        origin: text(&headers, &header::ORIGIN),
        from_visitor: false,
    };
    let answer = hand_in(&gate, request).await;
    drop(room);
    answer
}

/// Returns the last part of a path: the rest is the same for all.
fn route(uri: &Uri) -> &str {
    uri.path().trim_end_matches('/').rsplit('/').next().unwrap_or_default()
}

/// Hands a request to ingestion and returns its answer.
pub(super) async fn hand_in(gate: &Gate, request: CollectHttpRequest) -> Result<Response, Failure> {
    let collected = IngestionServiceClient::new(gate.upstreams.ingestion.clone())
        .max_decoding_message_size(kit::MAX_MESSAGE_BYTES)
        .collect_http(gate.as_service(request))
        .await
        .map_err(|status| Failure(retryable(Error::from(status))))?
        .into_inner();

    let status = u16::try_from(collected.status).ok().and_then(|code| StatusCode::from_u16(code).ok());
    let mut response = Response::new(Body::from(collected.body));
    *response.status_mut() = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let response_headers = response.headers_mut();
    response_headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Some(quarantined) = quarantined(&collected.verdicts) {
        response_headers.insert(QUARANTINED, quarantined);
    }
    if let Some(wait) = collected.retry_after {
        let seconds = u64::try_from(wait.seconds).unwrap_or(0) + u64::from(wait.nanos > 0);
        response_headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds.max(1)));
    }
    Ok(response)
}

/// Returns the places and reasons of the events that were kept as dead letters.
fn quarantined(verdicts: &[Verdict]) -> Option<HeaderValue> {
    let mut named = verdicts
        .iter()
        .enumerate()
        .filter(|(_, verdict)| verdict.outcome() == Outcome::Quarantined)
        .map(|(index, verdict)| format!("{index}={}", verdict.reason));
    let mut list: Vec<String> = named.by_ref().take(MAX_NAMED).collect();
    if named.next().is_some() {
        list.push("...".to_owned());
    }
    if list.is_empty() { None } else { HeaderValue::try_from(list.join(", ")).ok() }
}

/// Whatever keeps ingestion from answering, the client must come back with its events: never a 4xx, which SDKs drop.
fn retryable(error: Error) -> Error {
    match error.kind {
        kit::Kind::ResourceExhausted | kit::Kind::Unavailable => error,
        _ => Error::unavailable("INGESTION_UNAVAILABLE", "the events cannot be taken now")
            .retry_after(Duration::from_secs(1))
            .caused_by(error),
    }
}

pub(super) fn text(headers: &HeaderMap, name: &header::HeaderName) -> String {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
}

/// Rate counters are named by a hash: the header holds a credential.
pub(super) fn short_hash(text: &str) -> String {
    use sha2::{Digest, Sha256};
    Sha256::digest(text.as_bytes())[..12].iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_kept_aside_is_named_by_place_and_reason() {
        let verdict = |outcome: Outcome, reason: &str| Verdict {
            outcome: outcome.into(),
            reason: reason.into(),
            ..Verdict::default()
        };
        let good = verdict(Outcome::Accepted, "");
        let bad = verdict(Outcome::Quarantined, "NAME_MISSING");

        assert_eq!(quarantined(&[good.clone(), good.clone()]), None);
        assert_eq!(quarantined(&[good, bad.clone(), bad.clone()]).unwrap(), "1=NAME_MISSING, 2=NAME_MISSING");
        let many = quarantined(&vec![bad; 5_000]).unwrap();
        assert!(many.to_str().unwrap().ends_with("19=NAME_MISSING, ..."));
    }
}

//! The Segment-compatible collector. Bodies go to ingestion as they came; its answer is the client's answer.

use std::{sync::Arc, time::Duration};

use axum::{
    Extension, Router,
    body::Body,
    extract::{Path, Query, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    response::Response,
    routing::{get, post},
};
use kit::Error;
use proto::ingestion::v1::{CollectHttpRequest, ingestion_service_client::IngestionServiceClient};
use serde::Deserialize;
use tonic::transport::server::TcpConnectInfo;
use tower_http::cors::{AllowHeaders, AllowOrigin, CorsLayer};

use super::{
    Gate, answer,
    answer::Failure,
    receive::{Bounds, Received, receive},
};

/// As it comes over the wire; ingestion bounds what it inflates to.
const BOUNDS: Bounds = Bounds { largest: 5 << 20, factor: 1 };

#[derive(Deserialize)]
struct Credentials {
    #[serde(rename = "writeKey")]
    write_key: Option<String>,
}

pub(crate) fn router(gate: Arc<Gate>) -> Router<Arc<Gate>> {
    Router::new()
        .route("/v1/{route}", post(collect))
        .route("/v1/{route}/", post(collect))
        .route("/beacon/v1/batch", post(beacon))
        .route("/beacon/v1/batch/", post(beacon))
        .route("/v1/m", post(discard_metrics))
        .route("/v1/health", get(|| std::future::ready("ok")))
        .layer(collector_cors())
        .with_state(gate)
}

/// Browsers always ask first, as current SDKs send `Authorization`; the write key is public and any page may use it.
pub(super) fn collector_cors() -> CorsLayer {
    CorsLayer::new()
        .allow_origin(AllowOrigin::mirror_request())
        .allow_headers(AllowHeaders::mirror_request())
        .allow_methods([Method::GET, Method::POST, Method::OPTIONS])
        .allow_credentials(true)
        .expose_headers([header::RETRY_AFTER])
        .max_age(Duration::from_secs(7200))
}

/// SDKs report on themselves; we do not keep it.
async fn discard_metrics() -> Response {
    answer::json_answer(StatusCode::OK, &serde_json::json!({ "success": true }))
}

async fn beacon(
    state: State<Arc<Gate>>,
    credentials: Query<Credentials>,
    peer: Option<Extension<TcpConnectInfo>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Failure> {
    collect(state, Path("batch".to_owned()), credentials, peer, headers, body).await
}

async fn collect(
    State(gate): State<Arc<Gate>>,
    Path(route): Path<String>,
    Query(credentials): Query<Credentials>,
    peer: Option<Extension<TcpConnectInfo>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Failure> {
    let client_ip = gate.client_ip(&headers, peer.as_ref().map(|Extension(info)| info));
    let authorization = text(&headers, &header::AUTHORIZATION);
    let bearer = if authorization.is_empty() { &client_ip } else { &authorization };
    gate.limits.collect(&short_hash(bearer)).await?;

    let Received { bytes, room } = receive(&gate.receiving, &headers, body, &BOUNDS).await?;
    let request = CollectHttpRequest {
        route,
        body: bytes,
        content_encoding: text(&headers, &header::CONTENT_ENCODING),
        authorization,
        query_write_key: credentials.write_key.unwrap_or_default(),
        client_ip,
        user_agent: text(&headers, &header::USER_AGENT),
        origin: text(&headers, &header::ORIGIN),
    };
    let answer = hand_in(&gate, request).await;
    drop(room);
    answer
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
    if let Some(wait) = collected.retry_after {
        let seconds = u64::try_from(wait.seconds).unwrap_or(0) + u64::from(wait.nanos > 0);
        response_headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds.max(1)));
    }
    Ok(response)
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

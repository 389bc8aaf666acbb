//! Everything that the one port answers.

mod answer;
mod collect;
mod connect;
mod documents;
mod forward;
mod links;
mod pixel;
mod receive;
mod script;
mod sources;
mod trace;
mod visitor;

use std::sync::Arc;

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    http::{HeaderMap, StatusCode, header},
    middleware,
    response::{IntoResponse, Response},
};
use kit::{
    Error,
    channel::{Channel, Credential},
    server::BodyRoom,
};
use tonic::transport::server::TcpConnectInfo;
use tonic_web::GrpcWebLayer;
use tower::{Layer, ServiceExt};
use tower_http::cors::{AllowHeaders, AllowOrigin, CorsLayer};

use prometheus_client::metrics::counter::Counter;

use crate::{access::Authenticator, limits::Limits, upstreams::Upstreams};
pub(crate) use sources::Sources;

/// What every route works with.
pub(crate) struct Gate {
    pub(crate) authenticator: Authenticator,
    /// The gateway's own credential, for calls it makes itself.
    pub(crate) service: Credential,
    pub(crate) limits: Limits,
    /// Room for the bodies of the collector.
    pub(crate) receiving: BodyRoom,
    /// Room for the calls of the API: a flood of events leaves it to those who administer.
    pub(crate) receiving_calls: BodyRoom,
    pub(crate) upstreams: Upstreams,
    /// The gateway's own gRPC services.
    pub(crate) own: Channel,
    pub(crate) trusted_proxies: usize,
    /// What was learnt of write keys.
    pub(crate) sources: Sources,
    /// Collector requests that their client sent before.
    pub(crate) retried_requests: Counter,
}

impl Gate {
    /// Returns a request of the gateway itself.
    fn as_service<M>(&self, message: M) -> tonic::Request<M> {
        let mut request = tonic::Request::new(message);
        if let Some(token) = self.service.header()
            && let Ok(token) = tonic::metadata::MetadataValue::try_from(token.as_bytes())
        {
            request.metadata_mut().insert("authorization", token);
        }
        request
    }

    /// Returns the client's address: the hop that the outermost trusted proxy saw, or the peer itself.
    fn client_ip(&self, request_headers: &HeaderMap, peer: Option<&TcpConnectInfo>) -> String {
        let peer = || peer.and_then(|info| info.remote_addr()).map(|address| address.ip().to_string());
        let hop = outermost_hop(request_headers, self.trusted_proxies).map(str::to_owned);
        hop.or_else(peer).unwrap_or_default()
    }
}

/// Returns the right-most hop that none of the trusted proxies is: whatever stands left of it, the client may have made up.
fn outermost_hop(request_headers: &HeaderMap, trusted_proxies: usize) -> Option<&str> {
    if trusted_proxies == 0 {
        return None;
    }
    let hops = request_headers.get_all("x-forwarded-for").iter().filter_map(|value| value.to_str().ok());
    let mut from_the_right: Vec<&str> = hops.flat_map(|value| value.split(',')).map(str::trim).collect();
    from_the_right.reverse();
    from_the_right.get(trusted_proxies - 1).copied().filter(|hop| !hop.is_empty())
}

/// Returns all routes.
pub(crate) fn router(gate: Arc<Gate>) -> Router {
    Router::new()
        .merge(collect::router(Arc::clone(&gate)))
        .merge(pixel::router(Arc::clone(&gate)))
        .merge(documents::router(&gate))
        .merge(script::router())
        .merge(visitor::router())
        .merge(links::router(Arc::clone(&gate)))
        .fallback(by_content_type)
        .with_state(gate)
        .layer(middleware::from_fn(trace::in_span))
}

/// Leads a call to the protocol that its content type names.
async fn by_content_type(State(gate): State<Arc<Gate>>, request: Request) -> Response {
    let content_type = request
        .headers()
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
        .to_ascii_lowercase();

    if content_type.starts_with("application/grpc-web") || is_grpc_web_preflight(&request) {
        return grpc_web(gate, request).await;
    }
    if content_type.starts_with("application/grpc") {
        return forward::forward(&gate, request.map(tonic::body::Body::new)).await.map(Body::new);
    }
    if request.uri().path().starts_with("/comptoir.") {
        return connect::call(&gate, request, &content_type).await;
    }
    answer::error(StatusCode::NOT_FOUND, &Error::not_found("ROUTE_NOT_FOUND", "there is nothing at this path"))
}

/// A browser asks before it sends a gRPC-Web or JSON call to another origin.
fn is_grpc_web_preflight(request: &Request) -> bool {
    request.method() == axum::http::Method::OPTIONS && request.uri().path().starts_with("/comptoir.")
}

async fn grpc_web(gate: Arc<Gate>, request: Request) -> Response {
    let inner = tower::service_fn(move |request: axum::http::Request<tonic::body::Body>| {
        let gate = Arc::clone(&gate);
        async move { Ok::<_, std::convert::Infallible>(forward::forward(&gate, request).await) }
    });
    let service = api_cors().layer(GrpcWebLayer::new().layer(inner));
    match service.oneshot(request.map(tonic::body::Body::new)).await {
        Ok(response) => response.map(Body::new),
        Err(never) => match never {},
    }
}

/// Lets pages of any origin call the API: they need a key all the same, and no cookie is looked at.
fn api_cors() -> CorsLayer {
    CorsLayer::new()
        .allow_origin(AllowOrigin::mirror_request())
        .allow_headers(AllowHeaders::mirror_request())
        .allow_methods([axum::http::Method::POST])
        .expose_headers([
            header::HeaderName::from_static("grpc-status"),
            header::HeaderName::from_static("grpc-message"),
            header::HeaderName::from_static("grpc-status-details-bin"),
            header::RETRY_AFTER,
        ])
        .max_age(std::time::Duration::from_secs(7200))
}

impl IntoResponse for answer::Failure {
    fn into_response(self) -> Response {
        answer::of_error(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_client_is_the_hop_before_the_trusted_proxies() {
        for (headers, trusted, hop) in [
            (vec!["203.0.113.7"], 0, None),
            (vec!["203.0.113.7"], 1, Some("203.0.113.7")),
            (vec!["6.6.6.6, 203.0.113.7"], 1, Some("203.0.113.7")),
            (vec!["6.6.6.6, 203.0.113.7, 10.0.0.1"], 2, Some("203.0.113.7")),
            (vec!["6.6.6.6", "203.0.113.7,10.0.0.1"], 2, Some("203.0.113.7")),
            (vec!["6.6.6.6, 2001:db8::7"], 1, Some("2001:db8::7")),
            (vec!["[2001:db8::7]:443"], 1, Some("[2001:db8::7]:443")),
            (vec!["10.0.0.1"], 2, None),
            (vec!["203.0.113.7, "], 1, None),
            (vec![], 1, None),
        ] {
            let map =
                headers.iter().map(|value| ("x-forwarded-for".parse().unwrap(), value.parse().unwrap())).collect();

            assert_eq!(outermost_hop(&map, trusted), hop, "{headers:?} behind {trusted}");
        }
    }
}

//! gRPC, forwarded as bytes: only the path, the credential and the metadata are looked at.

use axum::http::{HeaderMap, HeaderValue, Request, Response, header};
use kit::{Error, channel::SERVICE_METADATA};
use tonic::{Status, body::Body};
use tower::ServiceExt;

use super::{Gate, receive::passed_on};

/// Metadata by which a service names the tenant it acts for. Only tokens of our services may carry it.
const TENANT_METADATA: &str = kit::auth::TENANT_METADATA;

/// Health and reflection answer for the gateway itself and need no key.
const OWN_PUBLIC: [&str; 2] = ["/grpc.health.v1.Health/", "/grpc.reflection."];

/// Leads a gRPC call to its service, as the caller that its credential says.
pub(crate) async fn forward(gate: &Gate, request: Request<Body>) -> Response<Body> {
    match admit(gate, request).await {
        Ok(response) => response,
        Err(error) => Status::from(error).into_http(),
    }
}

async fn admit(gate: &Gate, mut request: Request<Body>) -> Result<Response<Body>, Error> {
    let path = request.uri().path();
    if OWN_PUBLIC.iter().any(|prefix| path.starts_with(prefix)) {
        return Ok(send(&gate.own, request).await);
    }
    let is_own = path.starts_with("/comptoir.gateway.");
    let upstream = if is_own {
        Some(&gate.own)
    } else {
        let named = request.headers().get(SERVICE_METADATA).and_then(|value| value.to_str().ok());
        gate.upstreams.find(path, named)
    };
    let upstream =
        upstream.ok_or_else(|| Error::not_found("METHOD_NOT_FOUND", "no service answers this method"))?.clone();

    let context = gate.authenticator.identify(authorization(request.headers())).await?;
    if !context.service {
        gate.limits.call(&context.subject).await?;
        request.headers_mut().remove(TENANT_METADATA);
        let token = format!("Bearer {}", gate.authenticator.token(&context));
        let token = HeaderValue::try_from(token).map_err(Error::internal)?;
        request.headers_mut().insert(header::AUTHORIZATION, token);
        let (head, body) = request.into_parts();
        request = Request::from_parts(head, passed_on(&gate.receiving_calls, body)?);
    }
    Ok(send(&upstream, request).await)
}

pub(super) fn authorization(headers: &HeaderMap) -> Option<&str> {
    headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok())
}

async fn send(channel: &kit::channel::Channel, request: Request<Body>) -> Response<Body> {
    match channel.clone().oneshot(request).await {
        Ok(response) => response,
        Err(never) => match never {},
    }
}

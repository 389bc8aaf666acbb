//! The links in messages: clicks, opens, unsubscribing. The signed token in the path is the only credential.

use std::sync::Arc;

use axum::{
    Router,
    body::Body,
    extract::{Path, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    response::Response,
    routing::get,
};
use kit::{Error, Kind};
use proto::campaign::v1::{
    DescribeUnsubscribeRequest, FollowLinkRequest, RecordOpenRequest, UnsubscribeRequest,
    link_service_client::LinkServiceClient,
};

use super::{Gate, answer::Failure};

/// A transparent GIF of one pixel.
pub(super) const PIXEL: &[u8] = &[
    0x47, 0x49, 0x46, 0x38, 0x39, 0x61, 0x01, 0x00, 0x01, 0x00, 0x80, 0x00, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff,
    0x21, 0xf9, 0x04, 0x01, 0x00, 0x00, 0x00, 0x00, 0x2c, 0x00, 0x00, 0x00, 0x00, 0x01, 0x00, 0x01, 0x00, 0x00, 0x02,
    0x02, 0x44, 0x01, 0x00, 0x3b,
];

pub(crate) fn router(gate: Arc<Gate>) -> Router<Arc<Gate>> {
    Router::new()
        .route("/c/{token}", get(follow))
        .route("/o/{token}", get(open))
        .route("/u/{token}", get(ask_unsubscribe).post(unsubscribe))
        .with_state(gate)
}

async fn follow(
    State(gate): State<Arc<Gate>>,
    method: Method,
    Path(token): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    if method == Method::HEAD {
        // Link scanners probe with HEAD; that is no click.
        return Ok(Response::new(Body::empty()));
    }
    let request = gate.as_service(FollowLinkRequest { token, user_agent: user_agent(&headers) });
    let url = LinkServiceClient::new(gate.upstreams.campaign.clone())
        .follow_link(request)
        .await
        .map_err(Error::from)?
        .into_inner()
        .url;

    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::FOUND;
    let location = HeaderValue::try_from(url).map_err(Error::internal)?;
    response.headers_mut().insert(header::LOCATION, location);
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

/// Always answers with the pixel: a broken picture in a mail helps nobody.
async fn open(
    State(gate): State<Arc<Gate>>,
    method: Method,
    Path(token): Path<String>,
    headers: HeaderMap,
) -> Response {
    if method == Method::GET {
        let token = token.trim_end_matches(".gif").to_owned();
        let request = gate.as_service(RecordOpenRequest { token, user_agent: user_agent(&headers) });
        let outcome = LinkServiceClient::new(gate.upstreams.campaign.clone()).record_open(request).await;
        if let Err(status) = outcome {
            tracing::debug!(rpc.code = ?status.code(), "an open was not recorded");
        }
    }
    let mut response = Response::new(Body::from(PIXEL));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("image/gif"));
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// Loading the page changes nothing: scanners load it too (RFC 8058, section 3.1).
async fn ask_unsubscribe(State(gate): State<Arc<Gate>>, Path(token): Path<String>) -> Response {
    let request = gate.as_service(DescribeUnsubscribeRequest { token });
    match LinkServiceClient::new(gate.upstreams.campaign.clone()).describe_unsubscribe(request).await {
        Ok(found) if found.get_ref().unsubscribed => page(StatusCode::OK, "You are unsubscribed.", ""),
        Ok(_) => page(
            StatusCode::OK,
            "Do you want to stop receiving these messages?",
            r#"<form method="post"><button type="submit">Unsubscribe</button></form>"#,
        ),
        Err(status) => failed_page(status),
    }
}

async fn unsubscribe(State(gate): State<Arc<Gate>>, Path(token): Path<String>) -> Response {
    let request = gate.as_service(UnsubscribeRequest { token });
    match LinkServiceClient::new(gate.upstreams.campaign.clone()).unsubscribe(request).await {
        Ok(_) => page(StatusCode::OK, "You are unsubscribed.", ""),
        Err(status) => failed_page(status),
    }
}

fn failed_page(status: tonic::Status) -> Response {
    match Error::from(status).kind {
        Kind::InvalidArgument | Kind::NotFound => page(StatusCode::NOT_FOUND, "This link is not valid.", ""),
        _ => page(StatusCode::SERVICE_UNAVAILABLE, "Please try again in a moment.", ""),
    }
}

fn page(status: StatusCode, text: &str, form: &str) -> Response {
    let html = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\"><title>Unsubscribe</title></head>\
         <body><p>{text}</p>{form}</body></html>"
    );
    let mut response = Response::new(Body::from(html));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    response
}

fn user_agent(headers: &HeaderMap) -> String {
    let value = headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok());
    value.unwrap_or_default().chars().take(512).collect()
}

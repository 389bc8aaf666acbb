use axum::{extract::Request, middleware::Next, response::Response};
use tracing::{Instrument, field};

/// Runs a request in a span that continues the caller's trace. The path's first part names it: later parts may be tokens.
pub(crate) async fn in_span(request: Request, next: Next) -> Response {
    let path = request.uri().path();
    let route = match path.split('/').nth(1) {
        Some("v1" | "beacon" | "pixel") => path.to_owned(),
        Some(first) if first.starts_with("comptoir.") => path.to_owned(),
        Some(first) => format!("/{first}"),
        None => String::new(),
    };
    let span = tracing::info_span!(
        parent: None,
        "http",
        otel.name = format!("{} {route}", request.method()),
        otel.kind = "server",
        http.request.method = %request.method(),
        url.path = route,
        http.response.status_code = field::Empty,
    );
    if let Some(parent) = request.headers().get("traceparent").and_then(|value| value.to_str().ok()) {
        kit::telemetry::set_parent(&span, parent);
    }
    let response = next.run(request).instrument(span.clone()).await;
    span.record("http.response.status_code", response.status().as_u16());
    response
}

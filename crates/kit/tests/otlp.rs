//! Spans reach a collector. In a process of its own, since telemetry starts once in a process.

use std::sync::{Arc, Mutex};

use axum::{Router, body::Bytes, extract::Request};
use comptoir_kit::{config::TelemetryConfig, telemetry};
use http_body_util::BodyExt;
use tokio::net::TcpListener;
use tonic::Status;

type Exports = Arc<Mutex<Vec<(String, Bytes)>>>;

/// Starts a collector that takes everything, and returns what it took and its URL.
async fn collector() -> (Exports, String) {
    let exports = Exports::default();
    let taken = Arc::clone(&exports);
    let router = Router::new().fallback(move |request: Request| {
        let taken = Arc::clone(&taken);
        async move {
            let path = request.uri().path().to_owned();
            let body = request.into_body().collect().await.unwrap().to_bytes();
            taken.lock().unwrap().push((path, body));
            Status::ok("").into_http::<axum::body::Body>()
        }
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    (exports, url)
}

#[tokio::test(flavor = "multi_thread")]
async fn spans_are_sent_to_the_configured_collector_by_shutdown_at_the_latest() {
    let (exports, url) = collector().await;
    let config = TelemetryConfig { otlp_endpoint: Some(url), ..TelemetryConfig::default() };
    let running = telemetry::init(&config, "identity").unwrap();

    let traceparent = tracing::info_span!("merge_profiles").in_scope(telemetry::traceparent);
    running.shutdown().await;

    assert!(traceparent.is_some());
    let exports = exports.lock().unwrap();
    let (path, body) = exports.first().expect("one export");
    assert_eq!(path, "/opentelemetry.proto.collector.trace.v1.TraceService/Export");
    for text in ["merge_profiles", "identity"] {
        let found = body.windows(text.len()).any(|window| window == text.as_bytes());
        assert!(found, "no {text} in the export");
    }
    assert!(telemetry::init(&config, "identity").is_err(), "started twice");
}

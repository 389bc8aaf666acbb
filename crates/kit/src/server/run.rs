use std::{future::Future, time::Duration};

use axum::{Router, routing::get};
use http::{StatusCode, header::CONTENT_TYPE};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::{
    service::Routes,
    transport::{Server, server::TcpIncoming},
};

use super::{Readiness, drain::EndStreamsLayer};
use crate::{
    Error,
    channel::{CONNECTION_WINDOW_BYTES, STREAM_WINDOW_BYTES},
    metrics::Metrics,
};

/// How long calls may go on after shutdown begins.
const DRAIN_LIMIT: Duration = Duration::from_secs(10);

/// Media type of the OpenMetrics text format.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Serves `routes` on `listener` until `shutdown` is cancelled, then drains.
///
/// The same port answers HTTP/1 and HTTP/2, `GET /healthz` (always 200: the process lives), `GET /readyz` (200, or 503 with what is
/// missing) and `GET /metrics`. On shutdown the process first turns not ready, takes no new calls, lets running ones end, ends
/// streams of responses with `UNAVAILABLE` after a moment so that followers move on, and gives up on the rest after 10 s.
pub async fn run(
    listener: TcpListener,
    routes: Routes,
    metrics: Metrics,
    readiness: Readiness,
    shutdown: CancellationToken,
) -> Result<(), Error> {
    let router = routes
        .into_axum_router()
        .layer(EndStreamsLayer::new(shutdown.clone()))
        .merge(probes(metrics, readiness.clone()));
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    let stopping = {
        let shutdown = shutdown.clone();
        async move {
            shutdown.cancelled().await;
            readiness.stop();
        }
    };

    let serving = Server::builder()
        .accept_http1(true)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .http2_keepalive_interval(Some(Duration::from_secs(30)))
        .add_routes(Routes::from(router))
        .serve_with_incoming_shutdown(incoming, stopping);
    until_drained(serving, shutdown).await
}

async fn until_drained(
    serving: impl Future<Output = Result<(), tonic::transport::Error>>,
    shutdown: CancellationToken,
) -> Result<(), Error> {
    let out_of_time = async {
        shutdown.cancelled().await;
        tokio::time::sleep(DRAIN_LIMIT).await;
    };
    tokio::select! {
        served = serving => served.map_err(Error::internal),
        () = out_of_time => {
            tracing::warn!("some calls did not end within {} s of shutdown", DRAIN_LIMIT.as_secs());
            Ok(())
        }
    }
}

fn probes(metrics: Metrics, readiness: Readiness) -> Router {
    let ready = move || {
        let missing = readiness.missing();
        let answer = if missing.is_empty() {
            (StatusCode::OK, "ready".to_owned())
        } else {
            (StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {}", missing.join(", ")))
        };
        std::future::ready(answer)
    };
    let measured = move || std::future::ready(([(CONTENT_TYPE, OPEN_METRICS)], metrics.render()));
    Router::new()
        .route("/healthz", get(|| std::future::ready("alive")))
        .route("/readyz", get(ready))
        .route("/metrics", get(measured))
}

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use futures::future::BoxFuture;
use http::{HeaderMap, Request, Response, header::CONTENT_TYPE};
use http_body::{Body, Frame, SizeHint};
use tokio_util::sync::CancellationToken;
use tonic::Status;
use tower::{Layer, Service};

use crate::Error;

/// How long a stream of responses may go on after shutdown begins. Unary calls that are nearly done end within it.
const STREAM_GRACE: Duration = Duration::from_secs(1);

/// Ends streams of responses soon after shutdown begins.
///
/// A follower's stream never ends by itself, so without this every restart would wait for the drain limit.
#[derive(Clone)]
pub(super) struct EndStreamsLayer {
    shutdown: CancellationToken,
}

#[derive(Clone)]
pub(super) struct EndStreams<S> {
    shutdown: CancellationToken,
    inner: S,
}

/// A response body that ends with `UNAVAILABLE` when it is still open a moment after shutdown began.
pub(super) struct EndingBody {
    inner: Option<axum::body::Body>,
    shutdown: CancellationToken,
    /// Made when the body first has to wait: a unary response never does.
    stopping: Option<BoxFuture<'static, ()>>,
    /// Only plain gRPC tells its outcome in trailers; other bodies are left to the drain limit.
    is_grpc: bool,
}

impl EndStreamsLayer {
    pub(super) fn new(shutdown: CancellationToken) -> Self {
        Self { shutdown }
    }
}

impl<S> Layer<S> for EndStreamsLayer {
    type Service = EndStreams<S>;

    fn layer(&self, inner: S) -> EndStreams<S> {
        EndStreams { shutdown: self.shutdown.clone(), inner }
    }
}

impl<S> Service<Request<axum::body::Body>> for EndStreams<S>
where
    S: Service<Request<axum::body::Body>, Response = Response<axum::body::Body>>,
    S::Future: Send + 'static,
{
    type Response = Response<EndingBody>;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<Self::Response, S::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<axum::body::Body>) -> Self::Future {
        let answer = self.inner.call(request);
        let shutdown = self.shutdown.clone();
        Box::pin(async move {
            let response = answer.await?;
            let is_grpc = is_grpc(response.headers());
            Ok(response.map(|body| EndingBody { inner: Some(body), shutdown, stopping: None, is_grpc }))
        })
    }
}

impl Body for EndingBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = self.get_mut();
        let Some(inner) = this.inner.as_mut() else {
            return Poll::Ready(None);
        };
        let polled = Pin::new(inner).poll_frame(context);
        if polled.is_ready() || !this.is_grpc {
            return polled;
        }

        let shutdown = &this.shutdown;
        let stopping = this.stopping.get_or_insert_with(|| {
            let shutdown = shutdown.clone();
            Box::pin(async move {
                shutdown.cancelled().await;
                tokio::time::sleep(STREAM_GRACE).await;
            })
        });
        match Future::poll(stopping.as_mut(), context) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(()) => {
                this.inner = None;
                Poll::Ready(Some(Ok(Frame::trailers(stopping_trailers()))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.inner.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        match &self.inner {
            Some(inner) => inner.size_hint(),
            None => SizeHint::with_exact(0),
        }
    }
}

fn stopping_trailers() -> HeaderMap {
    let status = Status::from(Error::unavailable("SERVER_STOPPING", "the server is stopping"));
    let mut trailers = HeaderMap::new();
    status.add_header(&mut trailers).expect("the status is made of constants");
    trailers
}

fn is_grpc(headers: &HeaderMap) -> bool {
    headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|media_type| media_type == "application/grpc" || media_type.starts_with("application/grpc+"))
}

use std::{
    convert::Infallible,
    future::Future,
    panic::AssertUnwindSafe,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Instant,
};

use futures::FutureExt;
use http::{HeaderMap, Request, Response, header::AUTHORIZATION};
use tonic::{Code, Status, body::Body};
use tower::{Layer, Service};
use tracing::{Instrument, Span, field};

use super::{
    body::{CallEnd, GuardedBody},
    methods::Methods,
};
use crate::{
    Clock, Error,
    auth::{AuthContext, Authority},
    shutdown::panic_message,
    status::unreadable,
    telemetry,
};

/// Path prefixes that need no credential.
const PUBLIC: [&str; 2] = ["/grpc.health.v1.Health/", "/grpc.reflection."];

/// What stands between the network and every handler of a service.
pub(super) struct Guard {
    service: &'static str,
    authority: Authority,
    methods: Methods,
    /// Credentials live on real time, whatever clock the service runs on.
    clock: Clock,
}

#[derive(Clone)]
pub(super) struct GuardLayer(pub(super) Arc<Guard>);

#[derive(Clone)]
pub(super) struct Guarded<S> {
    guard: Arc<Guard>,
    inner: S,
}

impl<S> Layer<S> for GuardLayer {
    type Service = Guarded<S>;

    fn layer(&self, inner: S) -> Guarded<S> {
        Guarded { guard: Arc::clone(&self.0), inner }
    }
}

impl<S> Service<Request<axum::body::Body>> for Guarded<S>
where
    S: Service<Request<axum::body::Body>, Response = Response<axum::body::Body>, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = Response<GuardedBody>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<axum::body::Body>) -> Self::Future {
        let method = Arc::clone(self.guard.methods.find(request.uri().path()));
        let span = self.guard.span(method.name(), request.headers());
        let end = CallEnd::new(method, Instant::now(), span.clone());

        if let Err(refusal) = self.guard.admit(&mut request) {
            let response = Status::from(refusal).into_http::<Body>().map(axum::body::Body::new);
            return Box::pin(std::future::ready(Ok(GuardedBody::wrap(response, end))));
        }

        let answer = self.inner.call(request);
        let contained = async move {
            let response = match AssertUnwindSafe(answer).catch_unwind().await {
                Ok(Ok(response)) => explained(response),
                Ok(Err(never)) => match never {},
                Err(panic) => {
                    let error = Error::internal(panic_message(panic.as_ref()));
                    Status::from(error).into_http::<Body>().map(axum::body::Body::new)
                }
            };
            Ok(GuardedBody::wrap(response, end))
        };
        Box::pin(contained.instrument(span))
    }
}

/// Gives the refusal of a call that no handler has seen, because its message could not be read, the shape of all others.
fn explained(mut response: Response<axum::body::Body>) -> Response<axum::body::Body> {
    let bare = Status::from_header_map(response.headers())
        .filter(|status| status.code() != Code::Ok && status.details().is_empty());
    let Some(status) = bare else { return response };
    // What else the headers say stays, such as the encodings that would be understood.
    if unreadable(status).add_header(response.headers_mut()).is_err() {
        tracing::error!("a status cannot be written as headers");
    }
    response
}

impl Guard {
    pub(super) fn new(service: &'static str, authority: Authority, methods: Methods) -> Self {
        Self { service, authority, methods, clock: Clock::system() }
    }

    /// Returns the span of a call, which continues the trace that the headers name.
    fn span(&self, method: &str, headers: &HeaderMap) -> Span {
        let span = tracing::info_span!(
            parent: None,
            "rpc",
            otel.name = method,
            otel.kind = "server",
            service = self.service,
            rpc.method = method,
            rpc.code = field::Empty,
            trace_id = field::Empty,
        );
        if let Some(parent) = headers.get("traceparent").and_then(|value| value.to_str().ok()) {
            telemetry::set_parent(&span, parent);
        }
        if let Some(trace_id) = telemetry::trace_id(&span) {
            span.record("trace_id", field::display(trace_id));
        }
        span
    }

    /// Verifies the credential and tells the handler whose it is.
    fn admit(&self, request: &mut Request<axum::body::Body>) -> Result<(), Error> {
        // A local caller's extensions travel with its request; only what is verified here may say who calls.
        request.extensions_mut().remove::<AuthContext>();
        if PUBLIC.iter().any(|prefix| request.uri().path().starts_with(prefix)) {
            return Ok(());
        }

        let token = request
            .headers()
            .get(AUTHORIZATION)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.strip_prefix("Bearer "))
            .ok_or_else(|| Error::unauthenticated("CREDENTIAL_MISSING", "the call carries no credential"))?;
        let context = self.authority.verify(token, self.clock.now())?;
        request.extensions_mut().insert(context);
        Ok(())
    }
}

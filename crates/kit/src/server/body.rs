use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Instant,
};

use bytes::Bytes;
use http::{HeaderMap, Response};
use http_body::{Body, Frame, SizeHint};
use tonic::{Code, Status};
use tracing::{Span, field};

use super::methods::Method;
use crate::{Error, shutdown::panic_message};

/// Header and trailer that hold the outcome of a call.
const GRPC_STATUS: &str = "grpc-status";

/// Notes the end of a call once, however it ends; a call that is dropped before counts as cancelled.
pub(super) struct CallEnd {
    method: Arc<Method>,
    start: Instant,
    span: Span,
    noted: bool,
}

/// The response of a guarded call: its stream runs in the call's span, is counted when it ends, and ends with `INTERNAL` when its
/// source panics.
pub(super) struct GuardedBody {
    inner: Option<axum::body::Body>,
    end: CallEnd,
}

impl CallEnd {
    pub(super) fn new(method: Arc<Method>, start: Instant, span: Span) -> Self {
        Self { method, start, span, noted: false }
    }

    fn note(&mut self, code: Code) {
        if self.noted {
            return;
        }
        self.noted = true;
        self.span.record("rpc.code", field::debug(code));
        self.method.record(code, self.start.elapsed());
    }
}

impl Drop for CallEnd {
    fn drop(&mut self) {
        self.note(Code::Cancelled);
    }
}

impl GuardedBody {
    pub(super) fn wrap(response: Response<axum::body::Body>, mut end: CallEnd) -> Response<Self> {
        // A failed unary call has its outcome in the headers already.
        if let Some(code) = code_in(response.headers()) {
            end.note(code);
        }
        response.map(|inner| Self { inner: Some(inner), end })
    }

    fn fail(&mut self, status: &Status) -> Frame<Bytes> {
        self.inner = None;
        self.end.note(status.code());
        let mut trailers = HeaderMap::new();
        if status.add_header(&mut trailers).is_err() {
            trailers.insert(GRPC_STATUS, (Code::Internal as i32).into());
        }
        Frame::trailers(trailers)
    }
}

impl Body for GuardedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = self.get_mut();
        let Some(inner) = this.inner.as_mut() else {
            return Poll::Ready(None);
        };
        let polled = this.end.span.in_scope(|| catch_unwind(AssertUnwindSafe(|| Pin::new(inner).poll_frame(context))));

        match polled {
            Err(panic) => {
                let status = Status::from(Error::internal(panic_message(panic.as_ref())));
                Poll::Ready(Some(Ok(this.fail(&status))))
            }
            Ok(poll) => {
                let frame = ready!(poll);
                match &frame {
                    Some(Ok(frame)) => {
                        if let Some(code) = frame.trailers_ref().and_then(code_in) {
                            this.end.note(code);
                        }
                    }
                    Some(Err(_)) => this.end.note(Code::Unknown),
                    None => this.end.note(Code::Ok),
                }
                Poll::Ready(frame)
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

fn code_in(headers: &HeaderMap) -> Option<Code> {
    headers.get(GRPC_STATUS).map(|value| Code::from_bytes(value.as_bytes()))
}

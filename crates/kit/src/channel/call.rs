use std::{collections::HashMap, convert::Infallible, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures::FutureExt;
use http::{
    HeaderMap, HeaderValue, Request, Response,
    header::{AUTHORIZATION, HeaderName},
};
use tonic::{Code, Status, body::Body};
use tonic_types::{ErrorDetails, StatusExt};
use tower::{BoxError, Service, ServiceExt, util::BoxCloneSyncService};

use super::{Channel, ChannelOptions, SERVICE_METADATA, budget::RetryBudget, replay::RequestBody};
use crate::{
    Error,
    shutdown::panic_message,
    status::{ERROR_DOMAIN, chain},
    telemetry,
};

/// Pause before the first retry; doubled each time, and drawn between half and all of it so that callers do not march in step.
const FIRST_PAUSE: Duration = Duration::from_millis(50);

const GRPC_TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// What every call through one channel has in common.
pub(super) struct Policy {
    options: ChannelOptions,
    target: Option<HeaderValue>,
    budget: RetryBudget,
}

impl Policy {
    pub(super) fn new(options: ChannelOptions) -> Self {
        let target = options.target.map(HeaderValue::from_static);
        Self { options, target, budget: RetryBudget::new() }
    }

    /// Returns a channel that sends calls through `transport` under this policy.
    pub(super) fn apply<T>(self, transport: T) -> Channel
    where
        T: Service<Request<Body>, Response = Response<Body>> + Clone + Send + Sync + 'static,
        T::Error: Into<BoxError>,
        T::Future: Send,
    {
        let policy = Arc::new(self);
        BoxCloneSyncService::new(tower::service_fn(move |request| {
            let policy = Arc::clone(&policy);
            let transport = transport.clone();
            async move { Ok::<_, Infallible>(policy.call(transport, request).await) }
        }))
    }

    async fn call<T>(&self, transport: T, request: Request<Body>) -> Response<Body>
    where
        T: Service<Request<Body>, Response = Response<Body>> + Clone,
        T::Error: Into<BoxError>,
    {
        let (mut head, body) = request.into_parts();
        let body = match RequestBody::sort(body) {
            Ok(body) => body,
            Err(status) => return status.into_http(),
        };
        let asked = take_timeout(&mut head.headers);
        let deadline = asked.or_else(|| body.is_whole().then_some(self.options.deadline));
        self.add_headers(&mut head.headers);

        let attempts = self.attempts(transport, head, body);
        match deadline {
            None => attempts.await,
            Some(limit) => match tokio::time::timeout(limit, attempts).await {
                Ok(response) => response,
                Err(_) => deadline_exceeded(limit).into_http(),
            },
        }
    }

    async fn attempts<T>(&self, transport: T, head: http::request::Parts, mut body: RequestBody) -> Response<Body>
    where
        T: Service<Request<Body>, Response = Response<Body>> + Clone,
        T::Error: Into<BoxError>,
    {
        self.budget.deposit();
        let retries = if body.is_whole() { self.options.retries } else { 0 };
        for attempt in 0..retries {
            let request = Request::from_parts(head.clone(), body.next_body());
            let response = send(transport.clone(), request).await;
            let Some(asked_wait) = wait_of_unavailable(&response) else {
                return response;
            };
            if !self.budget.withdraw() {
                return response;
            }
            tokio::time::sleep(asked_wait.max(pause(attempt))).await;
        }
        send(transport, Request::from_parts(head, body.next_body())).await
    }

    fn add_headers(&self, headers: &mut HeaderMap) {
        if !headers.contains_key(AUTHORIZATION)
            && let Some(token) = self.options.credential.header()
        {
            headers.insert(AUTHORIZATION, token);
        }
        if let Some(trace) = telemetry::traceparent()
            && let Ok(value) = HeaderValue::try_from(trace)
        {
            headers.insert(TRACEPARENT, value);
        }
        if let Some(target) = &self.target {
            headers.insert(SERVICE_METADATA, target.clone());
        }
    }
}

/// Sends one attempt. Whatever goes wrong becomes a status.
async fn send<T>(transport: T, request: Request<Body>) -> Response<Body>
where
    T: Service<Request<Body>, Response = Response<Body>>,
    T::Error: Into<BoxError>,
{
    match AssertUnwindSafe(transport.oneshot(request)).catch_unwind().await {
        Ok(Ok(response)) => response,
        Ok(Err(error)) => unreachable_service(error.into()).into_http(),
        Err(panic) => Status::from(Error::internal(panic_message(panic.as_ref()))).into_http(),
    }
}

/// A call that broke below gRPC may or may not have been carried out; our RPCs are safe to repeat, hence `UNAVAILABLE`.
fn unreachable_service(error: BoxError) -> Status {
    tracing::debug!(error.cause = %chain(error.as_ref()), "a service cannot be reached");
    let details = ErrorDetails::with_error_info("SERVICE_UNREACHABLE", ERROR_DOMAIN, HashMap::<String, String>::new());
    Status::with_error_details(Code::Unavailable, "the service cannot be reached", details)
}

fn deadline_exceeded(limit: Duration) -> Status {
    let details = ErrorDetails::with_error_info("DEADLINE_EXCEEDED", ERROR_DOMAIN, HashMap::<String, String>::new());
    let message = format!("no answer within {} ms", limit.as_millis());
    Status::with_error_details(Code::DeadlineExceeded, message, details)
}

/// Returns how long the service asks to wait, zero if it does not say, when the response is `UNAVAILABLE`.
fn wait_of_unavailable(response: &Response<Body>) -> Option<Duration> {
    let code = response.headers().get(Status::GRPC_STATUS)?;
    if Code::from_bytes(code.as_bytes()) != Code::Unavailable {
        return None;
    }
    let asked = Status::from_header_map(response.headers())
        .and_then(|status| status.get_details_retry_info())
        .and_then(|info| info.retry_delay);
    Some(asked.unwrap_or_default())
}

fn pause(attempt: u32) -> Duration {
    let longest = FIRST_PAUSE * 2_u32.saturating_pow(attempt);
    longest.mul_f64(rand::random_range(0.5..=1.0))
}

/// Takes the deadline that the caller put on this call out of the headers.
///
/// It is not sent on: transports enforce it too, each in its own way and with another code. When our own deadline passes, the
/// request is dropped, which cancels the handler at once on either kind of channel.
fn take_timeout(headers: &mut HeaderMap) -> Option<Duration> {
    let value = headers.remove(GRPC_TIMEOUT)?;
    let (digits, unit) = value.to_str().ok()?.split_at_checked(value.len().checked_sub(1)?)?;
    let amount: u64 = digits.parse().ok()?;
    match unit {
        "H" => Some(Duration::from_secs(amount.saturating_mul(3600))),
        "M" => Some(Duration::from_secs(amount.saturating_mul(60))),
        "S" => Some(Duration::from_secs(amount)),
        "m" => Some(Duration::from_millis(amount)),
        "u" => Some(Duration::from_micros(amount)),
        "n" => Some(Duration::from_nanos(amount)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grpc_timeouts_are_read_in_every_unit_and_taken_off() {
        let cases = [
            ("2H", Some(7200.0)),
            ("3M", Some(180.0)),
            ("4S", Some(4.0)),
            ("20m", Some(0.02)),
            ("5u", Some(0.000_005)),
            ("x", None),
            ("", None),
            ("S", None),
        ];
        for (text, seconds) in cases {
            let mut headers = HeaderMap::from_iter([(GRPC_TIMEOUT, HeaderValue::from_static(text))]);

            assert_eq!(take_timeout(&mut headers).map(|limit| limit.as_secs_f64()), seconds, "{text}");
            assert!(headers.is_empty());
        }
    }
}

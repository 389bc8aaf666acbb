//! Errors as HTTP says them: a status and a JSON body with `code` and `message`.

use axum::{
    body::Body,
    http::{HeaderValue, StatusCode, header},
    response::Response,
};
use kit::{Error, Kind};
use serde_json::json;

/// An error on its way to an HTTP client.
pub(crate) struct Failure(pub(crate) Error);

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self(error)
    }
}

/// Returns the answer to a failed HTTP request. Causes stay inside.
pub(crate) fn of_error(failure: &Error) -> Response {
    let status = match failure.kind {
        Kind::InvalidArgument if failure.reason == "BODY_TOO_LARGE" => StatusCode::PAYLOAD_TOO_LARGE,
        // SDKs try again after 408, and never after 400.
        Kind::InvalidArgument if failure.reason == "BODY_TIMEOUT" => StatusCode::REQUEST_TIMEOUT,
        Kind::InvalidArgument => StatusCode::BAD_REQUEST,
        Kind::Unauthenticated => StatusCode::UNAUTHORIZED,
        Kind::PermissionDenied => StatusCode::FORBIDDEN,
        Kind::NotFound => StatusCode::NOT_FOUND,
        Kind::AlreadyExists | Kind::Aborted => StatusCode::CONFLICT,
        Kind::FailedPrecondition => StatusCode::PRECONDITION_FAILED,
        Kind::ResourceExhausted => StatusCode::TOO_MANY_REQUESTS,
        Kind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        Kind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    };
    error(status, failure)
}

/// Returns the answer to a failed HTTP request, with a status of the caller's choice.
pub(crate) fn error(status: StatusCode, failure: &Error) -> Response {
    let message = match failure.kind {
        Kind::Internal => "internal error",
        _ => failure.message.as_str(),
    };
    let mut response = json_answer(status, &json!({ "code": failure.reason, "message": message }));
    let wait = failure.retry_after.or_else(|| {
        matches!(failure.kind, Kind::Unavailable | Kind::ResourceExhausted).then(|| std::time::Duration::from_secs(1))
    });
    if let Some(wait) = wait {
        let seconds = wait.as_secs_f64().ceil().max(1.0) as u64;
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

/// Returns a JSON answer.
pub(crate) fn json_answer(status: StatusCode, body: &serde_json::Value) -> Response {
    let mut response = Response::new(Body::from(body.to_string()));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

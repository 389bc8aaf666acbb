//! The one place where errors become gRPC statuses, and back.

use std::{collections::HashMap, error::Error as StdError, fmt::Write};

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

use crate::{Error, Kind, error::FieldViolation};

/// `ErrorInfo.domain` of every error of this product.
pub const ERROR_DOMAIN: &str = "comptoir";

impl From<Error> for Status {
    fn from(error: Error) -> Self {
        if error.kind == Kind::Internal {
            return internal_status(&error);
        }
        if let Some(source) = &error.source {
            tracing::debug!(
                error.reason = %error.reason,
                error.cause = %chain(source.as_ref()),
                "a call failed: {error}"
            );
        }

        let mut details = ErrorDetails::with_error_info(error.reason, ERROR_DOMAIN, HashMap::<String, String>::new());
        for violation in error.violations {
            details.add_bad_request_violation(violation.field, violation.description);
        }
        if error.retry_after.is_some() {
            details.set_retry_info(error.retry_after);
        }
        Status::with_error_details(code(error.kind), error.message, details)
    }
}

/// Understands the failure of a call to another service.
///
/// Kind, reason, message, violations and wait are kept, so that a handler may pass them on with `?`. A deadline that passed or a
/// cancelled call counts as unavailable; a code that no service of ours sends is internal.
impl From<Status> for Error {
    fn from(status: Status) -> Self {
        let Some(kind) = kind(status.code()) else {
            return Error::internal(status);
        };
        let details = status.get_error_details();
        let reason = match details.error_info() {
            Some(info) => info.reason.clone(),
            None => default_reason(kind).to_owned(),
        };
        let mut error = Error::new(kind, reason, status.message());
        if let Some(bad_request) = details.bad_request() {
            error.violations = bad_request
                .field_violations
                .iter()
                .map(|violation| FieldViolation {
                    field: violation.field.clone(),
                    description: violation.description.clone(),
                })
                .collect();
        }
        error.retry_after = details.retry_info().and_then(|info| info.retry_delay);
        error.caused_by(status)
    }
}

/// Says in our words what tonic says in its own when a message cannot be read: such a status has a code and a text only, and codes
/// that blame the service for what the caller sent. A status that carries a reason is returned as it is.
///
/// [`server::Services`](crate::server::Services) does it for the message of a unary call; a handler that reads a stream of messages
/// does it itself.
pub fn unreadable(status: Status) -> Status {
    if !status.details().is_empty() {
        return status;
    }
    let (code, reason, message) = match status.code() {
        Code::Internal => (Code::InvalidArgument, "MESSAGE_UNREADABLE", "the message cannot be read"),
        Code::OutOfRange | Code::ResourceExhausted => {
            (Code::InvalidArgument, "MESSAGE_TOO_LARGE", "the message cannot be taken")
        }
        Code::Unimplemented if status.message().is_empty() => {
            (Code::Unimplemented, "METHOD_NOT_FOUND", "the service has no such method")
        }
        Code::Unimplemented => (Code::Unimplemented, "ENCODING_UNKNOWN", "the message cannot be decompressed"),
        _ => return status,
    };
    let message = match status.message() {
        "" => message.to_owned(),
        detail => format!("{message}: {detail}"),
    };
    let details = ErrorDetails::with_error_info(reason, ERROR_DOMAIN, HashMap::<String, String>::new());
    Status::with_error_details(code, message, details)
}

/// Logs the cause under a fresh id and returns a status that carries only the id.
fn internal_status(error: &Error) -> Status {
    let incident_id = uuid::Uuid::now_v7();
    tracing::error!(
        incident.id = %incident_id,
        error.cause = %chain(error),
        "internal error {incident_id}"
    );

    let metadata = HashMap::from([("incident_id".to_owned(), incident_id.to_string())]);
    let details = ErrorDetails::with_error_info("INTERNAL", ERROR_DOMAIN, metadata);
    Status::with_error_details(Code::Internal, format!("internal error {incident_id}"), details)
}

/// Returns an error and its causes in one line, outermost first.
pub fn chain(error: &(dyn StdError + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let _ = write!(text, ": {error}");
        cause = error.source();
    }
    text
}

fn code(kind: Kind) -> Code {
    match kind {
        Kind::InvalidArgument => Code::InvalidArgument,
        Kind::NotFound => Code::NotFound,
        Kind::AlreadyExists => Code::AlreadyExists,
        Kind::FailedPrecondition => Code::FailedPrecondition,
        Kind::Aborted => Code::Aborted,
        Kind::ResourceExhausted => Code::ResourceExhausted,
        Kind::Unavailable => Code::Unavailable,
        Kind::Unauthenticated => Code::Unauthenticated,
        Kind::PermissionDenied => Code::PermissionDenied,
        Kind::Internal => Code::Internal,
    }
}

fn kind(code: Code) -> Option<Kind> {
    match code {
        Code::InvalidArgument | Code::OutOfRange => Some(Kind::InvalidArgument),
        Code::NotFound => Some(Kind::NotFound),
        Code::AlreadyExists => Some(Kind::AlreadyExists),
        Code::FailedPrecondition => Some(Kind::FailedPrecondition),
        Code::Aborted => Some(Kind::Aborted),
        Code::ResourceExhausted => Some(Kind::ResourceExhausted),
        Code::Unavailable | Code::DeadlineExceeded | Code::Cancelled => Some(Kind::Unavailable),
        Code::Unauthenticated => Some(Kind::Unauthenticated),
        Code::PermissionDenied => Some(Kind::PermissionDenied),
        Code::Ok | Code::Unknown | Code::Unimplemented | Code::Internal | Code::DataLoss => None,
    }
}

fn default_reason(kind: Kind) -> &'static str {
    match kind {
        Kind::InvalidArgument => "INVALID_ARGUMENT",
        Kind::NotFound => "NOT_FOUND",
        Kind::AlreadyExists => "ALREADY_EXISTS",
        Kind::FailedPrecondition => "FAILED_PRECONDITION",
        Kind::Aborted => "ABORTED",
        Kind::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Kind::Unavailable => "UNAVAILABLE",
        Kind::Unauthenticated => "UNAUTHENTICATED",
        Kind::PermissionDenied => "PERMISSION_DENIED",
        Kind::Internal => "INTERNAL",
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::Violations;

    #[test]
    fn a_status_carries_reason_domain_violations_and_wait() {
        let mut violations = Violations::new();
        violations.check(1 > 2, "page_size", "must be 0 to 1000");
        violations.add("request_id", "must be a UUID");
        let error = violations.finish().unwrap_err().retry_after(Duration::from_secs(3));

        let status = Status::from(error);

        let details = status.get_error_details();
        assert_eq!(status.code(), Code::InvalidArgument);
        assert_eq!(details.error_info().unwrap().reason, "INVALID_FIELDS");
        assert_eq!(details.error_info().unwrap().domain, ERROR_DOMAIN);
        assert_eq!(details.bad_request().unwrap().field_violations.len(), 2);
        assert_eq!(details.retry_info().unwrap().retry_delay, Some(Duration::from_secs(3)));
    }

    #[test]
    fn an_internal_cause_never_reaches_the_wire() {
        let status = Status::from(Error::internal("password of the database is hunter2"));

        assert_eq!(status.code(), Code::Internal);
        assert!(!format!("{status:?}").contains("hunter2"));
        let info = status.get_details_error_info().unwrap();
        let incident_id = &info.metadata["incident_id"];
        assert!(status.message().contains(incident_id.as_str()));
    }

    #[test]
    fn an_error_survives_the_way_over_the_wire_and_back() {
        let sent = Error::unavailable("LOG_FULL", "the log cannot take it").retry_after(Duration::from_secs(2));

        let received = Error::from(Status::from(sent));

        assert_eq!(received.kind, Kind::Unavailable);
        assert_eq!(received.reason, "LOG_FULL");
        assert_eq!(received.message, "the log cannot take it");
        assert_eq!(received.retry_after, Some(Duration::from_secs(2)));
    }

    #[test]
    fn what_tonic_cannot_read_is_the_caller_s_fault_and_has_a_reason() {
        for (status, code, reason) in [
            (Status::internal("buffer underflow"), Code::InvalidArgument, "MESSAGE_UNREADABLE"),
            (Status::out_of_range("found 9 bytes"), Code::InvalidArgument, "MESSAGE_TOO_LARGE"),
            (Status::unimplemented(""), Code::Unimplemented, "METHOD_NOT_FOUND"),
            (Status::unimplemented("`br` is not supported"), Code::Unimplemented, "ENCODING_UNKNOWN"),
        ] {
            let told = unreadable(status.clone());
            assert_eq!(told.code(), code);
            assert!(told.message().contains(status.message()), "{told:?}");
            assert_eq!(told.get_details_error_info().unwrap().reason, reason);
        }
        let ours = Status::from(Error::internal("a cause"));
        assert_eq!(unreadable(ours.clone()).code(), Code::Internal);
        assert_eq!(unreadable(ours.clone()).message(), ours.message());
        assert_eq!(unreadable(Status::cancelled("gone")).code(), Code::Cancelled);
    }

    #[test]
    fn a_passed_deadline_counts_as_unavailable_and_an_unknown_code_as_internal() {
        assert_eq!(Error::from(Status::deadline_exceeded("late")).kind, Kind::Unavailable);
        assert_eq!(Error::from(Status::unimplemented("")).kind, Kind::Internal);
    }
}

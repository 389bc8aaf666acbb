//! What an HTTP client is told. SDKs decide by status and body whether to drop, wait or send again, so both are exact:
//! success is 200 with `{"success":true}`, every error is JSON with `code` and `message`.

use std::time::Duration;

use proto::ingestion::v1::{CollectHttpResponse, Verdict};
use serde::Serialize;
use store::Error;

use super::http::{BUSY_RETRY_AFTER, UNAVAILABLE_RETRY_AFTER};
use crate::quotas::QUOTA_EXCEEDED;

/// Why nothing of an HTTP request was taken.
#[derive(Debug)]
pub(super) struct Refusal {
    status: u32,
    code: &'static str,
    message: &'static str,
    retry_after: Option<Duration>,
}

#[derive(Serialize)]
struct ErrorBody {
    code: &'static str,
    message: &'static str,
}

impl Refusal {
    pub(super) fn new(status: u32, code: &'static str, message: &'static str) -> Self {
        Self { status, code, message, retry_after: None }
    }

    /// The store did not take it.
    pub(super) fn not_stored(error: &Error) -> Self {
        match error {
            Error::Overloaded => Self {
                retry_after: Some(BUSY_RETRY_AFTER),
                ..Self::new(429, "OVERLOADED", "too many events wait to be stored")
            },
            _ => Self {
                retry_after: Some(UNAVAILABLE_RETRY_AFTER),
                ..Self::new(503, "STORE_UNAVAILABLE", "events cannot be stored now")
            },
        }
    }

    /// The source sends more than its quota.
    pub(super) fn over_quota(wait: Duration) -> Self {
        let seconds = wait.as_secs_f64().ceil().max(1.0) as u64;
        Self {
            retry_after: Some(Duration::from_secs(seconds)),
            ..Self::new(429, QUOTA_EXCEEDED, "the source sends more than its quota")
        }
    }

    pub(super) fn code(&self) -> &'static str {
        self.code
    }

    pub(super) fn render(self) -> CollectHttpResponse {
        let body = ErrorBody { code: self.code, message: self.message };
        CollectHttpResponse {
            status: self.status,
            body: serde_json::to_vec(&body).expect("two texts are JSON").into(),
            retry_after: self.retry_after.map(|wait| prost_types::Duration {
                seconds: i64::try_from(wait.as_secs()).expect("a wait of seconds"),
                nanos: 0,
            }),
            verdicts: Vec::new(),
        }
    }
}

/// Every event is committed, was known, or is kept as a dead letter.
pub(super) fn success(verdicts: Vec<Verdict>) -> CollectHttpResponse {
    CollectHttpResponse { status: 200, body: (&br#"{"success":true}"#[..]).into(), retry_after: None, verdicts }
}

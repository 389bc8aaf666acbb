use std::{
    collections::HashMap,
    sync::{Arc, OnceLock},
    time::Duration,
};

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{
        counter::Counter,
        family::Family,
        histogram::{Histogram, exponential_buckets},
    },
};
use prost::Message;
use prost_types::FileDescriptorSet;
use tonic::Code;

use crate::metrics::Metrics;

/// Label of calls to methods that do not exist. Their names come from outside, and so are unbounded.
const UNKNOWN: &str = "unknown";

/// Number of gRPC codes.
const CODES: usize = 17;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct MethodLabel {
    method: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabels {
    method: String,
    code: &'static str,
}

/// Every method that the contracts name, with its metrics.
pub(super) struct Methods {
    by_path: HashMap<String, Arc<Method>>,
    unknown: Arc<Method>,
}

/// One method and its metrics. The handles are kept, so that a call costs no lookup by label.
pub(super) struct Method {
    name: String,
    durations: Histogram,
    calls: Family<OutcomeLabels, Counter>,
    by_code: [OnceLock<Counter>; CODES],
}

impl Methods {
    pub(super) fn new(descriptor_sets: &[&[u8]], metrics: &Metrics) -> Self {
        let calls: Family<OutcomeLabels, Counter> =
            metrics.shared("rpc_server_calls", "RPCs handled, by method and gRPC code", Family::default);
        let durations: Family<MethodLabel, Histogram> =
            metrics.shared("rpc_server_duration_seconds", "Time from a request to the end of its response", || {
                Family::new_with_constructor(new_histogram as fn() -> Histogram)
            });
        let method = |name: String| {
            let label = MethodLabel { method: name.clone() };
            Arc::new(Method {
                name,
                durations: durations.get_or_create_owned(&label),
                calls: calls.clone(),
                by_code: Default::default(),
            })
        };

        let by_path = descriptor_sets
            .iter()
            .flat_map(|bytes| method_names(bytes))
            .map(|name| (format!("/{name}"), method(name)))
            .collect();
        Self { by_path, unknown: method(UNKNOWN.to_owned()) }
    }

    /// Returns the method that a request path names.
    pub(super) fn find(&self, path: &str) -> &Arc<Method> {
        self.by_path.get(path).unwrap_or(&self.unknown)
    }
}

impl Method {
    /// Returns `package.Service/Method`, or `unknown`.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Counts a call that ended.
    pub(super) fn record(&self, code: Code, duration: Duration) {
        self.durations.observe(duration.as_secs_f64());
        self.by_code[code as usize]
            .get_or_init(|| {
                let labels = OutcomeLabels { method: self.name.clone(), code: code_name(code) };
                self.calls.get_or_create_owned(&labels)
            })
            .inc();
    }
}

/// 100 µs to about 26 s.
fn new_histogram() -> Histogram {
    Histogram::new(exponential_buckets(0.0001, 4.0, 10))
}

fn method_names(descriptor_set: &[u8]) -> Vec<String> {
    let files = FileDescriptorSet::decode(descriptor_set).expect("the descriptor sets are compiled in").file;
    let mut names = Vec::new();
    for file in &files {
        for service in &file.service {
            for method in &service.method {
                names.push(format!("{}.{}/{}", file.package(), service.name(), method.name()));
            }
        }
    }
    names
}

fn code_name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}

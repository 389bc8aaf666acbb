use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use opentelemetry::trace::SpanId;
use opentelemetry_sdk::{
    error::OTelSdkResult,
    trace::{SpanData, SpanExporter},
};

/// Keeps finished spans in memory, so that a test can look at them. Cloning shares them.
#[derive(Clone, Debug, Default)]
pub struct SpanRecorder(Arc<Mutex<Vec<RecordedSpan>>>);

/// A finished span.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordedSpan {
    /// Name of the operation.
    pub name: String,
    /// Trace it belongs to, as 32 hex digits.
    pub trace_id: String,
    /// The span, as 16 hex digits.
    pub span_id: String,
    /// The span it is part of, as 16 hex digits, unless it is the root.
    pub parent_span_id: Option<String>,
    /// Its fields, as text.
    pub fields: BTreeMap<String, String>,
}

impl SpanRecorder {
    /// Returns an empty recorder.
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns the spans that have finished so far, in that order.
    pub fn spans(&self) -> Vec<RecordedSpan> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl SpanExporter for SpanRecorder {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let mut spans = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        spans.extend(batch.into_iter().map(RecordedSpan::from));
        Ok(())
    }
}

impl From<SpanData> for RecordedSpan {
    fn from(span: SpanData) -> Self {
        let parent = span.parent_span_id;
        let fields = span.attributes.iter().map(|field| (field.key.to_string(), field.value.to_string()));
        Self {
            name: span.name.to_string(),
            trace_id: span.span_context.trace_id().to_string(),
            span_id: span.span_context.span_id().to_string(),
            parent_span_id: (parent != SpanId::INVALID).then(|| parent.to_string()),
            fields: fields.collect(),
        }
    }
}

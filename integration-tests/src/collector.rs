//! A trace collector: takes spans over OTLP and keeps them.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use kit::Error;
use opentelemetry_proto::tonic::{
    collector::trace::v1::{
        ExportTraceServiceRequest, ExportTraceServiceResponse,
        trace_service_server::{TraceService, TraceServiceServer},
    },
    common::v1::{AnyValue, any_value::Value},
};
use tokio::{net::TcpListener, sync::Notify};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status, transport::Server};

use crate::subject::within;

/// A span as it arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    /// Service that sent it.
    pub service: String,
    /// What was done.
    pub name: String,
    /// Its trace, 32 hex digits.
    pub trace_id: String,
    /// The span, 16 hex digits.
    pub span_id: String,
    /// The span it is part of; empty at a root.
    pub parent_id: String,
    /// Spans it is linked to, as `(trace id, span id)`.
    pub links: Vec<(String, String)>,
    /// Its fields, as text.
    pub fields: BTreeMap<String, String>,
}

/// The collector. Cloning shares it.
#[derive(Clone)]
pub struct Collector {
    address: SocketAddr,
    spans: Arc<Mutex<Vec<Span>>>,
    arrived: Arc<Notify>,
}

impl Collector {
    /// Starts it on a free port. It runs until the runtime ends.
    pub async fn start() -> std::io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let collector = Self { address: listener.local_addr()?, spans: Arc::default(), arrived: Arc::default() };
        let server = Server::builder().add_service(TraceServiceServer::new(collector.clone()));
        tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
        Ok(collector)
    }

    /// Returns what services are to send to, `http://host:port`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Returns the spans so far of one trace.
    pub fn trace(&self, trace_id: &str) -> Vec<Span> {
        let spans = self.spans.lock().unwrap_or_else(PoisonError::into_inner);
        spans.iter().filter(|span| span.trace_id == trace_id).cloned().collect()
    }

    /// Waits until a trace is as wanted, and returns it.
    pub async fn wait_for(
        &self,
        trace_id: &str,
        limit: Duration,
        is_whole: impl Fn(&[Span]) -> bool,
    ) -> Result<Vec<Span>, Error> {
        let waiting = async {
            loop {
                let arrival = self.arrived.notified();
                let trace = self.trace(trace_id);
                if is_whole(&trace) {
                    return Ok(trace);
                }
                arrival.await;
            }
        };
        let outcome = within(limit, "the trace is not whole", waiting).await;
        outcome.map_err(|error| {
            let found: Vec<String> =
                self.trace(trace_id).iter().map(|span| format!("{}: {}", span.service, span.name)).collect();
            Error::new(error.kind, error.reason, format!("{}; so far: {found:#?}", error.message))
        })
    }
}

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        for resource_spans in request.into_inner().resource_spans {
            let attributes = resource_spans.resource.map(|resource| resource.attributes).unwrap_or_default();
            let service = attributes.iter().find(|attribute| attribute.key == "service.name");
            let service = service.and_then(|attribute| attribute.value.as_ref()).map(text).unwrap_or_default();
            let spans = resource_spans.scope_spans.into_iter().flat_map(|scope| scope.spans);
            let mut kept = self.spans.lock().unwrap_or_else(PoisonError::into_inner);
            kept.extend(spans.map(|span| {
                let fields =
                    span.attributes.iter().filter_map(|field| Some((field.key.clone(), text(field.value.as_ref()?))));
                Span {
                    service: service.clone(),
                    trace_id: hex(&span.trace_id),
                    span_id: hex(&span.span_id),
                    parent_id: hex(&span.parent_span_id),
                    links: span.links.iter().map(|link| (hex(&link.trace_id), hex(&link.span_id))).collect(),
                    fields: fields.collect(),
                    name: span.name,
                }
            }));
        }
        self.arrived.notify_waiters();
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

fn text(value: &AnyValue) -> String {
    match &value.value {
        Some(Value::StringValue(text)) => text.clone(),
        Some(Value::IntValue(number)) => number.to_string(),
        Some(Value::DoubleValue(number)) => number.to_string(),
        Some(Value::BoolValue(truth)) => truth.to_string(),
        _ => String::new(),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

//! Logs and traces. Logs go to standard error; traces go to an OTLP collector when one is configured, and nowhere otherwise.
//!
//! A trace crosses processes in the W3C `traceparent` form: in call headers ([`crate::channel`] and [`crate::server`] see to that)
//! and in log records, where the publisher stores [`traceparent`] and the follower hands it to [`set_parent`].

mod context;
mod recorder;

use std::time::Duration;

use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::WithExportConfig;
use opentelemetry_sdk::{
    Resource,
    trace::{Sampler, SdkTracerProvider, SpanExporter, TracerProviderBuilder},
};
use tracing_subscriber::{
    EnvFilter, Layer, Registry, filter::LevelFilter, layer::SubscriberExt, util::SubscriberInitExt,
};

pub(crate) use self::context::trace_id;
pub use self::{
    context::{set_parent, traceparent},
    recorder::{RecordedSpan, SpanRecorder},
};
use crate::{
    Error,
    config::{LogFormat, TelemetryConfig},
};

/// How long the last spans may take to leave at shutdown.
const FLUSH_LIMIT: Duration = Duration::from_secs(5);

/// Keeps telemetry going. Call [`shutdown`](Self::shutdown) last, or the last spans are lost.
#[derive(Debug)]
pub struct Telemetry {
    provider: Option<SdkTracerProvider>,
}

/// Starts logs and, if an endpoint is configured, traces, for the whole process.
///
/// Must be called inside a Tokio runtime. Fails when called twice, and on a filter or endpoint that cannot be parsed.
pub fn init(config: &TelemetryConfig, service_name: &str) -> Result<Telemetry, Error> {
    let Some(endpoint) = &config.otlp_endpoint else {
        return start(config, None);
    };
    let exporter = opentelemetry_otlp::SpanExporter::builder()
        .with_tonic()
        .with_endpoint(endpoint.clone())
        .build()
        .map_err(|error| invalid(format!("telemetry.otlp_endpoint {endpoint}: {error}")))?;
    let provider = provider_builder(config, service_name).with_batch_exporter(exporter).build();
    start(config, Some(provider))
}

/// Like [`init`], but hands every finished span to `exporter` at once. For tests; see [`SpanRecorder`].
pub fn init_with_exporter(
    config: &TelemetryConfig,
    service_name: &str,
    exporter: impl SpanExporter + 'static,
) -> Result<Telemetry, Error> {
    let provider = provider_builder(config, service_name).with_simple_exporter(exporter).build();
    start(config, Some(provider))
}

impl Telemetry {
    /// Sends what is left, off the runtime's worker threads, and stops.
    pub async fn shutdown(self) {
        let Some(provider) = self.provider else {
            return;
        };
        let flush = tokio::task::spawn_blocking(move || provider.shutdown_with_timeout(FLUSH_LIMIT));
        match flush.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => eprintln!("the last spans were not sent: {error}"),
            Err(error) => eprintln!("the last spans were not sent: {error}"),
        }
    }
}

/// Returns the layer that turns spans into OpenTelemetry spans.
///
/// Our spans are at `info`; the chatter of libraries, among them the one that exports spans, is below it and must stay out.
pub(crate) fn trace_layer<S>(provider: &SdkTracerProvider) -> impl Layer<S> + Send + Sync + use<S>
where
    S: tracing::Subscriber + Send + Sync + for<'span> tracing_subscriber::registry::LookupSpan<'span>,
{
    tracing_opentelemetry::layer()
        .with_tracer(provider.tracer("comptoir"))
        .with_location(false)
        .with_threads(false)
        .with_tracked_inactivity(false)
        .with_filter(LevelFilter::INFO)
}

fn provider_builder(config: &TelemetryConfig, service_name: &str) -> TracerProviderBuilder {
    let share = Sampler::TraceIdRatioBased(config.trace_share);
    SdkTracerProvider::builder()
        .with_resource(Resource::builder().with_service_name(service_name.to_owned()).build())
        .with_sampler(Sampler::ParentBased(Box::new(share)))
}

fn start(config: &TelemetryConfig, provider: Option<SdkTracerProvider>) -> Result<Telemetry, Error> {
    let filter = EnvFilter::try_new(&config.log_filter)
        .map_err(|error| invalid(format!("telemetry.log_filter {:?}: {error}", config.log_filter)))?;
    let traces = provider.as_ref().map(trace_layer);

    tracing_subscriber::registry()
        .with(log_layer(config.log_format).with_filter(filter))
        .with(traces)
        .try_init()
        .map_err(|error| Error::internal(error).caused_by("telemetry was started twice"))?;
    Ok(Telemetry { provider })
}

fn log_layer(format: LogFormat) -> Box<dyn Layer<Registry> + Send + Sync> {
    // A log that cannot be written, because the disk under it is full, must not stop what was to be logged: reporting
    // the failure on standard error would panic there.
    let layer = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).log_internal_errors(false);
    match format {
        LogFormat::Text => layer.boxed(),
        LogFormat::Json => layer.json().flatten_event(true).with_span_list(false).boxed(),
    }
}

fn invalid(message: String) -> Error {
    Error::invalid("TELEMETRY_INVALID", message)
}

use opentelemetry::{
    Context,
    trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState},
};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

/// Returns the W3C `traceparent` of the current span, if traces are on.
pub fn traceparent() -> Option<String> {
    let context = Span::current().context();
    let span = context.span();
    let span = span.span_context();
    span.is_valid()
        .then(|| format!("00-{}-{}-{:02x}", span.trace_id(), span.span_id(), span.trace_flags() & TraceFlags::SAMPLED))
}

/// Makes `span` continue the trace that `traceparent` names. Call it before the span is first entered.
///
/// Does nothing when traces are off or the text is not a `traceparent`: a broken header must not fail a call.
pub fn set_parent(span: &Span, traceparent: &str) {
    let Some(parent) = parse(traceparent) else {
        return;
    };
    // Fails only when the span is disabled or has begun; either way there is nothing to link.
    let _ = span.set_parent(Context::new().with_remote_span_context(parent));
}

/// Returns the trace id of `span`, if traces are on.
pub(crate) fn trace_id(span: &Span) -> Option<TraceId> {
    let context = span.context();
    let span = context.span();
    let span = span.span_context();
    span.is_valid().then(|| span.trace_id())
}

/// Parses `version-traceid-spanid-flags`; later versions may carry more fields, which are skipped as the standard asks.
fn parse(traceparent: &str) -> Option<SpanContext> {
    let mut fields = traceparent.trim().split('-');
    let (version, trace, span, flags) = (fields.next()?, fields.next()?, fields.next()?, fields.next()?);
    let lengths_fit = (version.len(), trace.len(), span.len(), flags.len()) == (2, 32, 16, 2);
    let all_hex = [version, trace, span, flags]
        .iter()
        .all(|field| field.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')));
    let surplus = version == "00" && fields.next().is_some();
    if !lengths_fit || !all_hex || version == "ff" || surplus {
        return None;
    }

    let context = SpanContext::new(
        TraceId::from_hex(trace).ok()?,
        SpanId::from_hex(span).ok()?,
        TraceFlags::new(u8::from_str_radix(flags, 16).ok()?) & TraceFlags::SAMPLED,
        true,
        TraceState::default(),
    );
    context.is_valid().then_some(context)
}

#[cfg(test)]
mod tests {
    use opentelemetry_sdk::trace::SdkTracerProvider;
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;
    use crate::telemetry::{SpanRecorder, trace_layer};

    const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_trace_goes_on_from_a_stored_traceparent() {
        let recorder = SpanRecorder::new();
        let provider = SdkTracerProvider::builder().with_simple_exporter(recorder.clone()).build();
        let subscriber = tracing_subscriber::registry().with(trace_layer(&provider));

        let seen = tracing::subscriber::with_default(subscriber, || {
            let span = tracing::info_span!("fold");
            set_parent(&span, PARENT);
            span.in_scope(traceparent)
        });

        let spans = recorder.spans();
        assert_eq!(spans.len(), 1);
        assert_eq!(spans[0].name, "fold");
        assert_eq!(spans[0].trace_id, "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!(spans[0].parent_span_id.as_deref(), Some("00f067aa0ba902b7"));
        assert_eq!(seen.unwrap(), format!("00-{}-{}-01", spans[0].trace_id, spans[0].span_id));
    }

    #[test]
    fn without_telemetry_there_is_no_traceparent() {
        assert_eq!(traceparent(), None);
        set_parent(&tracing::info_span!("fold"), PARENT);
    }

    #[test]
    fn malformed_traceparents_are_skipped() {
        assert!(parse(PARENT).is_some());
        assert!(parse(&PARENT.replace("00-4", "01-4")).is_some());
        for bad in [
            "",
            "00",
            "é-é-é-é",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-x",
        ] {
            assert!(parse(bad).is_none(), "{bad} was taken");
        }
    }
}

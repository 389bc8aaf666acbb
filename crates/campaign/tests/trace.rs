//! One trace runs from what set a message off to the mail server. A binary of its own: traces are recorded process-wide.

#[path = "suite/harness.rs"]
#[expect(dead_code, reason = "shared with the suite")]
mod harness;
#[path = "suite/neighbours.rs"]
#[expect(dead_code, reason = "shared with the suite")]
mod neighbours;
#[path = "suite/shop.rs"]
#[expect(dead_code, reason = "shared with the suite")]
mod shop;

use kit::{
    config::TelemetryConfig,
    telemetry::{SpanRecorder, init_with_exporter},
};

use crate::{
    harness::{Replica, World, minutes, noon, sqlite},
    shop::*,
};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

#[tokio::test(flavor = "multi_thread")]
async fn the_trace_of_the_cause_runs_through_the_message() {
    let recorder = SpanRecorder::new();
    let telemetry = init_with_exporter(&TelemetryConfig::default(), "campaign", recorder.clone()).unwrap();
    let db = sqlite().await;
    let world = World::new().await;
    let replica = Replica::start(db.handle(), &world).await;
    replica.put_template(template()).await;
    replica.put_campaign(abandoned_basket()).await;
    let traceparent = format!("00-{TRACE}-00f067aa0ba902b7-01");
    let records = vec![customer("ann"), did("ann", "e1", noon(), carted("a"))];
    world.tell_traced(records, Some(&traceparent)).await;

    replica.pass(&world, minutes(61)).await;
    replica.stop().await;
    telemetry.shutdown().await;

    let spans = recorder.spans();
    let of_trace: Vec<_> = spans.iter().filter(|span| span.trace_id == TRACE).collect();
    let sent = of_trace.iter().find(|span| span.name == "send message").expect("a span for the message");
    assert_eq!(sent.parent_span_id.as_deref(), Some("00f067aa0ba902b7"));
    assert!(sent.fields.contains_key("message.id"));
    let chosen = of_trace.iter().find(|span| span.name.contains("Recommend")).expect("a span for choosing products");
    assert_eq!(chosen.parent_span_id.as_ref(), Some(&sent.span_id));
    let handed = of_trace.iter().find(|span| span.name == "hand over").expect("a span for the mail server");
    assert_eq!(handed.parent_span_id.as_ref(), Some(&sent.span_id));
}

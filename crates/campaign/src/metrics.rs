//! What campaign counts.

use kit::metrics::Metrics;
use prometheus_client::metrics::{counter::Counter, family::Family};

use crate::domain::message::{Message, State};

type Labels = [(&'static str, &'static str); 1];

/// Counts decisions and hand-overs.
#[derive(Clone)]
pub(crate) struct EngineMetrics {
    decisions: Family<Labels, Counter>,
    handovers: Family<Labels, Counter>,
    feedback: Counter,
}

impl EngineMetrics {
    pub(crate) fn new(metrics: &Metrics) -> Self {
        Self {
            decisions: metrics.shared("comptoir_campaign_decisions", "Messages decided, by outcome", Family::default),
            handovers: metrics.shared(
                "comptoir_campaign_handovers",
                "Messages handed over, by outcome",
                Family::default,
            ),
            feedback: metrics.shared("comptoir_campaign_feedback_events", "Events told to ingestion", Counter::default),
        }
    }

    pub(crate) fn decided(&self, message: &Message) {
        let outcome = match message.state {
            State::Queued => "send",
            State::Scheduled => "defer",
            _ => "withhold",
        };
        self.decisions.get_or_create(&[("outcome", outcome)]).inc();
    }

    pub(crate) fn handed_over(&self, message: &Message) {
        let outcome = match message.state {
            State::Sent => "sent",
            State::Queued => "later",
            State::Uncertain => "uncertain",
            _ => "refused",
        };
        self.handovers.get_or_create(&[("outcome", outcome)]).inc();
    }

    pub(crate) fn told(&self, events: usize) {
        self.feedback.inc_by(events as u64);
    }
}

//! What ingestion counts about itself.

use kit::metrics::Metrics;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;

/// Counters; cloning shares them.
#[derive(Clone)]
pub(crate) struct IntakeMetrics {
    events: Family<OutcomeLabel, Counter>,
    /// Events whose sender looks like a machine.
    pub(crate) bot_events: Counter,
    refusals: Family<ReasonLabel, Counter>,
    /// Message ids that left the deduplication window and the store.
    pub(crate) swept_messages: Counter,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabel {
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabel {
    reason: &'static str,
}

impl IntakeMetrics {
    pub(crate) fn new(metrics: &Metrics) -> Self {
        Self {
            events: metrics.shared(
                "comptoir_ingestion_events",
                "Events by what became of them, after the commit",
                Family::default,
            ),
            bot_events: metrics.shared(
                "comptoir_ingestion_bot_events",
                "Events whose sender looks like a machine",
                Counter::default,
            ),
            refusals: metrics.shared(
                "comptoir_ingestion_refused_requests",
                "Requests of which nothing was taken, by reason",
                Family::default,
            ),
            swept_messages: metrics.shared(
                "comptoir_ingestion_swept_messages",
                "Message ids removed after the deduplication window",
                Counter::default,
            ),
        }
    }

    pub(crate) fn count_events(&self, outcome: &'static str, events: u64) {
        if events > 0 {
            self.events.get_or_create(&OutcomeLabel { outcome }).inc_by(events);
        }
    }

    pub(crate) fn count_refusal(&self, reason: &'static str) {
        self.refusals.get_or_create(&ReasonLabel { reason }).inc();
    }
}

//! What ingestion counts about itself.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use kit::metrics::Metrics;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;

use crate::store::consent_counts::ConsentCounts;
use crate::store::counts::Counts;

/// Counters; cloning shares them.
#[derive(Clone)]
pub(crate) struct IntakeMetrics {
    events: Family<OutcomeLabel, Counter>,
    source_events: Family<SourceLabels, Counter>,
    /// Sources that have series of their own.
    shown_sources: Arc<Mutex<HashSet<String>>>,
    /// Events whose sender looks like a machine.
    pub(crate) bot_events: Counter,
    refusals: Family<ReasonLabel, Counter>,
    /// Message ids that left the deduplication window and the store.
    pub(crate) swept_messages: Counter,
    /// Events that waited aside because their key flooded.
    pub(crate) events_aside: Counter,
    throttled: Family<SourceLabel, Counter>,
    /// Dead letters that wait.
    pub(crate) dead_letters: Gauge,
    /// Dead letters that wait, and that nobody has listed.
    pub(crate) unread_dead_letters: Gauge,
    /// Age of the oldest dead letter.
    pub(crate) oldest_dead_letter: Gauge,
    expired_dead_letters: Family<ReadLabel, Counter>,
}

/// Most sources with series of their own; the others share one.
const MAX_SOURCES: usize = 500;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabel {
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct SourceLabels {
    source: String,
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct SourceLabel {
    source: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReadLabel {
    read: &'static str,
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
            source_events: metrics.shared(
                "comptoir_ingestion_source_events",
                "Events of a source by what became of them; bot, late and off_plan are among the accepted, invalid among the quarantined",
                Family::default,
            ),
            shown_sources: Arc::default(),
            events_aside: metrics.shared(
                "comptoir_ingestion_events_aside",
                "Events that waited aside because their key flooded",
                Counter::default,
            ),
            throttled: metrics.shared(
                "comptoir_ingestion_throttled_events",
                "Events refused because their source sent more than its quota",
                Family::default,
            ),
            dead_letters: metrics.shared("comptoir_ingestion_dead_letters", "Dead letters that wait", Gauge::default),
            unread_dead_letters: metrics.shared(
                "comptoir_ingestion_unread_dead_letters",
                "Dead letters that wait and that nobody has listed",
                Gauge::default,
            ),
            oldest_dead_letter: metrics.shared(
                "comptoir_ingestion_oldest_dead_letter_seconds",
                "Age of the oldest dead letter",
                Gauge::default,
            ),
            expired_dead_letters: metrics.shared(
                "comptoir_ingestion_expired_dead_letters",
                "Dead letters removed because they were too old, by whether anybody had listed them",
                Family::default,
            ),
        }
    }

    /// Counts what one transaction brought of one source.
    pub(crate) fn count(&self, source_id: &str, counts: &Counts) {
        let source = self.shown_source(source_id);
        for (outcome, events) in [
            ("accepted", counts.accepted),
            ("duplicate", counts.duplicate),
            ("quarantined", counts.quarantined),
            ("bot", counts.bot),
            ("late", counts.late),
            ("invalid", counts.invalid),
            ("off_plan", counts.off_plan),
        ] {
            let events = events.unsigned_abs();
            if events == 0 {
                continue;
            }
            self.source_events.get_or_create(&SourceLabels { source: source.clone(), outcome }).inc_by(events);
            match outcome {
                "accepted" | "duplicate" | "quarantined" => {
                    self.events.get_or_create(&OutcomeLabel { outcome }).inc_by(events);
                }
                "bot" => _ = self.bot_events.inc_by(events),
                _ => {}
            }
        }
    }

    /// Counts what became of events for want of consent.
    pub(crate) fn count_consent(&self, counts: &ConsentCounts) {
        for (outcome, events) in [
            ("denied", counts.denied),
            ("held", counts.held),
            ("released", counts.released),
            ("destroyed", counts.destroyed),
        ] {
            if events != 0 {
                self.events.get_or_create(&OutcomeLabel { outcome }).inc_by(events.unsigned_abs());
            }
        }
    }

    pub(crate) fn count_throttled(&self, source_id: &str, events: u64) {
        let source = self.shown_source(source_id);
        self.throttled.get_or_create(&SourceLabel { source }).inc_by(events);
    }

    pub(crate) fn count_expired(&self, was_read: bool) {
        let read = if was_read { "yes" } else { "no" };
        self.expired_dead_letters.get_or_create(&ReadLabel { read }).inc();
    }

    fn shown_source(&self, source_id: &str) -> String {
        let mut shown = self.shown_sources.lock().unwrap_or_else(PoisonError::into_inner);
        if !shown.contains(source_id) {
            if shown.len() >= MAX_SOURCES {
                return "other".to_owned();
            }
            shown.insert(source_id.to_owned());
        }
        source_id.to_owned()
    }

    pub(crate) fn count_refusal(&self, reason: &'static str) {
        self.refusals.get_or_create(&ReasonLabel { reason }).inc();
    }
}

//! Folding a batch of the event log.

use bytes::Bytes;
use eventlog::LogRecord;
use prost::Message;
use proto::event::v1::{Event, event::Body};
use store::{Error, Tx};

use super::{Registry, minter, publish::Outbox};
use crate::{FOLLOWED_LOG, FOLLOWER, domain::graph::Sighting, reading::read_event};

/// An event of the batch.
struct Incoming {
    sighting: Sighting,
    event: Bytes,
    traceparent: Option<String>,
}

impl Registry {
    /// Folds records in the transaction of their batch: evidence, people, what is published.
    ///
    /// The whole batch is taken as evidence before people are computed, so that nobody is merged who was never apart,
    /// and every row is written once.
    pub(crate) async fn fold(&mut self, tx: &mut Tx, records: &[LogRecord]) -> Result<(), Error> {
        self.begin(tx).await?;
        let incoming = self.read(tx, records).await?;
        let keys = incoming.iter().flat_map(|event| event.sighting.useful.iter().map(|ident| ident.key));
        let keys = keys.collect();
        self.load(tx, keys).await?;

        for event in &incoming {
            self.graph.observe(&event.sighting);
        }
        let settlement = self.graph.settle(&self.policy, false);
        let mut outbox = Outbox::default();
        self.move_events(tx, settlement, &mut outbox).await?;

        let mut mint = minter(&self.shared.clock);
        for event in incoming {
            let Some(seat) = self.graph.route(&event.sighting.useful, &self.policy.rules) else { continue };
            let sighted = &event.sighting.sighted;
            self.graph.person_mut(seat).fold(sighted, &event.sighting.told, &event.sighting.answers);
            let profile = self.graph.profile_in(seat, &mut mint);
            outbox.event(profile, seat, event.event, sighted.time_us, event.traceparent);
        }
        self.publish_and_save(tx, outbox).await
    }

    async fn read(&self, tx: &mut Tx, records: &[LogRecord]) -> Result<Vec<Incoming>, Error> {
        let mut incoming = Vec::with_capacity(records.len());
        for record in records {
            let read = Event::decode(record.record.payload.clone())
                .map_err(|_| "it is not a comptoir.event.v1.Event")
                .and_then(|event| match event.body {
                    // Weather and holidays are about places and times.
                    Some(Body::ContextSignal(_)) => Ok(None),
                    _ => read_event(&event, &self.policy).map(Some),
                });
            match read {
                // An event that names nobody useful is nobody's: there is no timeline that it belongs in.
                Ok(Some(sighting)) if sighting.useful.is_empty() => {}
                Ok(Some(sighting)) => incoming.push(Incoming {
                    sighting,
                    event: record.record.payload.clone(),
                    traceparent: continued(record.record.traceparent.as_deref()),
                }),
                Ok(None) => {}
                Err(reason) => eventlog::dead_letter(tx, FOLLOWER, FOLLOWED_LOG, record, reason).await?,
            }
        }
        Ok(incoming)
    }
}

/// Goes on with the trace that an event belongs to, if it belongs to one.
fn continued(traceparent: Option<&str>) -> Option<String> {
    let traceparent = traceparent?;
    let span = tracing::info_span!("identity.fold");
    kit::telemetry::set_parent(&span, traceparent);
    span.in_scope(kit::telemetry::traceparent).or_else(|| Some(traceparent.to_owned()))
}

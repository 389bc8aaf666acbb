//! Moving past events after merges and splits: they are read back from our own log and published again under the profile
//! whose they now are, so that a follower needs to know nothing but how to fold an event and how to forget a profile.

use std::collections::BTreeSet;

use bytes::Bytes;
use prost::Message;
use proto::event::v1::Event;
use proto::identity::v1::{ProfileChange, ProfileRecord, profile_change, profile_record::Body};
use store::{Error, Tx};
use uuid::Uuid;

use super::{Registry, minter, publish::Outbox};
use crate::{
    domain::{
        graph::Sighting,
        person::Person,
        restate::Reseated,
        settle::{Merge, Settlement, Spread},
        timeline::Pointer,
    },
    reading::read_event,
    render,
    store::{self as sql, rows::From},
};

/// An event as it stands in the profile log.
struct Past {
    event: Bytes,
    time_us: i64,
    traceparent: Option<String>,
}

impl Registry {
    /// Tells what became of people, and moves their events.
    pub(super) async fn move_events(
        &mut self,
        tx: &mut Tx,
        settlement: Settlement,
        outbox: &mut Outbox,
    ) -> Result<(), Error> {
        if settlement.merges.is_empty() && settlement.spreads.is_empty() {
            return Ok(());
        }
        let spread: BTreeSet<Uuid> = settlement.spreads.iter().filter_map(|spread| spread.person.id).collect();
        let mut forwards = Vec::new();
        for merge in &settlement.merges {
            self.tell_merge(merge, outbox);
            let absorbed = merge.absorbed.iter().filter_map(|person| person.id);
            forwards.extend(absorbed.map(|id| (id, merge.survivor)));
        }
        sql::forward(tx, &self.tenant, &forwards).await?;

        for spread in &settlement.spreads {
            self.move_spread(tx, spread, outbox).await?;
        }
        for merge in settlement.merges {
            let seat = self.graph.seat_of(merge.anchor).expect("an anchor is in memory");
            for person in &merge.absorbed {
                if person.id.is_none_or(|id| spread.contains(&id)) {
                    continue;
                }
                for past in self.past(tx, person).await? {
                    outbox.restated(merge.survivor, seat, past.event, past.time_us, past.traceparent);
                }
                self.forget_chunks(tx, person).await?;
            }
        }
        Ok(())
    }

    fn tell_merge(&mut self, merge: &Merge, outbox: &mut Outbox) {
        let decide_us = self.shared.clock.now_us();
        let absorbed: Vec<Uuid> = merge.absorbed.iter().filter_map(|person| person.id).collect();
        outbox.merged(merge.survivor, &absorbed, decide_us);
        self.last_change += 1;
        let change = ProfileChange {
            kind: profile_change::Kind::Merge.into(),
            profile_id: merge.survivor.to_string(),
            other_profile_ids: absorbed.iter().map(ToString::to_string).collect(),
            decide_time: Some(kit::time::timestamp(decide_us)),
            evidence: merge.link.as_ref().map(render::accepted),
        };
        let touched = absorbed.into_iter().chain([merge.survivor]).collect();
        outbox.change(self.last_change, &change, touched);
        outbox.totals.merges += 1;
    }

    async fn move_spread(&mut self, tx: &mut Tx, spread: &Spread, outbox: &mut Outbox) -> Result<(), Error> {
        let profile = spread.person.id.expect("only profiles are spread");
        let past = self.past(tx, &spread.person).await?;
        let mut sightings = Vec::with_capacity(past.len());
        for past in &past {
            sightings.push(self.sighting_of(past)?);
        }
        let keys = sightings.iter().flat_map(|sighting| sighting.useful.iter().map(|ident| ident.key));
        let keys = keys.collect();
        self.load(tx, keys).await?;

        let mut mint = minter(&self.shared.clock);
        let seats = match self.graph.reseat(spread, &sightings, &self.policy, &mut mint) {
            Reseated::Untouched => return Ok(()),
            Reseated::Moved(seats) => seats,
        };
        self.forget_chunks(tx, &spread.person).await?;
        let mut others = BTreeSet::new();
        for (past, seat) in past.into_iter().zip(seats) {
            let owner = self.graph.profile_in(seat, &mut mint);
            outbox.restated(owner, seat, past.event, past.time_us, past.traceparent);
            others.insert(owner);
        }
        others.remove(&profile);
        others.retain(|other| Some(*other) != spread.absorbed_by);
        self.tell_split(profile, spread.absorbed_by.is_none(), others.into_iter().collect(), outbox);
        Ok(())
    }

    fn tell_split(&mut self, profile: Uuid, keeps_its_id: bool, others: Vec<Uuid>, outbox: &mut Outbox) {
        let decide_us = self.shared.clock.now_us();
        // One that was absorbed by another is forgotten by its merge already.
        if keeps_its_id {
            outbox.split(profile, &others, decide_us);
        }
        if others.is_empty() {
            return;
        }
        self.last_change += 1;
        let change = ProfileChange {
            kind: profile_change::Kind::Split.into(),
            profile_id: profile.to_string(),
            other_profile_ids: others.iter().map(ToString::to_string).collect(),
            decide_time: Some(kit::time::timestamp(decide_us)),
            evidence: None,
        };
        let touched = others.into_iter().chain([profile]).collect();
        outbox.change(self.last_change, &change, touched);
        outbox.totals.splits += 1;
    }

    fn sighting_of(&self, past: &Past) -> Result<Sighting, Error> {
        let event = Event::decode(past.event.clone()).map_err(|_| damaged())?;
        read_event(&event, &self.policy).map_err(|_| damaged())
    }

    /// Reads a person's events back, by event time.
    async fn past(&self, tx: &mut Tx, person: &Person) -> Result<Vec<Past>, Error> {
        let Some(profile) = person.id else { return Ok(Vec::new()) };
        let mut pointers: Vec<Pointer> = Vec::new();
        if person.timeline.stored_chunks > 0 {
            let last = person.timeline.stored_chunks - 1;
            pointers = sql::load_chunks(From::Tx(tx), &self.tenant, profile, 0, last).await?;
        }
        pointers.extend(&person.timeline.head);
        pointers.sort_unstable();

        let partition = self.shared.partition_of(profile);
        let places: Vec<(u32, u64)> = pointers.iter().map(|pointer| (partition, pointer.offset)).collect();
        let records = self.shared.log.read_at(&self.tenant, &places).await?;
        let mut past = Vec::with_capacity(records.len());
        for record in records {
            let body = ProfileRecord::decode(record.record.payload).map_err(|_| damaged())?.body;
            let Some(Body::Event(event)) = body else { return Err(damaged()) };
            past.push(Past {
                event: event.event,
                time_us: record.record.event_time_us,
                traceparent: record.record.traceparent,
            });
        }
        Ok(past)
    }

    async fn forget_chunks(&self, tx: &mut Tx, person: &Person) -> Result<(), Error> {
        match person.id {
            Some(profile) if person.timeline.stored_chunks > 0 => sql::delete_chunks(tx, &self.tenant, profile).await,
            _ => Ok(()),
        }
    }
}

fn damaged() -> Error {
    Error::Damaged("a timeline points to what is no event of the profile log".to_owned())
}

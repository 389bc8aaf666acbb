//! What a transaction publishes and saves.

use bytes::Bytes;
use eventlog::Record;
use prost::Message;
use proto::identity::v1::{
    ProfileChange, ProfileEvent, ProfileMerged, ProfileRecord, ProfileSplit, ProfileUpdated, profile_record::Body,
};
use store::{Error, Tx};
use uuid::Uuid;

use super::{Registry, Shared};
use crate::{
    domain::{component::ComponentId, fingerprint::fingerprint, graph::Seat, timeline::Pointer},
    render,
    store::{self as sql, ChangeRow, Totals},
};

/// What will be published, in the order in which it will stand in the log: what became of people, what they are now, the
/// events that changed hands, the new events. So whoever reads an event already knows whose it is.
#[derive(Default)]
pub(super) struct Outbox {
    structure: Vec<Record>,
    restated: Vec<Outgoing>,
    events: Vec<Outgoing>,
    changes: Vec<ChangeRow>,
    /// What is to be added to the tenant's counts.
    pub(super) totals: Totals,
}

/// An event on its way to a profile.
struct Outgoing {
    profile: Uuid,
    seat: Seat,
    record: Record,
}

impl Outbox {
    /// Publishes a new event of a profile.
    pub(super) fn event(&mut self, profile: Uuid, seat: Seat, event: Bytes, time_us: i64, traceparent: Option<String>) {
        let body = Body::Event(ProfileEvent { event, restated: false });
        let record = record(profile, body, time_us, traceparent);
        self.events.push(Outgoing { profile, seat, record });
    }

    /// Publishes a past event again, under the profile that has it now.
    pub(super) fn restated(
        &mut self,
        profile: Uuid,
        seat: Seat,
        event: Bytes,
        time_us: i64,
        traceparent: Option<String>,
    ) {
        let body = Body::Event(ProfileEvent { event, restated: true });
        let record = record(profile, body, time_us, traceparent);
        self.restated.push(Outgoing { profile, seat, record });
    }

    /// Tells in every partition concerned that profiles became one.
    pub(super) fn merged(&mut self, survivor: Uuid, absorbed: &[Uuid], decide_us: i64) {
        let merged = ProfileMerged {
            survivor_profile_id: survivor.to_string(),
            absorbed_profile_ids: absorbed.iter().map(ToString::to_string).collect(),
            decide_time: Some(kit::time::timestamp(decide_us)),
        };
        for profile in absorbed.iter().chain([&survivor]) {
            self.structure.push(record(*profile, Body::Merged(merged.clone()), decide_us, None));
        }
    }

    /// Tells that a profile became several.
    pub(super) fn split(&mut self, profile: Uuid, others: &[Uuid], decide_us: i64) {
        let split = ProfileSplit {
            profile_id: profile.to_string(),
            new_profile_ids: others.iter().map(ToString::to_string).collect(),
            decide_time: Some(kit::time::timestamp(decide_us)),
        };
        self.structure.push(record(profile, Body::Split(split), decide_us, None));
    }

    /// Keeps a change for those who ask.
    pub(super) fn change(&mut self, number: i64, change: &ProfileChange, profiles: Vec<Uuid>) {
        self.changes.push(ChangeRow { number, body: change.encode_to_vec(), profiles });
    }
}

impl Registry {
    /// Publishes what is in `outbox` and what has changed of people, and saves everything. The last step of a writer.
    pub(super) async fn publish_and_save(&mut self, tx: &mut Tx, mut outbox: Outbox) -> Result<(), Error> {
        outbox.totals.events += outbox.events.len() as i64;
        // As if it had happened there: by event time. The log keeps each profile's order.
        outbox.restated.sort_by_key(|outgoing| (outgoing.profile, outgoing.record.event_time_us));

        let dirty: Vec<ComponentId> = self.graph.unsaved.components.iter().copied().collect();
        let mut records = std::mem::take(&mut outbox.structure);
        for id in &dirty {
            self.tell_updates(*id, &mut records);
        }
        let first_event = records.len();
        let mut owners = Vec::with_capacity(outbox.restated.len() + outbox.events.len());
        for outgoing in outbox.restated.drain(..).chain(outbox.events.drain(..)) {
            owners.push((outgoing.seat, outgoing.record.event_time_us));
            records.push(outgoing.record);
        }
        let places = self.shared.log.append(tx, &self.tenant, records).await?;
        for ((seat, time_us), (_, offset)) in owners.into_iter().zip(&places[first_event..]) {
            self.graph.person_mut(seat).timeline.push(Pointer { time_us, offset: *offset });
        }

        let mut chunks = Vec::new();
        for id in &dirty {
            self.count_and_put_away(*id, &mut outbox.totals, &mut chunks);
        }
        sql::insert_chunks(tx, &self.tenant, &chunks).await?;
        sql::insert_changes(tx, &self.tenant, &outbox.changes).await?;
        sql::save(tx, &self.tenant, &self.graph).await?;
        sql::finish(tx, &self.tenant, self.graph.next_component, self.last_change, outbox.totals).await
    }

    /// Publishes the people of a component whose identifiers, golden record or consents are others than were last told.
    fn tell_updates(&mut self, id: ComponentId, records: &mut Vec<Record>) {
        let Some(component) = self.graph.component(id) else { return };
        let mut told = Vec::new();
        for (cluster, person) in component.people.iter().enumerate() {
            let Some(profile) = person.id else { continue };
            let now = fingerprint(component, cluster);
            if now == person.published {
                continue;
            }
            let update = ProfileUpdated { profile: Some(render::profile(component, cluster)) };
            let time_us = if person.events > 0 { person.last_us } else { self.shared.clock.now_us() };
            records.push(record(profile, Body::Updated(update), time_us, None));
            told.push((cluster as u32, now));
        }
        for (cluster, now) in told {
            self.graph.person_mut((id, cluster)).published = now;
        }
    }

    fn count_and_put_away(
        &mut self,
        id: ComponentId,
        totals: &mut Totals,
        chunks: &mut Vec<(Uuid, i64, Vec<Pointer>)>,
    ) {
        let Some(component) = self.graph.component_mut(id) else { return };
        let now = component.count(&self.policy.rules);
        let before = std::mem::replace(&mut component.counted, now);
        totals.profiles += now.profiles - before.profiles;
        totals.identified += now.identified - before.identified;
        totals.identifiers += now.identifiers - before.identifiers;
        totals.refused += now.refused - before.refused;
        for person in &mut component.people {
            if let Some(profile) = person.id {
                chunks.extend(person.timeline.take_full().into_iter().map(|(number, chunk)| (profile, number, chunk)));
            }
        }
    }
}

impl Shared {
    /// Returns the partition of the profile log in which a profile is.
    pub(crate) fn partition_of(&self, profile: Uuid) -> u32 {
        self.log.partition_of(profile.to_string().as_bytes())
    }
}

fn record(profile: Uuid, body: Body, event_time_us: i64, traceparent: Option<String>) -> Record {
    let profile_id = profile.to_string();
    let key = Bytes::copy_from_slice(profile_id.as_bytes());
    let payload = ProfileRecord { profile_id, body: Some(body) }.encode_to_vec().into();
    Record { key, payload, event_time_us, traceparent }
}

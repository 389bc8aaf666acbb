//! A follower of the profile log that does nothing but fold events and forget profiles, as every follower may.

use std::collections::{BTreeMap, BTreeSet};

use eventlog::{EventLog, LogOptions};
use kit::{Clock, TenantId, metrics::Metrics};
use prost::Message;
use proto::event::v1::Event;
use proto::identity::v1::{Profile, ProfileRecord, profile_record::Body};
use store::Db;

use crate::shop::{Client, at, by_id, timeline};

/// What a follower knows of one profile.
#[derive(Debug, Default, Clone, PartialEq)]
pub(crate) struct Mirrored {
    pub(crate) events: Vec<String>,
    pub(crate) profile: Option<Profile>,
}

/// What a follower of the profile log knows at its end.
pub(crate) async fn mirror(db: Db, tenant: &str) -> BTreeMap<String, Mirrored> {
    let mut known: BTreeMap<String, Mirrored> = BTreeMap::new();
    for record in records(db, tenant).await {
        let id = record.profile_id.clone();
        match record.body.unwrap() {
            Body::Event(event) => {
                let event = Event::decode(event.event).unwrap();
                known.entry(id).or_default().events.push(event.event_id);
            }
            Body::Updated(updated) => known.entry(id).or_default().profile = updated.profile,
            Body::Merged(merged) if merged.absorbed_profile_ids.contains(&id) => {
                known.remove(&id);
            }
            Body::Merged(merged) => assert_eq!(merged.survivor_profile_id, id),
            Body::Split(split) => {
                assert_eq!(split.profile_id, id);
                known.remove(&id);
            }
            Body::Erased(_) => unreachable!("nobody was erased"),
        }
    }
    known
}

/// Returns all records of the profile log, partition by partition.
pub(crate) async fn records(db: Db, tenant: &str) -> Vec<ProfileRecord> {
    let log = EventLog::new(db, "profiles", LogOptions::default(), Clock::manual(at(0)), &Metrics::new());
    let tenant = TenantId::try_from(tenant).unwrap();
    let mut records = Vec::new();
    for partition in 0..8 {
        for record in log.read(&tenant, partition, 0, usize::MAX).await.unwrap() {
            let decoded = ProfileRecord::decode(record.record.payload).unwrap();
            assert_eq!(record.record.key, decoded.profile_id.as_bytes());
            records.push(decoded);
        }
    }
    records
}

/// Checks that a follower of the log knows what the service knows: the same people, each event once.
pub(crate) async fn assert_mirrored(client: &mut Client, db: Db, tenant: &str) -> BTreeSet<String> {
    let mut everything = BTreeSet::new();
    for (id, mirrored) in mirror(db, tenant).await {
        let profile = by_id(client, &id).await.unwrap();
        assert_eq!(profile.profile_id, id, "a follower knows an absorbed profile");
        let told = mirrored.profile.expect("every profile is told");
        assert_eq!(values(&told), values(&profile));

        let events: BTreeSet<String> = mirrored.events.iter().cloned().collect();
        assert_eq!(events.len(), mirrored.events.len(), "an event counts twice");
        let listed: Vec<String> = timeline(client, &id).await.into_iter().map(|event| event.event_id).collect();
        assert_eq!(listed.iter().cloned().collect::<BTreeSet<_>>(), events);
        assert_eq!((listed.len(), profile.event_count), (events.len(), events.len() as u64));
        for event in events {
            assert!(everything.insert(event), "an event belongs to two people");
        }
    }
    everything
}

/// What an update is about: identifiers, values of traits, consents.
fn values(profile: &Profile) -> (Vec<String>, Vec<(String, String)>, usize) {
    (
        profile.identifiers.iter().map(|known| format!("{}:{}", known.kind, known.value)).collect(),
        profile.traits.iter().map(|known| (known.name.clone(), known.value.clone())).collect(),
        profile.consents.len(),
    )
}

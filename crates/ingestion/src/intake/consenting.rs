//! Consent within the transaction that takes events: who comes in, what waits, what waited.

use std::collections::{BTreeMap, HashMap};

use kit::TenantId;
use proto::ingestion::v1::Verdict;
use proto::ingestion::v1::verdict::Outcome;
use store::{Error, Tx};

use super::Source;
use super::admission::{Admission, Fate, Place, people};
use super::lane::{self, Held, Released, Room};
use super::submission::Submission;
use crate::seal::Sealer;
use crate::store::consent_answers;
use crate::store::consent_counts::{self, ConsentCountsBySource};

/// What consent decides over one transaction. Where no policy requires a yes, it asks the store nothing.
pub(super) struct Consenting {
    admission: Admission,
    now_us: i64,
    room: Room,
    released: BTreeMap<Place, Vec<Released>>,
    held: BTreeMap<TenantId, Vec<Held>>,
    counts: ConsentCountsBySource,
}

impl Consenting {
    /// Decides, with what the people of the transaction answered before.
    pub(super) async fn decide(
        tx: &mut Tx,
        submissions: &[Submission],
        sealer: &Sealer,
        now_us: i64,
    ) -> Result<Self, Error> {
        let mut known = HashMap::new();
        for (tenant, subjects) in people(submissions) {
            let answers = consent_answers::find(tx, &tenant, &subjects).await?;
            known.extend(
                answers.into_iter().map(|((subject, purpose), stated)| ((tenant.clone(), subject, purpose), stated)),
            );
        }
        Ok(Self {
            admission: Admission::decide(submissions, known, sealer.can_seal(), now_us),
            now_us,
            room: Room::default(),
            released: BTreeMap::new(),
            held: BTreeMap::new(),
            counts: ConsentCountsBySource::new(),
        })
    }

    /// Whether an event is not kept in any form.
    pub(super) fn denies(&self, place: Place) -> bool {
        self.admission.fate(place) == Some(&Fate::Denied)
    }

    /// Notes the answers, and lets in or destroys what waited for them.
    pub(super) async fn settle(
        mut self,
        tx: &mut Tx,
        sealer: &Sealer,
        submissions: &[Submission],
    ) -> Result<Self, Error> {
        for (tenant, answers) in self.admission.changed() {
            consent_answers::put(tx, &tenant, &answers).await?;
        }
        for (tenant, answered) in self.admission.answered() {
            let released = lane::settle(tx, sealer, tenant, answered, &mut self.counts, self.now_us).await?;
            for (place, events) in released {
                self.released.entry(place).or_default().extend(events);
            }
        }
        self.room = Room::look(tx, &self.admission.awaited(submissions)).await?;
        Ok(self)
    }

    /// Takes what comes in before an event.
    pub(super) fn take_released(&mut self, place: Place) -> Vec<Released> {
        self.released.remove(&place).unwrap_or_default()
    }

    /// Takes what becomes of an event; `None` for one that needs no yes.
    pub(super) fn take_fate(&mut self, place: Place) -> Option<Fate> {
        self.admission.take_fate(place)
    }

    /// Tells that an event is not kept.
    pub(super) fn deny(&mut self, source: &Source) -> Verdict {
        self.refuse(source, "CONSENT_DENIED", "the person, or the policy for those who said nothing, denies it")
    }

    /// Takes an event that waits, and tells so; not kept when too much waits for its person already.
    pub(super) fn keep(&mut self, source: &Source, held: Held) -> Verdict {
        if !self.room.take(&source.tenant, &held.gate, held.ready.payload.len()) {
            return self.refuse(source, "CONSENT_LANE_FULL", "too many events wait for this person's answer");
        }
        self.counts.entry((source.tenant.clone(), source.source_id.clone())).or_default().held += 1;
        let verdict = Verdict {
            outcome: Outcome::Held.into(),
            event_id: held.ready.event_id.to_string(),
            reason: "CONSENT_PENDING".to_owned(),
            message: "it waits for the person's answer".to_owned(),
            ..Verdict::default()
        };
        self.held.entry(source.tenant.clone()).or_default().push(held);
        verdict
    }

    fn refuse(&mut self, source: &Source, reason: &str, message: &str) -> Verdict {
        self.counts.entry((source.tenant.clone(), source.source_id.clone())).or_default().denied += 1;
        Verdict {
            outcome: Outcome::Denied.into(),
            reason: reason.to_owned(),
            message: message.to_owned(),
            ..Verdict::default()
        }
    }

    /// Seals what waits, and counts. Returns the counts.
    pub(super) async fn hold(self, tx: &mut Tx, sealer: &Sealer) -> Result<ConsentCountsBySource, Error> {
        for (tenant, held) in self.held {
            lane::hold(tx, sealer, &tenant, held, self.now_us).await?;
        }
        consent_counts::add(tx, &self.counts).await?;
        Ok(self.counts)
    }
}

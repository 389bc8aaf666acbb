//! Who comes in: what events state, what their people answered before, and the policy's default, in order of arrival.
//!
//! An answer decides for itself, for what of the same person came before it in the transaction and waits, and for what
//! comes after. Pure: the answers known are handed in, the new ones are handed out.

use std::collections::{BTreeMap, HashMap, HashSet};

use kit::TenantId;
use kit::time::timestamp;
use proto::event::v1::ConsentDecision;

use super::submission::{Arrived, Submission};
use crate::domain::consent::{Gate, Outcome, Stated, Subject};

/// Where an event stands in the transaction: submission and item.
pub(super) type Place = (usize, usize);

/// What becomes of an event that needs a yes.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Fate {
    /// It comes in, with this decision.
    In(ConsentDecision),
    /// It waits, sealed.
    Held,
    /// It is not kept.
    Denied,
}

/// A person's answer that decides what waits for it in the store.
#[derive(Debug, Clone)]
pub(super) struct Answered {
    pub(super) purpose: String,
    pub(super) granted: bool,
    /// The decision of the event that brought it.
    pub(super) decision: ConsentDecision,
    /// What waited in the store comes in before this event.
    pub(super) place: Place,
}

type Key = (TenantId, Subject, String);

/// Decides over the events of one transaction.
pub(super) struct Admission {
    can_hold: bool,
    now_us: i64,
    answers: HashMap<Key, Stated>,
    changed: HashSet<Key>,
    /// Events that wait for a person, in order of arrival.
    outstanding: HashMap<Key, Vec<Place>>,
    fates: HashMap<Place, Fate>,
    answered: BTreeMap<TenantId, BTreeMap<Subject, Answered>>,
}

impl Admission {
    /// Decides over submissions, given what is known of their people.
    pub(super) fn decide(submissions: &[Submission], known: HashMap<Key, Stated>, can_hold: bool, now_us: i64) -> Self {
        let mut admission = Self {
            can_hold,
            now_us,
            answers: known,
            changed: HashSet::new(),
            outstanding: HashMap::new(),
            fates: HashMap::new(),
            answered: BTreeMap::new(),
        };
        for (index, submission) in submissions.iter().enumerate() {
            for (item, gate) in gated(submission) {
                let place = (index, item);
                let fate = admission.judge(submissions, &submission.source.tenant, gate, place);
                admission.fates.insert(place, fate);
            }
        }
        admission
    }

    fn judge(&mut self, submissions: &[Submission], tenant: &TenantId, gate: &Gate, place: Place) -> Fate {
        let key = |subject: &Subject| (tenant.clone(), *subject, gate.purpose.clone());
        if let Some(stated) = gate.stated {
            for subject in &gate.subjects {
                self.learn(submissions, key(subject), stated, gate, place);
            }
        }
        let remembered = || {
            let answers = gate.subjects.iter().filter_map(|subject| self.answers.get(&key(subject)));
            answers.max_by_key(|stated| (stated.decided_us, !stated.granted)).copied()
        };
        match gate.outcome(remembered) {
            Outcome::In(decision) => Fate::In(decision),
            Outcome::Ask if self.can_hold => {
                for subject in &gate.subjects {
                    self.outstanding.entry(key(subject)).or_default().push(place);
                }
                Fate::Held
            }
            Outcome::Ask | Outcome::Denied => Fate::Denied,
        }
    }

    /// Notes an answer, unless a newer one is known, and decides what waits for it.
    fn learn(&mut self, submissions: &[Submission], key: Key, stated: Stated, gate: &Gate, place: Place) {
        let known = self.answers.get(&key).copied();
        let order = |stated: Stated| (stated.decided_us, !stated.granted);
        if known.is_some_and(|known| order(known) >= order(stated)) {
            return;
        }
        self.answers.insert(key.clone(), stated);
        self.changed.insert(key.clone());
        if known.is_some() {
            // What waited was decided by the answer before.
            return;
        }
        let decision = gate.decision(None);
        let outstanding = self.outstanding.remove(&key).unwrap_or_default();
        // What waits in the store came before what waits in this transaction.
        let place = outstanding.first().copied().unwrap_or(place);
        for waiting in outstanding {
            // The answer of the account may have come after that of the visitor.
            if self.fates.get(&waiting) != Some(&Fate::Held) {
                continue;
            }
            let fate = match gate_at(submissions, waiting) {
                Some(waiting) if stated.granted => Fate::In(released(&decision, &waiting.decision, self.now_us)),
                _ => Fate::Denied,
            };
            self.fates.insert(waiting, fate);
        }
        let (tenant, subject, purpose) = key;
        let answered = Answered { purpose, granted: stated.granted, decision, place };
        self.answered.entry(tenant).or_default().entry(subject).or_insert(answered);
    }

    /// Returns what becomes of an event; `None` for one that needs no yes.
    pub(super) fn fate(&self, place: Place) -> Option<&Fate> {
        self.fates.get(&place)
    }

    /// Takes what becomes of an event.
    pub(super) fn take_fate(&mut self, place: Place) -> Option<Fate> {
        self.fates.remove(&place)
    }

    /// Returns the answers that are new, by tenant, in order.
    pub(super) fn changed(&self) -> BTreeMap<TenantId, Vec<(Subject, String, Stated)>> {
        let mut changed: BTreeMap<TenantId, Vec<(Subject, String, Stated)>> = BTreeMap::new();
        for key in &self.changed {
            let (tenant, subject, purpose) = key;
            changed.entry(tenant.clone()).or_default().push((*subject, purpose.clone(), self.answers[key]));
        }
        for answers in changed.values_mut() {
            answers.sort_by(|one, other| (&one.0, &one.1).cmp(&(&other.0, &other.1)));
        }
        changed
    }

    /// Returns who answered for the first time, by tenant.
    pub(super) fn answered(&self) -> &BTreeMap<TenantId, BTreeMap<Subject, Answered>> {
        &self.answered
    }

    /// Returns those for whom something is to wait, by tenant.
    pub(super) fn awaited(&self, submissions: &[Submission]) -> BTreeMap<TenantId, Vec<Subject>> {
        let mut awaited: BTreeMap<TenantId, Vec<Subject>> = BTreeMap::new();
        for (index, submission) in submissions.iter().enumerate() {
            for (item, gate) in gated(submission) {
                if self.fate((index, item)) == Some(&Fate::Held) {
                    awaited.entry(submission.source.tenant.clone()).or_default().extend(gate.subjects.first());
                }
            }
        }
        awaited
    }
}

/// Returns the decision over an event that waited, made of that of the answer.
pub(super) fn released(answer: &ConsentDecision, waited: &ConsentDecision, now_us: i64) -> ConsentDecision {
    ConsentDecision {
        bases: answer.bases.clone(),
        granted_purposes: answer.granted_purposes.clone(),
        denied_purposes: answer.denied_purposes.clone(),
        held: true,
        decide_time: Some(timestamp(now_us)),
        ..waited.clone()
    }
}

/// Returns the people of a transaction whose answers count, by tenant.
pub(super) fn people(submissions: &[Submission]) -> BTreeMap<TenantId, Vec<Subject>> {
    let mut people: BTreeMap<TenantId, Vec<Subject>> = BTreeMap::new();
    for submission in submissions {
        for (_, gate) in gated(submission) {
            people.entry(submission.source.tenant.clone()).or_default().extend(&gate.subjects);
        }
    }
    for subjects in people.values_mut() {
        subjects.sort_unstable();
        subjects.dedup();
    }
    people
}

fn gated(submission: &Submission) -> impl Iterator<Item = (usize, &Gate)> {
    submission.items.iter().enumerate().filter_map(|(index, item)| match &item.arrived {
        Arrived::Ready(ready) => ready.gate.as_deref().map(|gate| (index, gate)),
        Arrived::Refused(..) => None,
    })
}

fn gate_at(submissions: &[Submission], place: Place) -> Option<&Gate> {
    match &submissions.get(place.0)?.items.get(place.1)?.arrived {
        Arrived::Ready(ready) => ready.gate.as_deref(),
        Arrived::Refused(..) => None,
    }
}

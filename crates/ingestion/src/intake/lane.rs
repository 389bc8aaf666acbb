//! Where events wait for an answer: sealed under a key of their person, until they come in or are destroyed.

use std::collections::{BTreeMap, HashMap, HashSet};

use bytes::Bytes;
use eventlog::Record;
use kit::TenantId;
use kit::time::timestamp;
use prost::Message;
use proto::event::v1::ConsentDecision;
use store::{Error, Tx};

use super::admission::{Answered, Place, released};
use crate::domain::consent::{Gate, Subject, stamp};
use crate::domain::finish::{MessageHash, Ready};
use crate::seal::{Sealer, SubjectKey};
use crate::store::consent_answers;
use crate::store::consent_counts::ConsentCountsBySource;
use crate::store::pending::{self, Load, Waiting};

/// Most events, and bytes of them, that wait for one person: a visit before its answer, not a life.
const MOST_EVENTS: i64 = 500;
const MOST_BYTES: i64 = 1 << 20;
/// Bytes that come in with one transaction; what is beyond comes in soon after.
const MOST_RELEASED_BYTES: i64 = 16 << 20;
/// An event is looked after a minute after it came, and then ever more rarely: an answer that crossed its way in another
/// replica's transaction is found then.
const FIRST_LOOK_US: i64 = 60_000_000;

/// What is sealed.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Kept {
    /// The event, serialised, without its decision.
    #[prost(bytes = "bytes", tag = "1")]
    pub(super) event: Bytes,
    /// What orders it in the log.
    #[prost(bytes = "bytes", tag = "2")]
    key: Bytes,
    #[prost(int64, tag = "3")]
    event_time_us: i64,
    /// W3C trace context of its request.
    #[prost(string, tag = "4")]
    traceparent: String,
    /// The decision, as far as it was made.
    #[prost(message, optional, tag = "5")]
    pub(super) decision: Option<ConsentDecision>,
}

/// What lets in an event that waited.
pub(super) enum Ground {
    /// An answer: the decision of the event that brought it.
    Answer(ConsentDecision),
    /// The policy, by which it was decided again.
    Policy(ConsentDecision),
}

/// An event that is to wait.
pub(super) struct Held {
    pub(super) source_id: String,
    pub(super) traceparent: Option<String>,
    pub(super) gate: Gate,
    pub(super) ready: Ready,
}

/// An event that comes in.
pub(super) struct Released {
    pub(super) source_id: String,
    pub(super) record: Record,
}

/// How much room there is for each person while a transaction is sorted.
#[derive(Default)]
pub(super) struct Room(HashMap<(TenantId, Subject), Load>);

impl Room {
    /// Looks what waits already.
    pub(super) async fn look(tx: &mut Tx, awaited: &BTreeMap<TenantId, Vec<Subject>>) -> Result<Self, Error> {
        let mut room = Self::default();
        for (tenant, subjects) in awaited {
            let mut subjects = subjects.clone();
            subjects.sort_unstable();
            subjects.dedup();
            let loads = pending::loads(tx, tenant, &subjects).await?;
            room.0.extend(loads.into_iter().map(|(subject, load)| ((tenant.clone(), subject), load)));
        }
        Ok(room)
    }

    /// Takes room for an event; false when there is none.
    pub(super) fn take(&mut self, tenant: &TenantId, held: &Gate, bytes: usize) -> bool {
        let Some(subject) = held.subjects.first() else { return false };
        let load = self.0.entry((tenant.clone(), *subject)).or_default();
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
        let fits = load.events < MOST_EVENTS && load.bytes.saturating_add(bytes) <= MOST_BYTES;
        if fits {
            load.events += 1;
            load.bytes += bytes;
        }
        fits
    }
}

/// Seals events and keeps them.
pub(super) async fn hold(
    tx: &mut Tx,
    sealer: &Sealer,
    tenant: &TenantId,
    held: Vec<Held>,
    now_us: i64,
) -> Result<(), Error> {
    let mut subjects: Vec<Subject> = held.iter().filter_map(|held| held.gate.subjects.first().copied()).collect();
    subjects.sort_unstable();
    subjects.dedup();
    let drawn: Vec<(Subject, Vec<u8>)> =
        subjects.iter().filter_map(|subject| Some((*subject, sealer.draw(&whose(tenant, subject))?))).collect();
    let keys = consent_answers::ensure_keys(tx, tenant, &drawn).await?;
    // Under the lock of the keys: nobody else counts on from here.
    let mut loads = pending::loads(tx, tenant, &subjects).await?;

    let mut rows = Vec::with_capacity(held.len());
    for held in held {
        let Some(subject) = held.gate.subjects.first().copied() else { continue };
        let key = keys.get(&subject).and_then(|sealed| sealer.open(&whose(tenant, &subject), sealed));
        let load = loads.entry(subject).or_default();
        load.ordinal += 1;
        let ordinal = load.ordinal;
        let row = key.and_then(|key| seal(&key, tenant, held, subject, ordinal, now_us));
        rows.push(row.ok_or_else(|| Error::Damaged("the key of a person whose events wait cannot be opened".into()))?);
    }
    pending::insert(tx, tenant, &rows).await
}

fn seal(
    key: &SubjectKey,
    tenant: &TenantId,
    held: Held,
    subject: Subject,
    ordinal: i64,
    now_us: i64,
) -> Option<(Waiting, Vec<u8>)> {
    let Held { source_id, traceparent, gate, ready } = held;
    let bytes = i64::try_from(ready.payload.len()).ok()?;
    let kept = Kept {
        event: ready.payload,
        key: ready.key,
        event_time_us: ready.event_time_us,
        traceparent: traceparent.unwrap_or_default(),
        decision: Some(gate.decision),
    };
    let sealed = key.seal(&what(tenant, &ready.message_hash), &kept.encode_to_vec())?;
    let expire_us = now_us.saturating_add(gate.hold_us);
    let waiting = Waiting {
        message_hash: ready.message_hash,
        source_id,
        subject,
        other_subject: gate.subjects.get(1).copied(),
        purpose: gate.purpose,
        receive_us: now_us,
        ordinal,
        expire_us,
        due_us: expire_us.min(now_us + FIRST_LOOK_US),
        bytes,
    };
    Some((waiting, sealed))
}

/// Lets in or destroys what waited for people who answered. Returns what comes in by the place of the answer.
pub(super) async fn settle(
    tx: &mut Tx,
    sealer: &Sealer,
    tenant: &TenantId,
    answered: &BTreeMap<Subject, Answered>,
    counts: &mut ConsentCountsBySource,
    now_us: i64,
) -> Result<BTreeMap<Place, Vec<Released>>, Error> {
    let subjects: Vec<Subject> = answered.keys().copied().collect();
    let waiting = pending::list(tx, tenant, &subjects).await?;
    let mut verdicts = Vec::new();
    for waiting in waiting {
        let answers = [Some(waiting.subject), waiting.other_subject].into_iter().flatten();
        let answer =
            answers.filter_map(|subject| answered.get(&subject)).find(|answer| answer.purpose == waiting.purpose);
        if let Some(answer) = answer {
            let granted = answer.granted && waiting.expire_us > now_us;
            verdicts.push((waiting, granted.then(|| (Ground::Answer(answer.decision.clone()), answer.place))));
        }
    }
    finish(tx, sealer, tenant, verdicts, counts, now_us).await
}

/// What becomes of an event that waited: what lets it in and where, or nothing when it is destroyed.
pub(super) type Verdict = (Waiting, Option<(Ground, Place)>);

/// Carries verdicts out. What is more than one transaction can carry is looked after again at once.
pub(super) async fn finish(
    tx: &mut Tx,
    sealer: &Sealer,
    tenant: &TenantId,
    verdicts: Vec<Verdict>,
    counts: &mut ConsentCountsBySource,
    now_us: i64,
) -> Result<BTreeMap<Place, Vec<Released>>, Error> {
    if verdicts.is_empty() {
        return Ok(BTreeMap::new());
    }
    let mut room = MOST_RELEASED_BYTES;
    let mut now = Vec::new();
    for (waiting, verdict) in verdicts {
        if verdict.is_some() {
            room -= waiting.bytes;
        }
        if verdict.is_some() && room < 0 {
            pending::postpone(tx, tenant, &waiting.message_hash, now_us).await?;
        } else {
            now.push((waiting, verdict));
        }
    }

    let wanted: Vec<&Waiting> = now.iter().filter(|one| one.1.is_some()).map(|(waiting, _)| waiting).collect();
    let mut opened = open(tx, sealer, tenant, &wanted).await?;
    // What cannot be opened stays for its time: the key of the configuration may come back.
    let is_lost = |(waiting, verdict): &Verdict| verdict.is_some() && !opened.contains_key(&waiting.message_hash);
    for (waiting, _) in now.iter().filter(|one| is_lost(one) && one.0.expire_us > now_us) {
        let next_us = waiting.expire_us.min(now_us.saturating_add(FIRST_LOOK_US));
        pending::postpone(tx, tenant, &waiting.message_hash, next_us).await?;
    }
    now.retain(|one| !is_lost(one) || one.0.expire_us <= now_us);
    let hashes: Vec<MessageHash> = now.iter().map(|(waiting, _)| waiting.message_hash).collect();
    let removed = pending::remove(tx, tenant, &hashes).await?;

    let mut released_at: BTreeMap<Place, Vec<Released>> = BTreeMap::new();
    let mut subjects = HashSet::new();
    for (waiting, verdict) in now {
        if !removed.contains(&waiting.message_hash) {
            continue;
        }
        subjects.insert(waiting.subject);
        let count = counts.entry((tenant.clone(), waiting.source_id.clone())).or_default();
        match (verdict, opened.remove(&waiting.message_hash)) {
            (Some((ground, place)), Some(kept)) => {
                count.released += 1;
                let record = record(kept, ground, now_us);
                released_at.entry(place).or_default().push(Released { source_id: waiting.source_id, record });
            }
            _ => count.destroyed += 1,
        }
    }
    let mut subjects: Vec<Subject> = subjects.into_iter().collect();
    subjects.sort_unstable();
    consent_answers::destroy_unused_keys(tx, tenant, &subjects).await?;
    Ok(released_at)
}

/// Opens events that wait. Those that cannot be opened are missing.
pub(super) async fn open(
    tx: &mut Tx,
    sealer: &Sealer,
    tenant: &TenantId,
    wanted: &[&Waiting],
) -> Result<HashMap<MessageHash, Kept>, Error> {
    let mut subjects: Vec<Subject> = wanted.iter().map(|waiting| waiting.subject).collect();
    subjects.sort_unstable();
    subjects.dedup();
    let sealed_keys = consent_answers::find_keys(tx, tenant, &subjects).await?;
    let keys: HashMap<Subject, SubjectKey> = sealed_keys
        .iter()
        .filter_map(|(subject, sealed)| Some((*subject, sealer.open(&whose(tenant, subject), sealed)?)))
        .collect();
    let hashes: Vec<MessageHash> = wanted.iter().map(|waiting| waiting.message_hash).collect();
    let sealed = pending::sealed(tx, tenant, &hashes).await?;
    let mut opened = HashMap::new();
    for &waiting in wanted {
        let Some(sealed) = sealed.get(&waiting.message_hash) else { continue };
        let plain = keys.get(&waiting.subject).and_then(|key| key.open(&what(tenant, &waiting.message_hash), sealed));
        match plain.and_then(|plain| Kept::decode(plain.as_slice()).ok()) {
            Some(kept) => {
                opened.insert(waiting.message_hash, kept);
            }
            None => tracing::error!(tenant.id = %tenant, "an event that waits for consent cannot be opened"),
        }
    }
    Ok(opened)
}

fn record(kept: Kept, ground: Ground, now_us: i64) -> Record {
    let decision = match ground {
        Ground::Answer(answer) => released(&answer, &kept.decision.unwrap_or_default(), now_us),
        Ground::Policy(decision) => ConsentDecision { held: true, decide_time: Some(timestamp(now_us)), ..decision },
    };
    Record {
        key: kept.key,
        payload: stamp(&kept.event, decision),
        event_time_us: kept.event_time_us,
        traceparent: Some(kept.traceparent).filter(|traceparent| !traceparent.is_empty()),
    }
}

/// What the key of a person is bound to.
fn whose(tenant: &TenantId, subject: &Subject) -> Vec<u8> {
    [tenant.as_str().as_bytes(), &[0], subject].concat()
}

/// What a sealed event is bound to.
fn what(tenant: &TenantId, message_hash: &MessageHash) -> Vec<u8> {
    [tenant.as_str().as_bytes(), &[0], message_hash].concat()
}

//! The last step of every event, whatever door it came through: checked, completed, given its id, serialised.

use bytes::Bytes;
use prost::Message;
use proto::event::v1::event::Body;
use proto::event::v1::{Event, Medium, Party};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::plan::Findings;
use super::problem::{Problem, Reason};
use super::signal::SignalRow;
use super::source::SourceProfile;
use super::vocabulary::name_of;
use super::{check, check_body, consent, instant, texts};

/// How an event came in.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Arrival<'a> {
    /// The source it came through.
    pub(crate) source: &'a SourceProfile,
    /// When it was received, in microseconds since the Unix epoch.
    pub(crate) received_us: i64,
}

/// SHA-256 of source and message id, cut to 16 bytes: what duplicates are told by, within a tenant.
pub(crate) type MessageHash = [u8; 16];

/// An event that can be appended.
#[derive(Debug, Clone)]
pub(crate) struct Ready {
    pub(crate) event_id: Uuid,
    pub(crate) message_hash: MessageHash,
    /// What orders it in the log: its first identifier.
    pub(crate) key: Bytes,
    /// The serialised event.
    pub(crate) payload: Bytes,
    pub(crate) event_time_us: i64,
    pub(crate) bot: bool,
    /// What must be known of its person before it is taken; `None` when nothing must.
    pub(crate) gate: Option<Box<consent::Gate>>,
    /// What it says about a place and time, when that is what it is.
    pub(crate) signal: Option<Box<SignalRow>>,
    /// Whether it happened long before it was received.
    pub(crate) late: bool,
    /// What breaks the source's tracking plan, all the same.
    pub(crate) findings: Option<Box<Findings>>,
}

/// How much older than its receipt a late event is.
const LATE_US: i64 = 3_600 * 1_000_000;

/// Checks and completes an event that holds what the sender said: `event_time` is when the sender says it happened.
///
/// `message_id` stands in when the sender gave none. An event that is refused is what it was, but for completions (a
/// name, a currency of the source) that would be made again.
pub(crate) fn finish(
    event: &mut Event,
    arrival: Arrival<'_>,
    message_id: impl FnOnce() -> String,
) -> Result<Ready, Problem> {
    check::check_message_id(&event.message_id)?;
    let Some(body) = &mut event.body else {
        return Err(Problem::new(Reason::BodyMissing, "an event must say what happened"));
    };
    check_body::check(body, arrival.source.default_currency)?;
    if event.name.is_empty() {
        event.name = name_of(body).to_owned();
    }
    check::check_identifiers(event)?;
    let said = state_consents(event, arrival.source)?;
    check::check_consents(&event.consents)?;
    texts::check(event)?;
    let findings = match &arrival.source.controls.plan {
        Some(plan) => plan.judge(event)?,
        None => None,
    };
    let event_time_us = complete_times(event, arrival.received_us)?;
    let bot = arrival.source.edge.enricher.enrich(event);
    complete_provenance(event, arrival.source, bot);
    let gate = consent::decide(event, said, &arrival.source.edge.policy, &arrival.source.tenant);

    if event.message_id.is_empty() {
        event.message_id = message_id();
    }
    event.source_id.clone_from(&arrival.source.source_id);
    let digest = digest(arrival.source, &event.message_id);
    let event_id = event_id(&digest, event_time_us);
    event.event_id = event_id.to_string();

    Ok(Ready {
        event_id,
        message_hash: *digest.first_chunk().expect("a digest has 32 bytes"),
        key: key(event),
        payload: event.encode_to_vec().into(),
        event_time_us,
        bot,
        gate,
        signal: match &event.body {
            Some(Body::ContextSignal(signal)) => Some(Box::new(SignalRow::of(event, signal, event_time_us))),
            _ => None,
        },
        late: arrival.received_us.saturating_sub(event_time_us) > LATE_US,
        findings,
    })
}

/// Fills the four times. Returns when the event happened.
fn complete_times(event: &mut Event, received_us: i64) -> Result<i64, Problem> {
    let claimed_us = event.event_time.as_ref().map(instant::from_timestamp).transpose()?;
    let sent_us = event.sent_time.as_ref().map(instant::from_timestamp).transpose()?;
    let event_time_us = instant::correct(claimed_us, sent_us, received_us)?;

    for consent in &mut event.consents {
        let decided_us = consent.decided_time.as_ref().map(instant::from_timestamp).transpose()?;
        let decided_us = decided_us.unwrap_or(event_time_us).min(received_us);
        consent.decided_time = Some(kit::time::timestamp(decided_us));
    }
    event.original_time = event.event_time;
    event.event_time = Some(kit::time::timestamp(event_time_us));
    event.received_time = Some(kit::time::timestamp(received_us));
    Ok(event_time_us)
}

/// Reads what a banner said into consents.
fn state_consents(event: &mut Event, source: &SourceProfile) -> Result<consent::Said, Problem> {
    if let Some(signals) = event.context.as_ref().and_then(|context| context.consent_signals.as_ref()) {
        consent::check_signals(signals)?;
    }
    Ok(consent::state(event, &source.edge.policy))
}

/// Fills what the source says about all its events, and tags machines.
fn complete_provenance(event: &mut Event, source: &SourceProfile, bot: bool) {
    let provenance = event.provenance.get_or_insert_default();
    if provenance.party() == Party::Unspecified {
        provenance.set_party(source.party);
    }
    if provenance.medium() == Medium::Unspecified {
        provenance.set_medium(source.medium);
    }
    provenance.bot = bot;
}

fn digest(source: &SourceProfile, message_id: &str) -> [u8; 32] {
    let mut hasher = Sha256::new();
    for part in [source.tenant.as_str(), &source.source_id] {
        hasher.update(part.as_bytes());
        hasher.update([0]);
    }
    hasher.update(message_id.as_bytes());
    hasher.finalize().into()
}

/// Returns the event's id: UUIDv7 of its time, with bits of the digest where others draw.
///
/// So the same events get the same ids in every run, ids sort as the events happened, and a rule that breaks a tie by
/// event id gives the same answer everywhere.
fn event_id(digest: &[u8; 32], event_time_us: i64) -> Uuid {
    let millis = u64::try_from(event_time_us / 1_000).expect("times lie after 1970");
    let bits = digest[16..26].try_into().expect("a digest has 32 bytes");
    uuid::Builder::from_unix_timestamp_millis(millis, bits).into_uuid()
}

/// Returns the first identifier as `kind NUL value`; for a signal without any, its kind.
fn key(event: &Event) -> Bytes {
    let (kind, value) = match (event.identifiers.first(), &event.body) {
        (Some(first), _) => (first.kind.as_str(), first.value.as_str()),
        (None, Some(Body::ContextSignal(signal))) => ("context_signal", signal.kind.as_str()),
        (None, _) => ("", ""),
    };
    [kind.as_bytes(), &[0], value.as_bytes()].concat().into()
}

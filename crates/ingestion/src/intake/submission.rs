//! What a door hands in: events, each good or refused.

use bytes::Bytes;
use proto::ingestion::v1::dead_letter::Encoding;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::Source;
use super::shares::Share;
use crate::domain::finish::Ready;
use crate::domain::problem::Problem;
use crate::store::dead_letters::DeadLetterRow;

/// The events of one request, in their order.
pub(crate) struct Submission {
    pub(crate) source: Source,
    /// W3C trace context of the request.
    pub(crate) traceparent: Option<String>,
    pub(crate) items: Vec<Item>,
    /// What it adds to the counts of what waits, while it waits.
    pub(super) share: Option<Share>,
}

/// One event.
pub(crate) struct Item {
    pub(crate) arrived: Arrived,
    /// The dead letter that it replays.
    pub(crate) replays: Option<String>,
}

/// What the door made of an event.
pub(crate) enum Arrived {
    /// It can be appended, unless it is known already.
    Ready(Ready),
    /// It cannot be taken, and is kept.
    Refused(DeadLetterRow, Problem),
}

/// An event that cannot be taken, and what is known of it.
pub(crate) struct Refused {
    pub(crate) problem: Problem,
    /// What is kept of it.
    pub(crate) payload: Bytes,
    pub(crate) encoding: Encoding,
    pub(crate) library: String,
    pub(crate) event_name: String,
}

/// What a dead letter's id is derived from.
pub(crate) enum DeadLetterIdSeed<'a> {
    /// The sender's message id: a retry of the same event finds its dead letter again.
    Message(&'a str),
    /// Nothing tells one from another.
    None,
}

impl Submission {
    pub(crate) fn new(source: Source, items: Vec<Item>) -> Self {
        Self { source, traceparent: kit::telemetry::traceparent(), items, share: None }
    }

    /// Returns its weight against the bounds of the queue: KiB of events, one at least for each.
    pub(crate) fn weight(&self) -> usize {
        self.items.iter().map(Item::weight).sum()
    }
}

impl Item {
    pub(crate) fn new(arrived: Arrived) -> Self {
        Self { arrived, replays: None }
    }

    pub(super) fn weight(&self) -> usize {
        self.arrived.bytes().div_ceil(1024).max(1)
    }
}

impl Arrived {
    fn bytes(&self) -> usize {
        match self {
            Self::Ready(ready) => ready.payload.len(),
            Self::Refused(letter, _) => letter.payload.len(),
        }
    }

    /// Makes a dead letter of an event that cannot be taken.
    pub(crate) fn refused(refused: Refused, (source, receive_us): (&Source, i64), seed: DeadLetterIdSeed<'_>) -> Self {
        let Refused { problem, payload, encoding, library, event_name } = refused;
        let letter = DeadLetterRow {
            dead_letter_id: dead_letter_id(source, &seed).to_string(),
            source_id: source.source_id.clone(),
            reason: problem.reason.as_str().to_owned(),
            message: problem.message.clone().into_owned(),
            encoding: i64::from(i32::from(encoding)),
            library: storable(library),
            receive_us,
            payload: payload.into(),
            event_name: storable(event_name),
        };
        Self::Refused(letter, problem)
    }
}

/// Returns the id of a dead letter: derived where the sender told the message apart, otherwise drawn.
fn dead_letter_id(source: &Source, seed: &DeadLetterIdSeed<'_>) -> Uuid {
    let DeadLetterIdSeed::Message(message_id) = seed else {
        return uuid::Builder::from_random_bytes(rand::random()).into_uuid();
    };
    let mut hasher = Sha256::new();
    for part in ["dead letter", source.tenant.as_str(), &source.source_id, message_id] {
        hasher.update((part.len() as u64).to_be_bytes());
        hasher.update(part.as_bytes());
    }
    let digest: [u8; 32] = hasher.finalize().into();
    let bytes = *digest.first_chunk().expect("a digest has 32 bytes");
    uuid::Builder::from_custom_bytes(bytes).into_uuid()
}

/// What a refused event says of itself was not checked: no NUL, which PostgreSQL cannot keep, and not without end.
fn storable(text: String) -> String {
    text.chars().filter(|character| *character != '\0').take(256).collect()
}

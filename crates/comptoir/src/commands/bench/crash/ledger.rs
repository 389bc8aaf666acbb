//! What was sent and what was acknowledged, and how an event says which one it is.

use std::sync::{
    Mutex, MutexGuard, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use proto::{
    event::v1::{Custom, Event, event::Body},
    r#type::v1::Identifier,
};
use serde_json::Value;

/// Events in one batch.
pub(in crate::commands::bench) const BATCH: u64 = 20;
/// Name of every event.
const NAME: &str = "Crash Audit";
/// People that the events are about.
const PEOPLE: u64 = 997;

/// What became of a batch, as its sender knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::commands::bench) enum Fate {
    /// Sent, perhaps taken: no answer came.
    Unknown,
    /// Acknowledged.
    Acknowledged,
}

/// The batches of a run, numbered from 0; batch `b` holds the events `b * BATCH` to `(b + 1) * BATCH`.
#[derive(Debug)]
pub(in crate::commands::bench) struct Ledger {
    seed: u64,
    fates: Mutex<Vec<Fate>>,
    acknowledged: AtomicU64,
}

impl Ledger {
    pub(in crate::commands::bench) fn new(seed: u64) -> Self {
        Self { seed, fates: Mutex::new(Vec::new()), acknowledged: AtomicU64::new(0) }
    }

    /// Begins a batch and returns its number. From now on its events may be in the log.
    pub(in crate::commands::bench) fn begin(&self) -> u64 {
        let mut fates = self.lock();
        fates.push(Fate::Unknown);
        fates.len() as u64 - 1
    }

    pub(in crate::commands::bench) fn acknowledge(&self, batch: u64) {
        self.lock()[batch as usize] = Fate::Acknowledged;
        self.acknowledged.fetch_add(1, Ordering::Relaxed);
    }

    /// Returns how often a batch was acknowledged so far.
    pub(in crate::commands::bench) fn acknowledged(&self) -> u64 {
        self.acknowledged.load(Ordering::Relaxed)
    }

    pub(in crate::commands::bench) fn fates(&self) -> Vec<Fate> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Fate>> {
        self.fates.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn message_id(&self, number: u64) -> String {
        format!("crash-{:x}-{number:010}", self.seed)
    }

    fn user(number: u64) -> String {
        format!("user-{}", number % PEOPLE)
    }

    /// Returns a body for `/v1/batch`.
    pub(in crate::commands::bench) fn json(&self, batch: u64) -> String {
        let events: Vec<String> = numbers(batch)
            .map(|number| {
                format!(
                    r#"{{"type":"track","event":"{NAME}","messageId":"{}","userId":"{}","properties":{{"number":{number}}}}}"#,
                    self.message_id(number),
                    Self::user(number)
                )
            })
            .collect();
        format!(r#"{{"batch":[{}]}}"#, events.join(","))
    }

    /// Returns the events as a typed sender makes them.
    pub(in crate::commands::bench) fn events(&self, batch: u64) -> Vec<Event> {
        numbers(batch)
            .map(|number| Event {
                message_id: self.message_id(number),
                name: NAME.into(),
                identifiers: vec![Identifier { kind: "user_id".into(), value: Self::user(number) }],
                properties_json: format!(r#"{{"number":{number}}}"#).into(),
                body: Some(Body::Custom(Custom {})),
                ..Event::default()
            })
            .collect()
    }

    /// Returns the number of an event, as far as its message id tells.
    pub(in crate::commands::bench) fn number_of(&self, event: &Event) -> Option<u64> {
        let number = event.message_id.rsplit('-').next()?.parse().ok()?;
        (self.message_id(number) == event.message_id).then_some(number)
    }

    /// Whether an event says all that was said when it was sent.
    pub(in crate::commands::bench) fn is_whole(event: &Event, number: u64) -> bool {
        let said: Option<Value> = serde_json::from_slice(&event.properties_json).ok();
        let number_said = said.as_ref().and_then(|said| said["number"].as_u64());
        let user = event.identifiers.first().map(|first| (first.kind.as_str(), first.value.clone()));
        event.name == NAME && number_said == Some(number) && user == Some(("user_id", Self::user(number)))
    }
}

/// Returns the numbers of the events of a batch.
fn numbers(batch: u64) -> std::ops::Range<u64> {
    batch * BATCH..(batch + 1) * BATCH
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_recognised_and_one_that_was_changed_is_not_whole() {
        let ledger = Ledger::new(7);
        let mut event = ledger.events(3).swap_remove(1);

        assert_eq!(ledger.number_of(&event), Some(61));
        assert!(Ledger::is_whole(&event, 61));
        assert_eq!(Ledger::new(8).number_of(&event), None, "another run's");
        event.properties_json = br#"{"number":62}"#.as_slice().into();
        assert!(!Ledger::is_whole(&event, 61));
    }
}

//! What was sent and acknowledged under overload, request by request.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use proto::event::v1::Event;
use serde::Serialize;

/// The requests of a run. Their events say which one they belong to and which of it they are.
#[derive(Debug)]
pub(super) struct Ledger {
    seed: u64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    requests: Vec<Request>,
    /// Answers, by the way in and what was said.
    answers: BTreeMap<String, u64>,
    /// How long the acknowledgements of calls took.
    waits: Vec<Duration>,
    /// Refusals that did not say when to come again.
    without_wait: u64,
}

#[derive(Debug, Clone, Copy)]
struct Request {
    events: u32,
    acknowledged: bool,
}

/// What the log holds of what was acknowledged.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Found {
    pub(super) acknowledged: u64,
    pub(super) in_log: u64,
    pub(super) lost: u64,
    pub(super) doubled: u64,
    pub(super) invented: u64,
}

impl Found {
    pub(super) fn is_sound(&self) -> bool {
        self.lost + self.doubled + self.invented == 0
    }
}

/// What was answered so far.
#[derive(Debug, Clone, Default)]
pub(super) struct Answers {
    pub(super) by_answer: BTreeMap<String, u64>,
    pub(super) waits: Vec<Duration>,
    pub(super) without_wait: u64,
    pub(super) acknowledged_events: u64,
}

impl Ledger {
    pub(super) fn new(seed: u64) -> Self {
        Self { seed, state: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins a request of so many events and returns its number.
    pub(super) fn begin(&self, events: usize) -> usize {
        let mut state = self.lock();
        state.requests.push(Request { events: events as u32, acknowledged: false });
        state.requests.len() - 1
    }

    pub(super) fn acknowledge(&self, door: &str, request: usize, wait: Option<Duration>) {
        let mut state = self.lock();
        state.requests[request].acknowledged = true;
        state.waits.extend(wait);
        *state.answers.entry(format!("{door} ok")).or_default() += 1;
    }

    /// Notes what was said instead of an acknowledgement.
    pub(super) fn refuse(&self, door: &str, answer: &str, says_when: bool) {
        let mut state = self.lock();
        *state.answers.entry(format!("{door} {answer}")).or_default() += 1;
        state.without_wait += u64::from(!says_when);
    }

    pub(super) fn answers(&self) -> Answers {
        let state = self.lock();
        let acknowledged = state.requests.iter().filter(|request| request.acknowledged);
        Answers {
            by_answer: state.answers.clone(),
            waits: state.waits.clone(),
            without_wait: state.without_wait,
            acknowledged_events: acknowledged.map(|request| u64::from(request.events)).sum(),
        }
    }

    pub(super) fn message_id(&self, request: usize, index: usize) -> String {
        format!("overload-{:x}-{request}-{index}", self.seed)
    }

    /// Compares with what is read from the log by `read`.
    pub(super) fn audit(&self) -> Audit<'_> {
        let requests = self.lock().requests.clone();
        let seen = requests.iter().map(|request| vec![0; request.events as usize]).collect();
        Audit { ledger: self, requests, seen, found: Found::default() }
    }
}

/// A comparison under way.
pub(super) struct Audit<'a> {
    ledger: &'a Ledger,
    requests: Vec<Request>,
    seen: Vec<Vec<u8>>,
    found: Found,
}

impl Audit<'_> {
    pub(super) fn see(&mut self, event: &Event) {
        self.found.in_log += 1;
        let place = || {
            let mut parts = event.message_id.rsplitn(3, '-');
            let index: usize = parts.next()?.parse().ok()?;
            let request: usize = parts.next()?.parse().ok()?;
            (self.ledger.message_id(request, index) == event.message_id).then_some((request, index))
        };
        let place = place();
        match place.and_then(|(request, index)| self.seen.get_mut(request)?.get_mut(index)) {
            Some(count) => *count = count.saturating_add(1),
            None => self.found.invented += 1,
        }
    }

    pub(super) fn finish(mut self) -> Found {
        for (request, seen) in self.requests.iter().zip(&self.seen) {
            self.found.doubled += seen.iter().filter(|count| **count > 1).count() as u64;
            if request.acknowledged {
                self.found.acknowledged += u64::from(request.events);
                self.found.lost += seen.iter().filter(|count| **count == 0).count() as u64;
            }
        }
        self.found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_lost_doubled_or_invented_is_counted() {
        let ledger = Ledger::new(7);
        let (taken, open) = (ledger.begin(3), ledger.begin(2));
        ledger.acknowledge("http", taken, None);
        let event = |message_id: String| Event { message_id, ..Event::default() };

        let mut audit = ledger.audit();
        audit.see(&event(ledger.message_id(taken, 0)));
        audit.see(&event(ledger.message_id(taken, 1)));
        audit.see(&event(ledger.message_id(taken, 1)));
        audit.see(&event(ledger.message_id(open, 0)));
        audit.see(&event(ledger.message_id(open, 2)));
        audit.see(&event("of somebody else".into()));
        let found = audit.finish();

        assert_eq!(found, Found { acknowledged: 3, in_log: 6, lost: 1, doubled: 1, invented: 2 });
    }
}

use std::{collections::BTreeMap, fmt, sync::Arc};

use futures::Stream;
use tokio::sync::watch;

/// Whether a process can do its job: when every registered part says so, and it is not stopping. Cloning shares it.
#[derive(Clone)]
pub struct Readiness(Arc<watch::Sender<State>>);

/// One part's say in the readiness of the process. It starts as not ready, and keeps its last word when dropped.
pub struct ReadyHandle {
    readiness: Readiness,
    part: u64,
}

#[derive(Default)]
struct State {
    parts: BTreeMap<u64, Part>,
    next: u64,
    stopping: bool,
}

struct Part {
    name: String,
    ready: bool,
}

impl Readiness {
    /// Returns a readiness that nothing holds back yet.
    pub fn new() -> Self {
        Self(Arc::new(watch::Sender::new(State::default())))
    }

    /// Adds a part that has to be ready; `name` is what `/readyz` shows while it is not.
    pub fn register(&self, name: impl Into<String>) -> ReadyHandle {
        let mut part = 0;
        self.0.send_modify(|state| {
            part = state.next;
            state.next += 1;
            state.parts.insert(part, Part { name: name.into(), ready: false });
        });
        ReadyHandle { readiness: self.clone(), part }
    }

    /// Tells whether every part is ready and the process is not stopping.
    pub fn is_ready(&self) -> bool {
        self.0.borrow().is_ready()
    }

    /// Returns the names of what is not ready.
    pub fn missing(&self) -> Vec<String> {
        let state = self.0.borrow();
        let mut missing: Vec<String> =
            state.parts.values().filter(|part| !part.ready).map(|part| part.name.clone()).collect();
        if state.stopping {
            missing.push("stopping".to_owned());
        }
        missing
    }

    /// Waits until the process is ready.
    pub async fn wait_ready(&self) {
        let mut changes = self.0.subscribe();
        let waited = changes.wait_for(State::is_ready).await;
        waited.expect("the sender lives as long as this readiness");
    }

    /// Makes the process not ready for good: the first step of stopping.
    pub fn stop(&self) {
        self.0.send_modify(|state| state.stopping = true);
    }

    /// Returns whether the process is ready, now and after every change.
    pub(crate) fn changes(&self) -> impl Stream<Item = bool> + Send + use<> {
        let start = (self.0.subscribe(), None);
        futures::stream::unfold(start, |(mut states, last)| async move {
            let changed = states.wait_for(|state| last != Some(state.is_ready())).await;
            let ready = changed.ok()?.is_ready();
            Some((ready, (states, Some(ready))))
        })
    }
}

impl Default for Readiness {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Readiness {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Readiness(missing: {:?})", self.missing())
    }
}

impl ReadyHandle {
    /// Says whether this part is ready.
    pub fn set(&self, ready: bool) {
        self.readiness.0.send_if_modified(|state| {
            let Some(part) = state.parts.get_mut(&self.part) else {
                return false;
            };
            let changed = part.ready != ready;
            part.ready = ready;
            changed
        });
    }
}

impl fmt::Debug for ReadyHandle {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "ReadyHandle({})", self.part)
    }
}

impl State {
    fn is_ready(&self) -> bool {
        !self.stopping && self.parts.values().all(|part| part.ready)
    }
}

#[cfg(test)]
mod tests {
    use futures::StreamExt;

    use super::*;

    #[tokio::test]
    async fn a_process_is_ready_when_every_part_is() {
        let readiness = Readiness::new();
        let database = readiness.register("database");
        let follower = readiness.register("follower");

        database.set(true);
        assert_eq!(readiness.missing(), ["follower"]);
        follower.set(true);

        readiness.wait_ready().await;
        readiness.stop();
        assert_eq!(readiness.missing(), ["stopping"]);
    }

    #[tokio::test]
    async fn watchers_see_each_change_once() {
        let readiness = Readiness::new();
        let part = readiness.register("database");
        let mut changes = Box::pin(readiness.changes());

        assert_eq!(changes.next().await, Some(false));
        part.set(true);
        part.set(true);
        assert_eq!(changes.next().await, Some(true));
        readiness.stop();
        assert_eq!(changes.next().await, Some(false));
    }
}

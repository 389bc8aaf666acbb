//! What is being committed, for those who watch. Nobody who watches slows what is watched: what does not fit into a
//! watcher's buffer is counted and left out, and where nobody watches nothing is gathered.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use kit::TenantId;
use proto::ingestion::v1::Verdict;
use tokio::sync::mpsc;

/// Transactions that wait for a watcher.
const BUFFERED: usize = 8;
/// Most events of one source and transaction that are shown.
const MAX_SHOWN: usize = 200;
/// Most watchers of one process.
const MAX_WATCHERS: usize = 64;

/// One event, as it was committed.
#[derive(Debug, Clone)]
pub(crate) struct Tailed {
    pub(crate) verdict: Verdict,
    pub(crate) received_us: i64,
    pub(crate) what: What,
}

/// What is known of it.
#[derive(Debug, Clone)]
pub(crate) enum What {
    /// The serialised event.
    Event(Bytes),
    /// A dead letter: the name of the event, and the software that sent it.
    Letter { event_name: String, library: String },
}

/// What one transaction brought for one source.
#[derive(Debug, Default)]
pub(crate) struct Shown {
    pub(crate) events: Vec<Tailed>,
    /// How many more there were.
    pub(crate) skipped: u64,
}

type SourceKey = (TenantId, String);

/// Where watchers meet what is committed. Cloning shares it.
#[derive(Clone, Default)]
pub(crate) struct Tail {
    inner: Arc<Inner>,
}

#[derive(Default)]
struct Inner {
    watchers: AtomicUsize,
    next_id: AtomicU64,
    by_source: Mutex<HashMap<SourceKey, Vec<Watcher>>>,
}

struct Watcher {
    id: u64,
    sender: mpsc::Sender<Arc<Shown>>,
    missed: Arc<AtomicU64>,
}

/// One who watches; leaves when dropped.
pub(crate) struct Watch {
    id: u64,
    source: SourceKey,
    inner: Arc<Inner>,
    receiver: mpsc::Receiver<Arc<Shown>>,
    missed: Arc<AtomicU64>,
}

impl Tail {
    /// Begins to watch a source; `None` when too many watch already.
    pub(crate) fn watch(&self, tenant: TenantId, source_id: String) -> Option<Watch> {
        let inner = Arc::clone(&self.inner);
        let mut by_source = inner.lock();
        if inner.watchers.load(Ordering::SeqCst) >= MAX_WATCHERS {
            return None;
        }
        inner.watchers.fetch_add(1, Ordering::SeqCst);
        let (sender, receiver) = mpsc::channel(BUFFERED);
        let (id, missed) = (inner.next_id.fetch_add(1, Ordering::SeqCst), Arc::new(AtomicU64::new(0)));
        let source = (tenant, source_id);
        by_source.entry(source.clone()).or_default().push(Watcher { id, sender, missed: Arc::clone(&missed) });
        drop(by_source);
        Some(Watch { id, source, inner, receiver, missed })
    }

    /// Whether anybody watches anything.
    pub(super) fn is_watched(&self) -> bool {
        self.inner.watchers.load(Ordering::Relaxed) > 0
    }

    /// Whether anybody watches a source.
    pub(super) fn watches(&self, tenant: &TenantId, source_id: &str) -> bool {
        self.is_watched() && self.inner.lock().contains_key(&(tenant.clone(), source_id.to_owned()))
    }

    /// Shows what was committed.
    pub(super) fn show(&self, committed: HashMap<SourceKey, Shown>) {
        if committed.is_empty() {
            return;
        }
        let by_source = self.inner.lock();
        for (source, shown) in committed {
            let Some(watchers) = by_source.get(&source) else { continue };
            let shown = Arc::new(shown);
            for watcher in watchers {
                if watcher.sender.try_send(Arc::clone(&shown)).is_err() {
                    let all = shown.events.len() as u64 + shown.skipped;
                    watcher.missed.fetch_add(all, Ordering::SeqCst);
                }
            }
        }
    }
}

impl Shown {
    /// Adds an event, unless there are enough.
    pub(super) fn add(&mut self, tailed: impl FnOnce() -> Tailed) {
        if self.events.len() < MAX_SHOWN {
            self.events.push(tailed());
        } else {
            self.skipped += 1;
        }
    }
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, HashMap<SourceKey, Vec<Watcher>>> {
        self.by_source.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Watch {
    /// Waits for what is committed next. Returns it with the number of events that were missed before it.
    pub(crate) async fn next(&mut self) -> Option<(Arc<Shown>, u64)> {
        let shown = self.receiver.recv().await?;
        Some((shown, self.missed.swap(0, Ordering::SeqCst)))
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let mut by_source = self.inner.lock();
        if let Some(watchers) = by_source.get_mut(&self.source) {
            watchers.retain(|watcher| watcher.id != self.id);
            if watchers.is_empty() {
                by_source.remove(&self.source);
            }
        }
        self.inner.watchers.fetch_sub(1, Ordering::SeqCst);
    }
}

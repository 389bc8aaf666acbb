//! Group commit: one transaction serves everybody who waits at that moment.

use std::future::Future;
use std::sync::Arc;

use kit::shutdown::Shutdown;
use store::{Db, Error, Tx};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

/// What a group commit does with the items that wait.
///
/// One instance, called by one task: it may keep state, such as what it has seen lately.
pub trait Handler<T, R>: Send + 'static {
    /// Writes `items` and returns one outcome for each, in their order.
    ///
    /// An error fails every item: what concerns one item alone belongs into its outcome.
    fn handle(&mut self, tx: &mut Tx, items: Vec<T>) -> impl Future<Output = Result<Vec<R>, Error>> + Send;

    /// Called after the commit, before anyone is answered.
    fn committed(&mut self) {}

    /// Called when the transaction was rolled back, or may not have been committed.
    fn rolled_back(&mut self) {}
}

/// How much may wait, and how much goes into one transaction.
#[derive(Debug, Clone)]
pub struct GroupCommitOptions {
    /// Most weight that may wait; more is refused as [`Error::Overloaded`]. Default 100,000.
    pub queue_weight: usize,
    /// Most weight in one transaction. Default 20,000.
    pub transaction_weight: usize,
}

impl Default for GroupCommitOptions {
    fn default() -> Self {
        Self { queue_weight: 100_000, transaction_weight: 20_000 }
    }
}

/// The door to a group commit. Cloning is cheap.
pub struct GroupCommit<T, R> {
    queue: mpsc::UnboundedSender<Waiting<T, R>>,
    room: Arc<Semaphore>,
    queue_weight: usize,
}

struct Waiting<T, R> {
    item: T,
    weight: usize,
    answer: oneshot::Sender<Result<R, Error>>,
    /// Gives the room back when the item is answered.
    _room: OwnedSemaphorePermit,
}

impl<T, R> Clone for GroupCommit<T, R> {
    fn clone(&self) -> Self {
        Self { queue: self.queue.clone(), room: Arc::clone(&self.room), queue_weight: self.queue_weight }
    }
}

impl<T: Send + 'static, R: Send + 'static> GroupCommit<T, R> {
    /// Starts the task that commits. On shutdown it commits what waits, then refuses.
    pub fn spawn(db: Db, shutdown: &Shutdown, options: GroupCommitOptions, handler: impl Handler<T, R>) -> Self {
        // Unbounded in items, bounded in weight by the permits that each item holds.
        let (queue, waiting) = mpsc::unbounded_channel();
        let queue_weight = options.queue_weight.clamp(1, Semaphore::MAX_PERMITS).min(u32::MAX as usize);
        let committer = Committer { db, handler, waiting, transaction_weight: options.transaction_weight, next: None };
        let token = shutdown.token.clone();
        shutdown.spawn("group-commit", committer.run(token));
        Self { queue, room: Arc::new(Semaphore::new(queue_weight)), queue_weight }
    }

    /// Has `item`, of weight 1, committed with what else waits. Answers after the commit, never before.
    pub async fn submit(&self, item: T) -> Result<R, Error> {
        self.submit_weighed(item, 1).await
    }

    /// Has `item` committed with what else waits. Its weight (events, say) counts against the bounds.
    ///
    /// [`Error::Overloaded`] means that nothing was done. The work goes on when the caller stops waiting.
    pub async fn submit_weighed(&self, item: T, weight: usize) -> Result<R, Error> {
        let permits = self.permits(weight);
        let room = Arc::clone(&self.room).try_acquire_many_owned(permits).map_err(|_| Error::Overloaded)?;
        self.enqueue(item, weight, room).await
    }

    /// Like [`submit_weighed`](Self::submit_weighed), but waits for room instead of refusing: for streams, whose
    /// senders slow down while they wait.
    pub async fn submit_patiently(&self, item: T, weight: usize) -> Result<R, Error> {
        let permits = self.permits(weight);
        let room = Arc::clone(&self.room).acquire_many_owned(permits).await.map_err(|_| Error::Overloaded)?;
        self.enqueue(item, weight, room).await
    }

    async fn enqueue(&self, item: T, weight: usize, room: OwnedSemaphorePermit) -> Result<R, Error> {
        let (answer, answered) = oneshot::channel();
        let stopped = || Error::unavailable("the group commit has stopped");
        self.queue.send(Waiting { item, weight, answer, _room: room }).map_err(|_| stopped())?;
        answered.await.map_err(|_| stopped())?
    }

    fn permits(&self, weight: usize) -> u32 {
        u32::try_from(weight.clamp(1, self.queue_weight)).expect("the queue weight fits 32 bits")
    }

    /// Returns the weight that waits or is being committed.
    pub fn waiting_weight(&self) -> usize {
        self.queue_weight - self.room.available_permits()
    }
}

struct Committer<T, R, H> {
    db: Db,
    handler: H,
    waiting: mpsc::UnboundedReceiver<Waiting<T, R>>,
    transaction_weight: usize,
    /// What did not fit into the last transaction.
    next: Option<Waiting<T, R>>,
}

impl<T: Send, R: Send, H: Handler<T, R>> Committer<T, R, H> {
    async fn run(mut self, token: tokio_util::sync::CancellationToken) {
        loop {
            if self.next.is_none() {
                self.next = tokio::select! {
                    biased;
                    waiting = self.waiting.recv() => waiting,
                    () = token.cancelled() => {
                        // Takes nothing new, finishes what was accepted.
                        self.waiting.close();
                        self.waiting.recv().await
                    }
                };
            }
            let Some(first) = self.next.take() else {
                return;
            };
            self.commit_with(first).await;
        }
    }

    /// Commits `first` with all that waits now, as far as it fits.
    async fn commit_with(&mut self, first: Waiting<T, R>) {
        let mut weight = 0;
        let mut items = Vec::new();
        let mut answers = Vec::new();
        let mut candidate = Some(first);
        while let Some(waiting) = candidate {
            if weight + waiting.weight > self.transaction_weight && !items.is_empty() {
                self.next = Some(waiting);
                break;
            }
            weight += waiting.weight;
            items.push(waiting.item);
            answers.push((waiting.answer, waiting._room));
            candidate = self.waiting.try_recv().ok();
        }

        match self.commit(items).await {
            Ok(outcomes) if outcomes.len() == answers.len() => {
                self.handler.committed();
                for ((answer, _room), outcome) in answers.into_iter().zip(outcomes) {
                    let _ = answer.send(Ok(outcome));
                }
            }
            Ok(_) => unreachable!("the number of outcomes is checked before the commit"),
            Err(error) => {
                self.handler.rolled_back();
                tracing::warn!(error = &error as &dyn std::error::Error, items = answers.len(), "group commit failed");
                for (answer, _room) in answers {
                    let _ = answer.send(Err(error.clone()));
                }
            }
        }
    }

    async fn commit(&mut self, items: Vec<T>) -> Result<Vec<R>, Error> {
        let expected = items.len();
        let mut tx = self.db.begin().await?;
        let outcomes = self.handler.handle(&mut tx, items).await?;
        if outcomes.len() != expected {
            return Err(Error::fatal(format!("{expected} items had {} outcomes", outcomes.len())));
        }
        tx.commit().await?;
        Ok(outcomes)
    }
}

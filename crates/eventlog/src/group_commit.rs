//! Group commit: one transaction serves everybody who waits at that moment.

use std::future::Future;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use kit::shutdown::Shutdown;
use store::{Db, Error, Tx};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

use self::committer::Committer;

mod committer;

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

/// Part of what may wait that the side lane may hold, and of a transaction that it gets while the main lane is busy.
pub const SIDE_SHARE: usize = 4;

/// Where an item waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lane {
    /// First come, first served.
    Main,
    /// For what must not hold up the others: first come, first served within, after every item that was in the main
    /// lane before it, and in a quarter of each transaction while the main lane is busy.
    Side,
}

/// The door to a group commit. Cloning is cheap.
pub struct GroupCommit<T, R> {
    main: mpsc::UnboundedSender<Waiting<T, R>>,
    side: mpsc::UnboundedSender<Waiting<T, R>>,
    shared: Arc<Shared>,
}

struct Shared {
    room: Arc<Semaphore>,
    side_room: Arc<Semaphore>,
    queue_weight: usize,
    /// Items that went into the main lane.
    entered: AtomicU64,
    /// When the transaction that is being written began.
    began: Mutex<Option<Instant>>,
    /// Whether the last transaction failed, or there was none so far.
    in_doubt: AtomicBool,
}

/// Room for what is to wait; given back when it is answered.
pub struct Room {
    _permit: OwnedSemaphorePermit,
}

impl Room {
    fn of(permit: OwnedSemaphorePermit) -> Self {
        Self { _permit: permit }
    }
}

struct Waiting<T, R> {
    item: T,
    weight: usize,
    answer: oneshot::Sender<Result<R, Error>>,
    /// Items of the main lane that went before; what is in the main lane itself does not ask.
    after: u64,
    _room: Vec<Room>,
}

impl<T, R> Clone for GroupCommit<T, R> {
    fn clone(&self) -> Self {
        Self { main: self.main.clone(), side: self.side.clone(), shared: Arc::clone(&self.shared) }
    }
}

impl<T: Send + 'static, R: Send + 'static> GroupCommit<T, R> {
    /// Starts the task that commits. On shutdown it commits what waits, then refuses.
    pub fn spawn(db: Db, shutdown: &Shutdown, options: GroupCommitOptions, handler: impl Handler<T, R>) -> Self {
        // Unbounded in items, bounded in weight by the permits that each item holds.
        let (main, main_waiting) = mpsc::unbounded_channel();
        let (side, side_waiting) = mpsc::unbounded_channel();
        let queue_weight = options.queue_weight.clamp(1, Semaphore::MAX_PERMITS).min(u32::MAX as usize);
        let shared = Arc::new(Shared {
            room: Arc::new(Semaphore::new(queue_weight)),
            side_room: Arc::new(Semaphore::new((queue_weight / SIDE_SHARE).max(1))),
            queue_weight,
            entered: AtomicU64::new(0),
            began: Mutex::new(None),
            in_doubt: AtomicBool::new(true),
        });
        let lanes = (main_waiting, side_waiting);
        let committer = Committer::new(db, handler, lanes, options.transaction_weight, Arc::clone(&shared));
        shutdown.spawn("group-commit", committer.run(shutdown.token.clone()));
        Self { main, side, shared }
    }

    /// Has `item`, of weight 1, committed with what else waits. Answers after the commit, never before.
    pub async fn submit(&self, item: T) -> Result<R, Error> {
        self.submit_weighed(item, 1).await
    }

    /// Has `item` committed with what else waits. Its weight (events, say) counts against the bounds.
    ///
    /// [`Error::Overloaded`] means that nothing was done. The work goes on when the caller stops waiting.
    pub async fn submit_weighed(&self, item: T, weight: usize) -> Result<R, Error> {
        let room = self.room(weight)?;
        self.enqueue(item, weight, Lane::Main, vec![room])?.await
    }

    /// Like [`submit_weighed`](Self::submit_weighed), but waits for room instead of refusing: for streams, whose
    /// senders slow down while they wait.
    pub async fn submit_patiently(&self, item: T, weight: usize) -> Result<R, Error> {
        let room = self.wait_for_room(weight).await?;
        self.enqueue(item, weight, Lane::Main, vec![room])?.await
    }

    /// Takes room for `weight`; [`Error::Overloaded`] when there is none now.
    pub fn room(&self, weight: usize) -> Result<Room, Error> {
        let room = Arc::clone(&self.shared.room).try_acquire_many_owned(self.permits(weight, 1));
        room.map(Room::of).map_err(|_| Error::Overloaded)
    }

    /// Takes room for `weight` as soon as there is any.
    pub async fn wait_for_room(&self, weight: usize) -> Result<Room, Error> {
        let room = Arc::clone(&self.shared.room).acquire_many_owned(self.permits(weight, 1)).await;
        room.map(Room::of).map_err(|_| Error::Overloaded)
    }

    /// Takes room for `weight` in the side lane, beside the room that all take.
    pub fn side_room(&self, weight: usize) -> Result<Room, Error> {
        let room = Arc::clone(&self.shared.side_room).try_acquire_many_owned(self.permits(weight, SIDE_SHARE));
        room.map(Room::of).map_err(|_| Error::Overloaded)
    }

    /// Takes room for `weight` in the side lane as soon as there is any.
    pub async fn wait_for_side_room(&self, weight: usize) -> Result<Room, Error> {
        let room = Arc::clone(&self.shared.side_room).acquire_many_owned(self.permits(weight, SIDE_SHARE)).await;
        room.map(Room::of).map_err(|_| Error::Overloaded)
    }

    /// Puts `item` into a lane, at once: what one task enqueues in turn is committed in that order, but for what waits in
    /// the side lane while the main lane goes on. Returns what waits for the answer; the work is done whether or not
    /// anybody waits.
    pub fn enqueue(
        &self,
        item: T,
        weight: usize,
        lane: Lane,
        room: Vec<Room>,
    ) -> Result<impl Future<Output = Result<R, Error>> + Send + use<T, R>, Error> {
        let stopped = || Error::unavailable("the group commit has stopped");
        let (answer, answered) = oneshot::channel();
        let after = self.shared.entered.load(Ordering::SeqCst);
        let waiting = Waiting { item, weight, answer, after, _room: room };
        match lane {
            Lane::Main => {
                self.main.send(waiting).map_err(|_| stopped())?;
                // Counted once it is in the lane, so that the side lane never waits for what will not come.
                self.shared.entered.fetch_add(1, Ordering::SeqCst);
            }
            Lane::Side => self.side.send(waiting).map_err(|_| stopped())?,
        }
        Ok(async move { answered.await.map_err(|_| stopped())? })
    }

    fn permits(&self, weight: usize, share: usize) -> u32 {
        let most = (self.shared.queue_weight / share).max(1);
        u32::try_from(weight.clamp(1, most)).expect("the queue weight fits 32 bits")
    }

    /// Returns the weight that waits or is being committed.
    pub fn waiting_weight(&self) -> usize {
        self.shared.queue_weight - self.shared.room.available_permits()
    }

    /// Returns how long the transaction that is being written has been going on; zero when there is none.
    pub fn committing_for(&self) -> Duration {
        let began = *self.shared.began.lock().unwrap_or_else(PoisonError::into_inner);
        began.map(|began| began.elapsed()).unwrap_or_default()
    }

    /// Whether it is open if anything can be committed: the last transaction failed, or there was none so far. For
    /// readiness, which then has to try.
    pub fn is_in_doubt(&self) -> bool {
        self.shared.in_doubt.load(Ordering::SeqCst)
    }

    /// Ends the doubt, when a transaction has been committed by other means.
    pub fn reassure(&self) {
        self.shared.in_doubt.store(false, Ordering::SeqCst);
    }
}

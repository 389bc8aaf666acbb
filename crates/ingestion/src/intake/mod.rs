//! The way of every event into the log: prepared by its door, then committed with all that waits at that moment.

mod admission;
mod commit;
mod consenting;
mod lane;
mod lane_keeper;
mod lane_policy;
mod shares;
mod submission;
mod tail;
mod tally;

use std::sync::Arc;
use std::time::Duration;

use eventlog::{EventLog, GroupCommit, GroupCommitOptions, Lane};
use futures::FutureExt;
use futures::future::BoxFuture;
use kit::Clock;
use kit::shutdown::Shutdown;
use proto::ingestion::v1::Verdict;
use store::{Db, Error};

use self::commit::CommitHandler;
pub(crate) use self::lane_keeper::LaneKeeper;
pub(crate) use self::lane_policy::GoneThrough;
use self::shares::{Aside, Shares};
pub(crate) use self::submission::{Arrived, DeadLetterIdSeed, Item, Refused, Submission};
pub(crate) use self::tail::{Tail, Tailed, Watch, What};
use crate::metrics::IntakeMetrics;
use crate::seal::Sealer;
use crate::window::Window;

/// Weight of one transaction, in the units of [`Submission::weight`]: about 20 MiB of events.
const TRANSACTION_WEIGHT: usize = 20_000;

/// The one door to the log. Cloning shares it.
#[derive(Clone)]
pub(crate) struct Intake {
    commit: GroupCommit<Submission, Vec<Verdict>>,
    shares: Arc<Shares>,
    metrics: IntakeMetrics,
    slow_commit: Duration,
}

/// Waits for the verdicts over what is in the queue; the work is done whether or not anybody waits.
pub(crate) type Enqueued = BoxFuture<'static, Result<Vec<Verdict>, Error>>;

/// What the intake is made of.
pub(crate) struct IntakeParts {
    pub(crate) db: Db,
    pub(crate) log: EventLog,
    pub(crate) clock: Clock,
    pub(crate) metrics: IntakeMetrics,
    pub(crate) tail: Tail,
    /// Tells messages from their repetitions.
    pub(crate) window: Window,
    /// How long a message id is remembered, in microseconds.
    pub(crate) dedupe_window_us: i64,
    /// Seals what waits for consent.
    pub(crate) sealer: Arc<Sealer>,
    /// How much may wait, in the units of [`Submission::weight`].
    pub(crate) queue_weight: usize,
    /// A transaction that has been going on for so long says that the store is slow: what came now would be answered
    /// after its sender has given up, and would be sent again on top. It is refused while there is time to say so.
    pub(crate) slow_commit: Duration,
}

/// What to do when there is no room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Patience {
    None,
    Endless,
}

impl Intake {
    pub(crate) fn spawn(parts: IntakeParts, shutdown: &Shutdown) -> Self {
        let IntakeParts { db, log, clock, metrics, tail, window, sealer, queue_weight, slow_commit, .. } = parts;
        let options = GroupCommitOptions { queue_weight, transaction_weight: TRANSACTION_WEIGHT };
        let handler = CommitHandler::new(log, clock, metrics.clone(), tail, (window, parts.dedupe_window_us), sealer);
        let commit = GroupCommit::spawn(db, shutdown, options, handler);
        Self { commit, shares: Shares::new(queue_weight), metrics, slow_commit }
    }

    /// Refuses while a transaction takes too long: whatever it is that the store does not answer, what comes now would
    /// wait for it as well.
    pub(crate) fn require_pace(&self) -> Result<(), Error> {
        if self.commit.committing_for() > self.slow_commit {
            return Err(Error::unavailable("the store is slow"));
        }
        Ok(())
    }

    /// Whether it is open if anything can be committed: nothing has been so far, or the last transaction failed.
    pub(crate) fn is_in_doubt(&self) -> bool {
        self.commit.is_in_doubt()
    }

    /// Says that a transaction has been committed beside the intake, so that nothing is in doubt.
    pub(crate) fn reassure(&self) {
        self.commit.reassure();
    }

    /// Commits a submission and returns one verdict per item. Refuses when too much waits.
    pub(crate) async fn submit(&self, submission: Submission) -> Result<Vec<Verdict>, Error> {
        self.require_pace()?;
        self.enqueue(submission, Patience::None).await?.await
    }

    /// Commits a submission and returns one verdict per item. Waits while too much waits.
    pub(crate) async fn submit_patiently(&self, submission: Submission) -> Result<Vec<Verdict>, Error> {
        self.enqueue_patiently(submission).await?.await
    }

    /// Puts a submission into the queue as soon as there is room. What one task puts there in turn, each after the last
    /// is in, is committed in that order for every key.
    pub(crate) async fn enqueue_patiently(&self, submission: Submission) -> Result<Enqueued, Error> {
        self.enqueue(submission, Patience::Endless).await
    }

    async fn enqueue(&self, mut submission: Submission, patience: Patience) -> Result<Enqueued, Error> {
        let weight = submission.weight();
        let room = match patience {
            Patience::None => self.commit.room(weight)?,
            Patience::Endless => self.commit.wait_for_room(weight).await?,
        };
        // From here to `enqueue` nothing waits, so that what one task submits in turn keeps its order.
        match self.shares.set_aside(&mut submission, self.commit.waiting_weight()) {
            None => Ok(self.commit.enqueue(submission, weight, Lane::Main, vec![room])?.boxed()),
            Some(aside) => self.enqueue_apart(submission, aside, room, patience).await,
        }
    }

    /// Puts a submission into the queue in two parts, of which one waits in the side lane. The room for both is given
    /// back with the part aside.
    async fn enqueue_apart(
        &self,
        submission: Submission,
        aside: Aside,
        room: eventlog::Room,
        patience: Patience,
    ) -> Result<Enqueued, Error> {
        let Aside { submission: side, indices } = aside;
        let side_weight = side.weight();
        let side_room_now = match patience {
            Patience::None => Some(self.commit.side_room(side_weight)?),
            Patience::Endless => None,
        };
        let main = match submission.items.is_empty() {
            true => None,
            false => {
                let weight = submission.weight();
                Some(self.commit.enqueue(submission, weight, Lane::Main, Vec::new())?)
            }
        };
        let side_room = match side_room_now {
            Some(side_room) => side_room,
            None => self.commit.wait_for_side_room(side_weight).await?,
        };
        self.metrics.events_aside.inc_by(indices.len() as u64);
        let side = self.commit.enqueue(side, side_weight, Lane::Side, vec![room, side_room])?;
        let both = async move {
            let of_main = match main {
                Some(main) => main.await,
                None => Ok(Vec::new()),
            };
            let (of_main, of_side) = (of_main, side.await);
            Ok(merge(of_main?, of_side?, &indices))
        };
        Ok(both.boxed())
    }
}

/// Returns verdicts in the order of the items: those of the side lane stood at `indices`.
fn merge(of_main: Vec<Verdict>, of_side: Vec<Verdict>, indices: &[usize]) -> Vec<Verdict> {
    let mut verdicts = Vec::with_capacity(of_main.len() + of_side.len());
    let mut main = of_main.into_iter();
    for (verdict, index) in of_side.into_iter().zip(indices) {
        verdicts.extend(main.by_ref().take(index - verdicts.len()));
        verdicts.push(verdict);
    }
    verdicts.extend(main);
    verdicts
}

/// A share of a source.
pub(crate) type Source = Arc<crate::domain::source::SourceProfile>;

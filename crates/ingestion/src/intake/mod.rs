//! The way of every event into the log: prepared by its door, then committed with all that waits at that moment.

mod admission;
mod commit;
mod consenting;
mod lane;
mod lane_keeper;
mod submission;

use std::sync::Arc;

use eventlog::{EventLog, GroupCommit, GroupCommitOptions};
use kit::Clock;
use kit::shutdown::Shutdown;
use proto::ingestion::v1::Verdict;
use store::{Db, Error};

use self::commit::CommitHandler;
pub(crate) use self::lane_keeper::LaneKeeper;
pub(crate) use self::submission::{Arrived, DeadLetterIdSeed, Item, Submission};
use crate::metrics::IntakeMetrics;
use crate::seal::Sealer;

/// Weight of one transaction, in the units of [`Submission::weight`]: about 20 MiB of events.
const TRANSACTION_WEIGHT: usize = 20_000;

/// The one door to the log. Cloning shares it.
#[derive(Clone)]
pub(crate) struct Intake {
    commit: GroupCommit<Submission, Vec<Verdict>>,
}

/// What the intake is made of.
pub(crate) struct IntakeParts {
    pub(crate) db: Db,
    pub(crate) log: EventLog,
    pub(crate) clock: Clock,
    pub(crate) metrics: IntakeMetrics,
    /// How long a message id is remembered, in microseconds.
    pub(crate) dedupe_window_us: i64,
    /// Seals what waits for consent.
    pub(crate) sealer: Arc<Sealer>,
    /// How much may wait, in the units of [`Submission::weight`].
    pub(crate) queue_weight: usize,
}

impl Intake {
    pub(crate) fn spawn(parts: IntakeParts, shutdown: &Shutdown) -> Self {
        let options = GroupCommitOptions { queue_weight: parts.queue_weight, transaction_weight: TRANSACTION_WEIGHT };
        let handler = CommitHandler::new(parts.log, parts.clock, parts.metrics, parts.dedupe_window_us, parts.sealer);
        Self { commit: GroupCommit::spawn(parts.db, shutdown, options, handler) }
    }

    /// Commits a submission and returns one verdict per item. Refuses when too much waits.
    pub(crate) async fn submit(&self, submission: Submission) -> Result<Vec<Verdict>, Error> {
        let weight = submission.weight();
        self.commit.submit_weighed(submission, weight).await
    }

    /// Commits a submission and returns one verdict per item. Waits while too much waits.
    pub(crate) async fn submit_patiently(&self, submission: Submission) -> Result<Vec<Verdict>, Error> {
        let weight = submission.weight();
        self.commit.submit_patiently(submission, weight).await
    }
}

/// A share of a source.
pub(crate) type Source = Arc<crate::domain::source::SourceProfile>;

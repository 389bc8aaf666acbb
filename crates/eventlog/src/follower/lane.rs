//! A lane folds the records of its units, batch after batch.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use store::Error;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::incoming::{Chunk, Incoming};
use super::work::{self, Failure, Work};
use super::{Fold, FoldError, FoldFactory, Shared, Unit};
use crate::record::PartitionId;
use crate::store::cursors;

/// Pause after a failure; doubles with each in a row.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// What keeps the whole lane waiting, such as a publisher that restarts, is tried again soon.
const LONGEST_LANE_PAUSE: Duration = Duration::from_secs(5);
/// A unit that cannot be folded costs a transaction each time.
const LONGEST_UNIT_PAUSE: Duration = Duration::from_secs(30);
/// Longest rest after a batch that was not full.
const LONGEST_REST: Duration = Duration::from_millis(10);

/// What the supervisor tells a lane.
pub(crate) enum Command {
    /// Fold this unit, whose lease was taken at `epoch`; these are the partitions it has.
    Assign { unit: Unit, epoch: u64, partitions: BTreeSet<u32> },
    /// Stop folding this unit; answered when nothing more of it will be committed.
    Revoke { unit: Unit, done: oneshot::Sender<()> },
}

/// Runs a lane until `ending`, then finishes its batch.
pub(crate) struct Lane<F: FoldFactory> {
    pub(crate) shared: Arc<Shared>,
    pub(crate) factory: Arc<F>,
    pub(crate) commands: mpsc::UnboundedReceiver<Command>,
    /// Tells the supervisor of units whose lease was lost.
    pub(crate) lost: mpsc::UnboundedSender<Unit>,
    pub(crate) seats: BTreeMap<Unit, Seat<F::Fold>>,
    pub(crate) incoming: Option<Incoming>,
    /// Keeps the stream closed after a failure that is not one unit's.
    pub(crate) pause: Pause,
    /// Set after a batch that was not full, for as long as it took: while records trickle in, at most half of the time goes
    /// into transactions, and each serves more of them.
    pub(crate) rest: Option<Instant>,
}

/// One unit of a lane.
pub(crate) struct Seat<F> {
    epoch: u64,
    partitions: BTreeSet<u32>,
    /// None until it is opened, and again when memory may differ from the database.
    open: Option<OpenSeat<F>>,
    pause: Pause,
}

struct OpenSeat<F> {
    fold: F,
    cursors: BTreeMap<u32, u64>,
}

/// A growing pause after failures in a row; `until` is set only while it lasts.
#[derive(Default)]
pub(crate) struct Pause {
    failures: u32,
    until: Option<Instant>,
}

impl Pause {
    fn fail(&mut self, longest: Duration) {
        let pause = FIRST_PAUSE.saturating_mul(1 << self.failures.min(16)).min(longest);
        self.failures = self.failures.saturating_add(1);
        self.until = Some(Instant::now() + pause);
    }

    fn is_over(&self) -> bool {
        self.until.is_none_or(|until| until <= Instant::now())
    }
}

impl<F: FoldFactory> Lane<F> {
    pub(crate) async fn run(mut self, ending: CancellationToken) {
        loop {
            if self.incoming.is_none() && self.commands.is_empty() {
                self.open_stream().await;
            }
            let wake = self.next_wake();
            tokio::select! {
                biased;
                () = ending.cancelled() => return,
                command = self.commands.recv() => match command {
                    Some(command) => self.obey(command),
                    None => return,
                },
                () = sleep_until(wake) => self.incoming = None,
                () = sleep_until(self.rest) => self.rest = None,
                received = next(&mut self.incoming), if self.rest.is_none() => match received {
                    Some(Ok(chunk)) => self.fold_with(chunk).await,
                    Some(Err(interrupted)) => self.interrupted(&interrupted),
                    None => self.incoming = None,
                },
            }
        }
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::Assign { unit, epoch, partitions } => {
                let seat = self.seats.entry(unit).or_insert_with(|| Seat {
                    epoch,
                    partitions: BTreeSet::new(),
                    open: None,
                    pause: Pause::default(),
                });
                if seat.epoch != epoch {
                    seat.epoch = epoch;
                    seat.open = None;
                }
                seat.partitions.extend(partitions);
            }
            Command::Revoke { unit, done } => {
                self.remove(&unit);
                // The supervisor may have stopped waiting.
                let _ = done.send(());
            }
        }
        self.incoming = None;
    }

    fn remove(&mut self, unit: &Unit) {
        if let Some(seat) = self.seats.remove(unit) {
            let partitions: Vec<PartitionId> =
                seat.partitions.iter().map(|&partition| PartitionId::new(&unit.tenant, partition)).collect();
            self.shared.positions.forget(&partitions);
        }
    }

    /// Opens what is not open yet and follows from the cursors, unless it is time to pause.
    async fn open_stream(&mut self) {
        if !self.pause.is_over() {
            return;
        }
        self.pause.until = None;
        let mut cursors = Vec::new();
        for (unit, seat) in &mut self.seats {
            if !seat.pause.is_over() {
                continue;
            }
            seat.pause.until = None;
            if let Err(error) = seat.make_ready(&self.shared, self.factory.as_ref(), unit).await {
                self.shared.metrics.errors.inc();
                tracing::error!(error = error.cause() as &dyn std::error::Error, unit = %unit, "cannot open a unit");
                seat.pause.fail(LONGEST_UNIT_PAUSE);
                continue;
            }
            let open = seat.open.as_ref().expect("the seat was made ready");
            let at =
                |(&partition, &next_offset): (&u32, &u64)| (PartitionId::new(&unit.tenant, partition), next_offset);
            cursors.extend(open.cursors.iter().map(at));
        }
        if !cursors.is_empty() {
            self.shared.positions.set(cursors.iter().cloned());
            let options = &self.shared.options;
            self.incoming = Some(Incoming::open(&options.source, options.name, &cursors));
        }
    }

    /// Returns when a pause ends that keeps the lane or one of its units from being followed.
    fn next_wake(&self) -> Option<Instant> {
        // While the lane pauses, its units wait with it.
        self.pause.until.or_else(|| self.seats.values().filter_map(|seat| seat.pause.until).min())
    }

    fn interrupted(&mut self, interrupted: &(dyn std::error::Error + 'static)) {
        self.shared.metrics.errors.inc();
        tracing::warn!(
            error = interrupted,
            log.follower = self.shared.options.name,
            log.name = self.shared.options.log,
            "following is interrupted"
        );
        self.incoming = None;
        self.pause.fail(LONGEST_LANE_PAUSE);
    }

    /// Folds `chunk` with what else is there already, up to a full batch.
    async fn fold_with(&mut self, chunk: Chunk) {
        let mut gathered: BTreeMap<Unit, Work> = BTreeMap::new();
        let mut records = 0;
        let mut candidate = Some(chunk);
        while let Some(chunk) = candidate.take() {
            records += chunk.records.len();
            self.gather(&mut gathered, chunk);
            if records >= self.shared.options.batch {
                break;
            }
            match self.incoming.as_mut().and_then(Incoming::try_next) {
                Some(Ok(chunk)) => candidate = Some(chunk),
                Some(Err(interrupted)) => self.interrupted(&interrupted),
                None => {}
            }
        }

        // A unit that failed before is folded alone, so that it cannot undo the others' work again.
        let (suspect, sound): (BTreeMap<_, _>, BTreeMap<_, _>) =
            gathered.into_iter().partition(|(unit, _)| self.seats[unit].pause.failures > 0);
        if !sound.is_empty() && !self.fold(sound).await {
            return;
        }
        for (unit, work) in suspect {
            if !self.fold(BTreeMap::from([(unit, work)])).await {
                return;
            }
        }
    }

    fn gather(&self, gathered: &mut BTreeMap<Unit, Work>, chunk: Chunk) {
        let unit = self.shared.options.unit.of(&chunk.partition);
        let open = self.seats.get(&unit).and_then(|seat| seat.open.as_ref());
        let Some(&committed) = open.and_then(|open| open.cursors.get(&chunk.partition.partition)) else {
            return;
        };
        let work = gathered.entry(unit).or_default();
        let next_offset = work.cursors.get(&chunk.partition.partition).copied().unwrap_or(committed);
        work.add(chunk, next_offset);
    }

    /// Folds and commits one batch. Returns false when the stream has to be opened again.
    async fn fold(&mut self, batch: BTreeMap<Unit, Work>) -> bool {
        let began = Instant::now();
        let outcome = {
            let mut seats = Vec::new();
            for (unit, seat) in &mut self.seats {
                let (Some(work), Some(open)) = (batch.get(unit), seat.open.as_mut()) else {
                    continue;
                };
                seats.push(work::Seat { unit, epoch: seat.epoch, fold: &mut open.fold, work });
            }
            work::commit(&self.shared, &mut seats).await
        };
        match outcome {
            Ok(()) => {
                self.committed(&batch, began);
                true
            }
            Err(failure) => {
                self.failed(&batch, failure).await;
                self.incoming = None;
                false
            }
        }
    }

    fn committed(&mut self, batch: &BTreeMap<Unit, Work>, began: Instant) {
        self.pause = Pause::default();
        let mut records = 0;
        let mut newest_us = i64::MIN;
        let mut moved = Vec::new();
        for (unit, work) in batch {
            let Some(seat) = self.seats.get_mut(unit) else {
                continue;
            };
            let Some(open) = seat.open.as_mut() else {
                continue;
            };
            seat.pause = Pause::default();
            open.fold.committed();
            for (&partition, &next_offset) in &work.cursors {
                open.cursors.insert(partition, next_offset);
                moved.push((PartitionId::new(&unit.tenant, partition), next_offset));
            }
            records += work.records.len();
            newest_us = work.records.last().map_or(newest_us, |record| newest_us.max(record.append_time_us));
        }
        self.shared.positions.set(moved);
        if records < self.shared.options.batch {
            let now = Instant::now();
            self.rest = Some(now + now.duration_since(began).min(LONGEST_REST));
        }

        let metrics = &self.shared.metrics;
        metrics.records.inc_by(records as u64);
        metrics.batch_records.observe(records as f64);
        metrics.batch_seconds.observe(began.elapsed().as_secs_f64());
        if newest_us > i64::MIN {
            let age_us = (self.shared.options.clock.now_us() - newest_us).max(0);
            metrics.delay_seconds.set(age_us as f64 / 1_000_000.0);
        }
    }

    async fn failed(&mut self, batch: &BTreeMap<Unit, Work>, failure: Failure) {
        self.shared.metrics.errors.inc();
        let is_doubtful = matches!(failure, Failure::Doubtful(_));
        for unit in batch.keys() {
            let Some(seat) = self.seats.get_mut(unit) else {
                continue;
            };
            match &mut seat.open {
                // The commit may have happened: only the database knows, so memory is given up.
                open if is_doubtful => *open = None,
                Some(open) => open.fold.rolled_back(),
                None => {}
            }
        }
        match failure {
            Failure::Fold(unit, error) if !error.is_store_unavailable() => self.rest(&unit, &error),
            Failure::Fold(_, error) => self.interrupted(error.cause()),
            Failure::Store(error) | Failure::Doubtful(error) => self.interrupted(&error),
            Failure::Fenced => self.drop_lost_units().await,
        }
    }

    /// Lets a unit whose fold failed rest, while the others go on.
    fn rest(&mut self, unit: &Unit, error: &FoldError) {
        let Some(seat) = self.seats.get_mut(unit) else {
            return;
        };
        seat.pause.fail(LONGEST_UNIT_PAUSE);
        tracing::error!(
            error = error.cause() as &dyn std::error::Error,
            log.follower = self.shared.options.name,
            log.name = self.shared.options.log,
            unit = %unit,
            failures = seat.pause.failures,
            "folding failed; the batch comes again"
        );
    }

    /// Lets go of the units that are no longer ours.
    async fn drop_lost_units(&mut self) {
        let leases = match self.shared.scope.list(&self.shared.options.db).await {
            Ok(leases) => leases,
            Err(error) => return self.interrupted(&error),
        };
        let is_ours = |unit: &Unit, epoch: u64| {
            leases
                .iter()
                .any(|lease| lease.unit == *unit && lease.epoch == epoch && lease.owner == self.shared.scope.owner)
        };
        let lost: Vec<Unit> =
            self.seats.iter().filter(|(unit, seat)| !is_ours(unit, seat.epoch)).map(|(unit, _)| unit.clone()).collect();
        for unit in lost {
            tracing::warn!(log.follower = self.shared.options.name, unit = %unit, "another replica has taken over");
            self.remove(&unit);
            // The supervisor is gone only when everything ends.
            let _ = self.lost.send(unit);
        }
    }
}

impl<F: Fold> Seat<F> {
    /// Opens the fold and reads the cursors, as far as that has not been done.
    async fn make_ready<Factory: FoldFactory<Fold = F>>(
        &mut self,
        shared: &Shared,
        factory: &Factory,
        unit: &Unit,
    ) -> Result<(), FoldError> {
        if self.open.is_none() {
            self.open = Some(OpenSeat { fold: factory.open(unit).await?, cursors: BTreeMap::new() });
        }
        let open = self.open.as_mut().expect("it was opened above");
        if self.partitions.iter().all(|partition| open.cursors.contains_key(partition)) {
            return Ok(());
        }
        let stored = stored_cursors(shared, unit).await?;
        for &partition in &self.partitions {
            let next_offset = stored.get(&partition).copied().unwrap_or(0);
            open.cursors.entry(partition).or_insert(next_offset);
        }
        Ok(())
    }
}

async fn stored_cursors(shared: &Shared, unit: &Unit) -> Result<BTreeMap<u32, u64>, Error> {
    let (follower, log) = (&shared.scope.follower, &shared.scope.log);
    let stored = cursors::of_tenant(&shared.options.db, follower, log, &unit.tenant).await?;
    Ok(stored.into_iter().map(|(partition, next_offset)| (partition.partition, next_offset)).collect())
}

async fn next(incoming: &mut Option<Incoming>) -> Option<Result<Chunk, super::incoming::Interrupted>> {
    match incoming {
        Some(incoming) => incoming.next().await,
        None => std::future::pending().await,
    }
}

async fn sleep_until(wake: Option<Instant>) {
    match wake {
        Some(wake) => tokio::time::sleep_until(wake).await,
        None => std::future::pending().await,
    }
}

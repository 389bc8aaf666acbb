//! Finds the units there are, shares them with other replicas, hands them to lanes and reports progress.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use kit::server::ReadyHandle;
use proto::log::v1::log_service_client::LogServiceClient;
use proto::log::v1::{Cursor, ListPartitionsRequest, ReportProgressRequest};
use store::Error;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::lane::{Command, Lane, Pause};
use super::leasing::{self, Plan};
use super::{FoldFactory, Shared, Unit};
use crate::record::PartitionId;

/// How often leases are looked at, and partitions while there are few.
const ROUND: Duration = Duration::from_millis(250);
/// A thousand partitions are listed once in this time at most, more of them less often.
const DISCOVERY_PER_THOUSAND: Duration = Duration::from_millis(500);
const SLOWEST_DISCOVERY: Duration = Duration::from_secs(10);
/// How often progress is reported, when there is any.
const REPORT_PERIOD: Duration = Duration::from_secs(1);
/// Cursors in one report.
const REPORT_CURSORS: usize = 5_000;

/// Why a follower ended before its time; it takes the process down.
#[derive(Debug, thiserror::Error)]
#[error("a lane of the follower ended")]
pub struct LaneEnded;

struct Supervisor {
    shared: Arc<Shared>,
    lanes: Vec<mpsc::UnboundedSender<Command>>,
    lost: mpsc::UnboundedReceiver<Unit>,
    held: BTreeMap<Unit, Held>,
    /// What the publisher has, by unit.
    known: BTreeMap<Unit, BTreeSet<u32>>,
    discovery_due: Instant,
    report_due: Instant,
    is_troubled: bool,
}

struct Held {
    epoch: u64,
    assigned: BTreeSet<u32>,
}

pub(crate) async fn run<F: FoldFactory>(
    shared: Arc<Shared>,
    factory: Arc<F>,
    ready: ReadyHandle,
    ending: CancellationToken,
) -> Result<(), LaneEnded> {
    // Dropped with this future, also when it is aborted: then the lanes end with it.
    let mut tasks = JoinSet::new();
    let (lost_sender, lost) = mpsc::unbounded_channel();
    let mut lanes = Vec::new();
    for _ in 0..shared.options.lanes.max(1) {
        let (commands, obeyed) = mpsc::unbounded_channel();
        let lane = Lane {
            shared: Arc::clone(&shared),
            factory: Arc::clone(&factory),
            commands: obeyed,
            lost: lost_sender.clone(),
            seats: BTreeMap::new(),
            incoming: None,
            pause: Pause::default(),
            rest: None,
        };
        tasks.spawn(lane.run(ending.clone()));
        lanes.push(commands);
    }
    // The first sign of life comes before the first round, which would only wait for it.
    let pause = tokio::select! {
        pause = renew(&shared) => pause,
        () = ending.cancelled() => return Ok(()),
    };
    let mut living = JoinSet::new();
    living.spawn(stay_alive(Arc::clone(&shared), pause));

    let now = Instant::now();
    let mut supervisor = Supervisor {
        shared,
        lanes,
        lost,
        held: BTreeMap::new(),
        known: BTreeMap::new(),
        discovery_due: now,
        report_due: now,
        is_troubled: false,
    };
    loop {
        tokio::select! {
            biased;
            () = ending.cancelled() => break,
            ended = tasks.join_next() => return lane_ended(ended),
            () = supervisor.round(&ready) => {}
        }
        tokio::select! {
            biased;
            () = ending.cancelled() => break,
            ended = tasks.join_next() => return lane_ended(ended),
            () = tokio::time::sleep(ROUND) => {}
        }
    }

    while let Some(ended) = tasks.join_next().await {
        if let Err(error) = ended {
            tracing::warn!(error = &error as &dyn std::error::Error, "a lane failed while stopping");
        }
    }
    // No sign of life may follow the farewell.
    living.shutdown().await;
    supervisor.leave().await;
    Ok(())
}

/// A lane only ends before shutdown by a panic, which goes on here so that it takes the process down.
fn lane_ended(ended: Option<Result<(), tokio::task::JoinError>>) -> Result<(), LaneEnded> {
    match ended {
        Some(Err(error)) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        // Shutdown reached the lane first.
        _ => Ok(()),
    }
}

/// Renews this replica's membership. It has a task of its own because nothing may delay it.
async fn stay_alive(shared: Arc<Shared>, mut pause: Duration) {
    loop {
        tokio::time::sleep(pause).await;
        pause = renew(&shared).await;
    }
}

/// Gives a sign of life; returns when the next one is due.
async fn renew(shared: &Shared) -> Duration {
    let lease_us = i64::try_from(shared.options.lease.as_micros()).unwrap_or(i64::MAX / 4);
    let now_us = system_now_us();
    match shared.scope.renew(&shared.options.db, now_us, now_us + lease_us).await {
        Ok(()) => shared.options.lease / 3,
        Err(error) => {
            tracing::warn!(error = &error as &dyn std::error::Error, "cannot renew the leases");
            ROUND
        }
    }
}

/// Leases are about the real world: the injected clock may be virtual.
fn system_now_us() -> i64 {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since_epoch.as_micros()).unwrap_or(i64::MAX)
}

impl Supervisor {
    async fn round(&mut self, ready: &ReadyHandle) {
        match self.try_round().await {
            Ok(()) => {
                ready.set(true);
                self.is_troubled = false;
            }
            Err(error) if !std::mem::replace(&mut self.is_troubled, true) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    log.follower = self.shared.options.name,
                    log.name = self.shared.options.log,
                    "cannot share out the work; trying again"
                );
            }
            Err(_) => {}
        }
        if Instant::now() >= self.report_due {
            self.report_due = Instant::now() + REPORT_PERIOD;
            self.report().await;
        }
    }

    async fn try_round(&mut self) -> Result<(), Error> {
        while let Ok(unit) = self.lost.try_recv() {
            self.held.remove(&unit);
        }
        // Leases are looked at even while the publisher is away.
        let discovered = if Instant::now() >= self.discovery_due { self.discover().await } else { Ok(()) };

        let shared = Arc::clone(&self.shared);
        let (db, scope) = (&shared.options.db, &shared.scope);
        let now_us = system_now_us();
        let leases = scope.list(db).await?;
        let living = scope.living(db, now_us).await?;
        if !living.contains(&scope.owner) {
            // Not yet a member, or taken for dead: the renewal comes first.
            return discovered;
        }
        let is_ours = |unit: &Unit, held: &Held| {
            let mut leases = leases.iter();
            leases.any(|lease| lease.unit == *unit && lease.owner == scope.owner && lease.epoch == held.epoch)
        };
        let stolen: Vec<Unit> =
            self.held.iter().filter(|(unit, held)| !is_ours(unit, held)).map(|(unit, _)| unit.clone()).collect();
        for unit in stolen {
            self.revoke(&unit).await;
        }

        let units: BTreeSet<Unit> = self.known.keys().cloned().collect();
        let Plan { take, give_up } = leasing::plan(&scope.owner, &units, &leases, &living);
        if !take.is_empty() {
            for lease in scope.take(db, &take, now_us).await? {
                self.held.insert(lease.unit, Held { epoch: lease.epoch, assigned: BTreeSet::new() });
            }
        }
        for unit in give_up {
            self.give_up(&unit).await?;
        }
        self.assign();
        self.shared.metrics.units.set(self.held.len() as i64);
        discovered
    }

    /// Asks the publisher which partitions there are.
    async fn discover(&mut self) -> Result<(), Error> {
        let mut client = self.client();
        let response = client.list_partitions(ListPartitionsRequest {}).await;
        let ends = response.map_err(|status| Error::Unavailable(Arc::new(status)))?.into_inner().ends;
        let pause = DISCOVERY_PER_THOUSAND.mul_f64(ends.len() as f64 / 1_000.0);
        self.discovery_due = Instant::now() + pause.clamp(ROUND / 2, SLOWEST_DISCOVERY);

        let mut known: BTreeMap<Unit, BTreeSet<u32>> = BTreeMap::new();
        for end in ends {
            let partition =
                PartitionId::from_wire(end.partition.as_ref()).map_err(|error| Error::Fatal(Arc::new(error)))?;
            known.entry(self.shared.options.unit.of(&partition)).or_default().insert(partition.partition);
        }
        self.known = known;
        Ok(())
    }

    /// Tells lanes of the units, and partitions of units, that they do not fold yet.
    fn assign(&mut self) {
        for (unit, held) in &mut self.held {
            let Some(partitions) = self.known.get(unit) else {
                continue;
            };
            if partitions.is_subset(&held.assigned) {
                continue;
            }
            held.assigned.clone_from(partitions);
            let (unit, partitions) = (unit.clone(), partitions.clone());
            let lane = lane_of(&unit, self.lanes.len());
            // A lane that has ended takes the follower with it.
            let _ = self.lanes[lane].send(Command::Assign { unit, epoch: held.epoch, partitions });
        }
    }

    /// Lets another replica have `unit`.
    async fn give_up(&mut self, unit: &Unit) -> Result<(), Error> {
        self.revoke(unit).await;
        self.shared.scope.release(&self.shared.options.db, unit).await
    }

    /// Has `unit` no longer folded here; returns when nothing more of it will be committed.
    async fn revoke(&mut self, unit: &Unit) {
        if self.held.remove(unit).is_some() {
            let (done, is_done) = oneshot::channel();
            let lane = lane_of(unit, self.lanes.len());
            // A lane that has ended takes the follower with it.
            let _ = self.lanes[lane].send(Command::Revoke { unit: unit.clone(), done });
            let _ = is_done.await;
        }
    }

    /// Reports the cursors that moved; what cannot be reported now is reported later.
    async fn report(&self) {
        let moved = self.shared.positions.take_unreported();
        for cursors in moved.chunks(REPORT_CURSORS) {
            let cursor = |(partition, next_offset): &(PartitionId, u64)| Cursor {
                partition: Some(partition.to_wire()),
                next_offset: *next_offset,
            };
            let request = ReportProgressRequest {
                follower: self.shared.options.name.to_owned(),
                cursors: cursors.iter().map(cursor).collect(),
            };
            if let Err(status) = self.client().report_progress(request).await {
                tracing::debug!(error = &status as &dyn std::error::Error, "cannot report progress");
                self.shared.positions.put_back(cursors);
            }
        }
    }

    /// Gives everything up, so that other replicas take over at once.
    async fn leave(&self) {
        if let Err(error) = self.shared.scope.leave(&self.shared.options.db).await {
            // The leases run out by themselves.
            tracing::warn!(error = &error as &dyn std::error::Error, "cannot give the leases up");
        }
    }

    fn client(&self) -> LogServiceClient<kit::channel::Channel> {
        LogServiceClient::new(self.shared.options.source.clone()).max_decoding_message_size(kit::MAX_MESSAGE_BYTES)
    }
}

fn lane_of(unit: &Unit, lanes: usize) -> usize {
    crc32fast::hash(unit.to_string().as_bytes()) as usize % lanes
}

//! A publisher, and followers that write down what they have seen.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use eventlog::{
    EventLog, Fold, FoldError, FoldFactory, Follower, FollowerHandle, FollowerOptions, LogOptions, LogRecord, Record,
    Unit, UnitKind,
};
use kit::auth::Authority;
use kit::channel::{Channel, ChannelOptions, Credential};
use kit::metrics::Metrics;
use kit::server::{Readiness, Services};
use kit::{Clock, TenantId};
use proto::log::v1::log_service_client::LogServiceClient;
use proto::log::v1::log_service_server::LogServiceServer;
use sqlx::QueryBuilder;
use store::testing::TestDb;
use store::{Db, Tx};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

static SEEN: store::Migrations = store::Migrations {
    name: "seen",
    sqlite: sqlx::migrate!("tests/suite/migrations/sqlite"),
    postgres: sqlx::migrate!("tests/suite/migrations/postgres"),
};

/// Long enough for a busy machine; nothing waits this long when all is well.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) async fn databases() -> Vec<TestDb> {
    store::testing::databases(&[&eventlog::MIGRATIONS, &SEEN]).await
}

pub(crate) fn tenant(name: &str) -> TenantId {
    name.try_into().expect("a tenant id")
}

pub(crate) fn record(key: &str, payload: impl Into<Bytes>) -> Record {
    Record { key: Bytes::from(key.to_owned()), payload: payload.into(), event_time_us: 1, traceparent: None }
}

/// `count` records with keys and payloads of their own.
pub(crate) fn records(prefix: &str, count: usize) -> Vec<Record> {
    (0..count).map(|index| record(&format!("{prefix}{index}"), format!("payload {prefix} {index}"))).collect()
}

pub(crate) fn log(db: &Db) -> EventLog {
    EventLog::new(db.clone(), "events", LogOptions::default(), Clock::system(), &Metrics::new())
}

pub(crate) async fn append(log: &EventLog, db: &Db, tenant: &TenantId, records: Vec<Record>) -> Vec<(u32, u64)> {
    let mut tx = db.begin().await.expect("a transaction begins");
    let places = log.append(&mut tx, tenant, records).await.expect("records are appended");
    tx.commit().await.expect("a transaction commits");
    places
}

/// Serves `log` in this process, as a service does.
pub(crate) fn serve(log: &EventLog) -> Channel {
    let authority = Authority::new(b"a secret of at least thirty-two bytes");
    let server = LogServiceServer::new(log.service(&kit::shutdown::Shutdown::new()))
        .max_decoding_message_size(kit::MAX_MESSAGE_BYTES);
    let routes = Services::new("publisher", authority.clone(), Metrics::new(), Readiness::new()).add(server).build();
    kit::channel::local(routes, ChannelOptions::new(Credential::service(&authority, "follower")))
}

pub(crate) fn client(source: &Channel) -> LogServiceClient<Channel> {
    LogServiceClient::new(source.clone()).max_decoding_message_size(kit::MAX_MESSAGE_BYTES)
}

/// Writes down every record it sees; can be told to fail, or to hang before the commit.
#[derive(Clone, Default)]
pub(crate) struct Witness {
    /// Fails when it meets this payload, while set.
    pub(crate) poison: Option<&'static [u8]>,
    pub(crate) is_healed: Arc<AtomicBool>,
    /// Does not come back from `apply`, after having written, while set.
    pub(crate) hangs: Arc<AtomicBool>,
    pub(crate) batches: Arc<AtomicUsize>,
    pub(crate) rollbacks: Arc<AtomicUsize>,
    pub(crate) commits: Arc<AtomicUsize>,
}

impl FoldFactory for Witness {
    type Fold = Self;

    async fn open(&self, _unit: &Unit) -> Result<Self, FoldError> {
        Ok(self.clone())
    }
}

impl Fold for Witness {
    async fn apply(&mut self, tx: &mut Tx, records: &[LogRecord]) -> Result<(), FoldError> {
        for chunk in store::chunks(records, 4) {
            store::within!(tx, conn => {
                let mut query = QueryBuilder::new("INSERT INTO seen (tenant_id, partition, record_offset, payload) ");
                query.push_values(chunk, |mut row, seen| {
                    row.push_bind(seen.tenant.to_string())
                        .push_bind(i64::from(seen.partition))
                        .push_bind(seen.offset as i64)
                        .push_bind(seen.record.payload.to_vec());
                });
                query.build().execute(&mut *conn).await.map(|_| ())
            })?;
        }
        self.batches.fetch_add(1, Ordering::SeqCst);
        while self.hangs.load(Ordering::SeqCst) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let is_poisoned = records.iter().any(|seen| Some(seen.record.payload.as_ref()) == self.poison);
        if is_poisoned && !self.is_healed.load(Ordering::SeqCst) {
            return Err("poisoned".into());
        }
        Ok(())
    }

    fn committed(&mut self) {
        self.commits.fetch_add(1, Ordering::SeqCst);
    }

    fn rolled_back(&mut self) {
        self.rollbacks.fetch_add(1, Ordering::SeqCst);
    }
}

/// A running follower.
pub(crate) struct Replica {
    pub(crate) handle: FollowerHandle,
    pub(crate) metrics: Metrics,
    ending: CancellationToken,
    task: JoinHandle<()>,
}

pub(crate) fn options(db: &Db, source: &Channel, unit: UnitKind) -> FollowerOptions {
    let options = FollowerOptions::new("witness", "events", unit, db.clone(), source.clone(), Clock::system());
    FollowerOptions { lease: Duration::from_millis(900), ..options }
}

impl Replica {
    pub(crate) fn start(options: FollowerOptions, witness: &Witness) -> Self {
        let (ending, metrics) = (CancellationToken::new(), Metrics::new());
        let follower = Follower::new(options, witness.clone());
        let (handle, task) = follower.into_task(&Readiness::new(), &metrics, ending.clone());
        let task = tokio::spawn(async move { task.await.expect("a follower runs until it is ended") });
        Self { handle, metrics, ending, task }
    }

    /// Ends it as a shutdown does.
    pub(crate) async fn stop(self) {
        self.ending.cancel();
        tokio::time::timeout(PATIENCE, self.task).await.expect("it stops in time").expect("it stops well");
    }

    /// Ends it as a crash does.
    pub(crate) async fn crash(self) {
        self.task.abort();
        assert!(self.task.await.is_err_and(|error| error.is_cancelled()));
    }

    pub(crate) async fn caught_up(&self, log: &EventLog) {
        let ends = log.ends().await.expect("the ends can be read");
        tokio::time::timeout(PATIENCE, self.handle.reached(&ends)).await.expect("the follower catches up");
    }
}

/// Everything folded so far, in order: (tenant, partition, offset, payload).
pub(crate) async fn seen(db: &Db) -> Vec<(String, i64, i64, Vec<u8>)> {
    const SEEN: &str = "
        SELECT tenant_id, partition, record_offset, payload
          FROM seen
         ORDER BY tenant_id, partition, record_offset";
    store::on!(db, pool => sqlx::query_as(SEEN).fetch_all(pool).await).expect("what was seen can be read")
}

/// Everything that the log holds, in the same form.
pub(crate) async fn published(log: &EventLog) -> Vec<(String, i64, i64, Vec<u8>)> {
    let mut published = Vec::new();
    for (partition, _) in log.ends().await.expect("the ends can be read") {
        let records = log.read(&partition.tenant, partition.partition, 0, usize::MAX).await.expect("it can be read");
        for found in records {
            let payload = found.record.payload.to_vec();
            published.push((found.tenant.to_string(), i64::from(found.partition), found.offset as i64, payload));
        }
    }
    published
}

/// Waits until `condition` holds, looking often.
pub(crate) async fn eventually<F: Future<Output = bool>>(what: &str, mut condition: impl FnMut() -> F) {
    let looking = async {
        while !condition().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, looking).await.unwrap_or_else(|_| panic!("{what} did not happen"));
}

//! The service as a whole: built, mounted, started.

use ::store::{Cache, Db, OpenOptions};
use eventlog::{EventLog, Follower, FollowerHandle, FollowerOptions, LogOptions, RetentionConfig, UnitKind};
use kit::auth::Authority;
use kit::binary::{Process, Service};
use kit::channel::{self, Channel, ChannelOptions, Credential};
use kit::metrics::Metrics;
use kit::server::{Readiness, Services};
use kit::shutdown::Shutdown;
use kit::{Clock, Error, MAX_MESSAGE_BYTES};
use proto::log::v1::log_service_server::LogServiceServer;
use proto::scoring::v1::scoring_service_server::ScoringServiceServer;
use proto::scoring::v1::segment_service_server::SegmentServiceServer;
use tonic::service::Routes;

use crate::engine::{Engine, keeper};
use crate::follower::{LOG, NAME, ProfileFolds};
use crate::grpc::{ScoringRpc, SegmentRpc};
use crate::{Config, MIGRATIONS};

/// What the service needs from outside.
pub struct Deps {
    /// Its own database, in which [`MIGRATIONS`] and those of the log have been applied.
    pub db: Db,
    /// The injected clock.
    pub clock: Clock,
    /// Verifies callers.
    pub authority: Authority,
    /// Metrics of the process.
    pub metrics: Metrics,
    /// Where background tasks run.
    pub shutdown: Shutdown,
    /// Where the service says that it is ready.
    pub readiness: Readiness,
    /// What may be lost. Scoring keeps nothing there.
    pub cache: Cache,
    /// Leads to identity, whose profile log is followed, and which knows who a merged profile has become.
    pub identity: Channel,
}

/// The scoring service.
pub struct Scoring {
    engine: Engine,
    deps: Deps,
    batch_records: usize,
    retention: RetentionConfig,
}

impl Scoring {
    /// Name of the log that it publishes.
    pub const LOG: &'static str = "scores";

    /// Builds the service without starting anything. Refuses a database whose migrations are not applied.
    pub async fn build(config: &Config, deps: Deps) -> Result<Self, Error> {
        deps.db.require_current(&[&MIGRATIONS, &eventlog::MIGRATIONS]).await?;
        let log_options = LogOptions { partitions: config.scoring.partitions, ..LogOptions::default() };
        let scores = EventLog::new(deps.db.clone(), Self::LOG, log_options, deps.clock.clone(), &deps.metrics);
        let engine = Engine::new(deps.db.clone(), deps.clock.clone(), scores, config.scoring.people_in_memory);
        let retention = config.retention.clone();
        Ok(Self { engine, deps, batch_records: config.scoring.batch_records, retention })
    }

    /// Returns what it serves. Must be called inside a Tokio runtime.
    pub fn routes(&self) -> Routes {
        let Deps { authority, metrics, readiness, shutdown, identity, .. } = &self.deps;
        let scoring = ScoringServiceServer::new(ScoringRpc { engine: self.engine.clone(), identity: identity.clone() });
        let segments = SegmentServiceServer::new(SegmentRpc { engine: self.engine.clone() });
        let log = LogServiceServer::new(self.engine.scores.service(shutdown));
        Services::new("scoring", authority.clone(), metrics.clone(), readiness.clone())
            .add(scoring.max_decoding_message_size(MAX_MESSAGE_BYTES))
            .add(segments.max_decoding_message_size(MAX_MESSAGE_BYTES))
            .add(log.max_decoding_message_size(MAX_MESSAGE_BYTES))
            .build()
    }

    /// Returns the score log.
    pub fn log(&self) -> &EventLog {
        &self.engine.scores
    }

    /// Starts following and keeping; returns how far the follower has come.
    pub fn start(&self) -> FollowerHandle {
        let Deps { db, clock, metrics, shutdown, readiness, identity, .. } = &self.deps;
        keeper::spawn(&self.engine, shutdown);
        self.engine.scores.keep_within(&self.retention, shutdown);
        let mut options =
            FollowerOptions::new(NAME, LOG, UnitKind::Partition, db.clone(), identity.clone(), clock.clone());
        options.batch = self.batch_records;
        let folds = ProfileFolds { engine: self.engine.clone() };
        Follower::new(options, folds).spawn(shutdown, readiness, metrics)
    }
}

impl Service for Scoring {
    const NAME: &'static str = "scoring";

    type Config = Config;

    async fn migrate(config: &Config) -> Result<(), Error> {
        let db = open(config).await?;
        for migrations in [&MIGRATIONS, &eventlog::MIGRATIONS] {
            db.migrate(migrations).await?;
        }
        db.close().await;
        Ok(())
    }

    async fn open(config: &Config, process: Process) -> Result<Self, Error> {
        let Process { clock, authority, metrics, shutdown, readiness } = process;
        let options = ChannelOptions::new(Credential::service(&authority, Self::NAME)).target("identity");
        let identity = channel::remote(&config.gateway.url, options)?;
        let deps = Deps {
            db: open(config).await?,
            cache: Cache::open(config.store.cache_url.expose()).await?,
            clock,
            authority,
            metrics,
            shutdown,
            readiness,
            identity,
        };
        Self::build(config, deps).await
    }

    fn routes(&self) -> Routes {
        self.routes()
    }

    fn start(&self) {
        // The handle is for tests and tools that wait.
        let _ = self.start();
    }
}

async fn open(config: &Config) -> Result<Db, Error> {
    let options = OpenOptions { max_connections: config.store.max_connections, ..OpenOptions::default() };
    Ok(Db::open(config.store.url.expose(), options).await?)
}

//! The service put together.

use std::sync::Arc;

use eventlog::{EventLog, Follower, FollowerOptions, LogOptions, RetentionConfig, UnitKind};
use kit::{
    Clock, Error, MAX_MESSAGE_BYTES,
    auth::Authority,
    binary::{Process, Service, ServiceConfig},
    channel::{self, Channel, ChannelOptions, Credential},
    metrics::Metrics,
    server::{Readiness, Services},
    shutdown::Shutdown,
};
use proto::identity::v1::identity_service_server::IdentityServiceServer;
use proto::log::v1::log_service_server::LogServiceServer;
use store::{Cache, Db, OpenOptions};
use tonic::service::Routes;

use crate::{
    Config, FOLLOWED_LOG, FOLLOWER, MIGRATIONS, PUBLISHED_LOG, follower::Registries, grpc::IdentityRpc,
    registry::Shared,
};

/// What identity needs from whoever runs it.
pub struct Deps {
    /// Its own database, migrated.
    pub db: Db,
    /// The time.
    pub clock: Clock,
    /// Verifies callers.
    pub authority: Authority,
    /// Metrics of the process.
    pub metrics: Metrics,
    /// Where background tasks run.
    pub shutdown: Shutdown,
    /// Where it says that it is ready.
    pub readiness: Readiness,
    /// Losable state. Identity has none; it is here so that every service is built alike.
    pub cache: Cache,
    /// The `LogService` of ingestion.
    pub ingestion: Channel,
}

/// The identity service.
pub struct Identity {
    shared: Shared,
    batch: usize,
    retention: RetentionConfig,
    authority: Authority,
    metrics: Metrics,
    shutdown: Shutdown,
    readiness: Readiness,
    ingestion: Channel,
}

impl Identity {
    /// Builds the service; nothing runs until [`start`](Self::start). Refuses a database whose migrations are not applied.
    pub async fn build(config: &Config, deps: Deps) -> Result<Self, Error> {
        let mut violations = kit::Violations::new();
        config.validate(&mut violations);
        violations.finish()?;
        deps.db.require_current(&[&MIGRATIONS, &eventlog::MIGRATIONS]).await?;

        let options = LogOptions { partitions: config.log.partitions, ..LogOptions::default() };
        let log = EventLog::new(deps.db.clone(), PUBLISHED_LOG, options, deps.clock.clone(), &deps.metrics);
        let shared = Shared {
            db: deps.db,
            log,
            clock: deps.clock,
            rules: Arc::new(config.rules.clone()),
            cached_components: config.follower.cached_components,
        };
        Ok(Self {
            shared,
            batch: config.follower.batch,
            retention: config.retention.clone(),
            authority: deps.authority,
            metrics: deps.metrics,
            shutdown: deps.shutdown,
            readiness: deps.readiness,
            ingestion: deps.ingestion,
        })
    }

    /// Returns what it serves: `IdentityService`, and the `LogService` of the profile log.
    pub fn routes(&self) -> Routes {
        let identity = IdentityServiceServer::new(IdentityRpc { shared: self.shared.clone() })
            .max_decoding_message_size(MAX_MESSAGE_BYTES);
        let log =
            LogServiceServer::new(self.shared.log.service(&self.shutdown)).max_decoding_message_size(MAX_MESSAGE_BYTES);
        Services::new(FOLLOWER, self.authority.clone(), self.metrics.clone(), self.readiness.clone())
            .add(identity)
            .add(log)
            .build()
    }

    /// Begins to follow the event log, and to keep its own within bounds.
    pub fn start(&self) {
        self.shared.log.keep_within(&self.retention, &self.shutdown);
        let mut options = FollowerOptions::new(
            FOLLOWER,
            FOLLOWED_LOG,
            UnitKind::Tenant,
            self.shared.db.clone(),
            self.ingestion.clone(),
            self.shared.clock.clone(),
        );
        options.batch = self.batch;
        let follower = Follower::new(options, Registries { shared: self.shared.clone() });
        follower.spawn(&self.shutdown, &self.readiness, &self.metrics);
    }
}

impl Service for Identity {
    const NAME: &'static str = "identity";

    type Config = Config;

    async fn migrate(config: &Config) -> Result<(), Error> {
        let db = open(config).await?;
        db.migrate(&eventlog::MIGRATIONS).await?;
        db.migrate(&MIGRATIONS).await?;
        db.close().await;
        Ok(())
    }

    async fn open(config: &Config, process: Process) -> Result<Self, Error> {
        let db = open(config).await?;
        let cache = Cache::open(config.store.cache_url.expose()).await?;
        let credential = Credential::service(&process.authority, Self::NAME);
        let ingestion = channel::remote(&config.gateway.url, ChannelOptions::new(credential).target("ingestion"))?;
        let deps = Deps {
            db,
            clock: process.clock,
            authority: process.authority,
            metrics: process.metrics,
            shutdown: process.shutdown,
            readiness: process.readiness,
            cache,
            ingestion,
        };
        Self::build(config, deps).await
    }

    fn routes(&self) -> Routes {
        Identity::routes(self)
    }

    fn start(&self) {
        Identity::start(self);
    }
}

async fn open(config: &Config) -> Result<Db, Error> {
    let options = OpenOptions { max_connections: config.store.max_connections, ..OpenOptions::default() };
    Ok(Db::open(config.store.url.expose(), options).await?)
}

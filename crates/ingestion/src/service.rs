//! Putting the service together.

use std::sync::{Arc, Mutex, PoisonError};

use eventlog::{EventLog, LogOptions};
use kit::auth::Authority;
use kit::binary::Process;
use kit::metrics::Metrics;
use kit::server::{Readiness, ReadyHandle, Services};
use kit::shutdown::Shutdown;
use kit::{Clock, Error};
use proto::ingestion::v1::consent_service_server::ConsentServiceServer;
use proto::ingestion::v1::dead_letter_service_server::DeadLetterServiceServer;
use proto::ingestion::v1::ingestion_service_server::IngestionServiceServer;
use proto::ingestion::v1::source_service_server::SourceServiceServer;
use proto::log::v1::log_service_server::LogServiceServer;
use store::{Db, OpenOptions};
use tonic::service::Routes;

use crate::MIGRATIONS;
use crate::app::App;
use crate::config::Config;
use crate::directory::Directory;
use crate::domain::edge::Enricher;
use crate::geo_file::GeoFile;
use crate::grpc::Rpc;
use crate::intake::{Intake, IntakeParts, LaneKeeper};
use crate::metrics::IntakeMetrics;
use crate::seal::Sealer;
use crate::upkeep;

/// Name of the log that this service publishes.
pub const LOG: &str = "events";

/// What ingestion needs from its process. It calls no other service.
pub struct Deps {
    /// Its database, with [`MIGRATIONS`] and [`eventlog::MIGRATIONS`] applied.
    pub db: Db,
    /// The time.
    pub clock: Clock,
    /// Verifies the tokens of callers.
    pub authority: Authority,
    /// Metrics of the process.
    pub metrics: Metrics,
    /// Where background tasks run.
    pub shutdown: Shutdown,
    /// Where it says that it is ready.
    pub readiness: Readiness,
}

/// The ingestion service, built.
pub struct Ingestion {
    routes: Routes,
    app: Arc<App>,
    shutdown: Shutdown,
    dedupe_window_us: i64,
    geo_file: Option<Arc<GeoFile>>,
    /// Handed to the readiness task once.
    ready: Mutex<Option<ReadyHandle>>,
}

impl Ingestion {
    /// Builds the service. The task that commits events starts at once, the rest with [`start`](Self::start).
    ///
    /// Makes the source that `[bootstrap]` names. Must be called inside a Tokio runtime.
    pub async fn build(config: &Config, deps: Deps) -> Result<Self, Error> {
        let Deps { db, clock, authority, metrics, shutdown, readiness } = deps;
        let ready = readiness.register("ingestion");
        let counted = IntakeMetrics::new(&metrics);
        let options = LogOptions { partitions: config.collect.partitions, ..LogOptions::default() };
        let log = EventLog::new(db.clone(), LOG, options, clock.clone(), &metrics);
        let dedupe_window_us = config.collect.dedupe_window_us();
        let sealer = Arc::new(Sealer::new(config.consent.seal_secret.expose()));
        let enricher = Arc::new(Enricher::default());
        let geo_file = GeoFile::open(&config.enrich, &enricher).await?;
        let lane_keeper = LaneKeeper {
            db: db.clone(),
            log: log.clone(),
            clock: clock.clone(),
            sealer: Arc::clone(&sealer),
            metrics: counted.clone(),
        };
        let parts = IntakeParts {
            db: db.clone(),
            log: log.clone(),
            clock: clock.clone(),
            metrics: counted.clone(),
            dedupe_window_us,
            sealer: Arc::clone(&sealer),
            queue_weight: config.collect.queue_kib as usize,
        };
        let app = Arc::new(App {
            directory: Directory::new(db.clone(), config.collect.source_cache_ttl(), enricher),
            intake: Intake::spawn(parts, &shutdown),
            metrics: counted,
            clock,
            db,
            sealer,
            lane_keeper,
        });
        app.bootstrap(&config.bootstrap).await?;

        let rpc = Rpc::new(Arc::clone(&app));
        let largest = kit::MAX_MESSAGE_BYTES;
        let routes = Services::new("ingestion", authority, metrics, readiness)
            .add(IngestionServiceServer::new(rpc.clone()).max_decoding_message_size(largest))
            .add(SourceServiceServer::new(rpc.clone()).max_decoding_message_size(largest))
            .add(ConsentServiceServer::new(rpc.clone()).max_decoding_message_size(largest))
            .add(DeadLetterServiceServer::new(rpc).max_decoding_message_size(largest))
            .add(LogServiceServer::new(log.service()).max_decoding_message_size(largest))
            .build();
        Ok(Self { routes, app, shutdown, dedupe_window_us, geo_file, ready: Mutex::new(Some(ready)) })
    }

    /// Returns what it serves.
    pub fn routes(&self) -> Routes {
        self.routes.clone()
    }

    /// Starts its background tasks. Calling it again does nothing.
    pub fn start(&self) {
        let ready = self.ready.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(ready) = ready {
            upkeep::start(&self.app, self.dedupe_window_us, ready, &self.shutdown);
            if let Some(geo_file) = &self.geo_file {
                geo_file.start(&self.shutdown);
            }
        }
    }
}

impl kit::binary::Service for Ingestion {
    const NAME: &'static str = "ingestion";
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
        if !(db.is_current(&eventlog::MIGRATIONS).await? && db.is_current(&MIGRATIONS).await?) {
            let message = "the database lacks migrations; run `migrate` first";
            return Err(Error::failed_precondition("MIGRATIONS_PENDING", message));
        }
        let Process { clock, authority, metrics, shutdown, readiness } = process;
        Self::build(config, Deps { db, clock, authority, metrics, shutdown, readiness }).await
    }

    fn routes(&self) -> Routes {
        self.routes()
    }

    fn start(&self) {
        self.start();
    }
}

async fn open(config: &Config) -> Result<Db, Error> {
    let options = OpenOptions { max_connections: config.store.max_connections, ..OpenOptions::default() };
    Ok(Db::open(config.store.url.expose(), options).await?)
}

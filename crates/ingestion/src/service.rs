//! Putting the service together.

use std::sync::{Arc, Mutex, PoisonError};

use eventlog::{EventLog, LogOptions, RetentionConfig};
use kit::auth::Authority;
use kit::binary::Process;
use kit::metrics::Metrics;
use kit::server::{Metering, Readiness, ReadyHandle, ReceiveRoom, Services};
use kit::shutdown::Shutdown;
use kit::{Clock, Error};
use proto::ingestion::v1::consent_service_server::ConsentServiceServer;
use proto::ingestion::v1::context_service_server::ContextServiceServer;
use proto::ingestion::v1::dead_letter_service_server::DeadLetterServiceServer;
use proto::ingestion::v1::ingestion_service_server::IngestionServiceServer;
use proto::ingestion::v1::source_service_server::SourceServiceServer;
use proto::ingestion::v1::tracking_plan_service_server::TrackingPlanServiceServer;
use proto::log::v1::log_service_server::LogServiceServer;
use store::{Cache, Db, OpenOptions};
use tonic::service::Routes;

use crate::MIGRATIONS;
use crate::app::App;
use crate::config::Config;
use crate::directory::Directory;
use crate::domain::edge::Enricher;
use crate::geo_file::GeoFile;
use crate::grpc::Rpc;
use crate::intake::{Intake, IntakeParts, LaneKeeper, Tail};
use crate::metrics::IntakeMetrics;
use crate::quotas::Quotas;
use crate::seal::Sealer;
use crate::upkeep;
use crate::window::{Tuning, Window};

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
    /// What sources have left of their quotas, shared by replicas.
    pub cache: Cache,
}

/// The ingestion service, built.
pub struct Ingestion {
    routes: Routes,
    app: Arc<App>,
    shutdown: Shutdown,
    dedupe_window_us: i64,
    geo_file: Option<Arc<GeoFile>>,
    log: EventLog,
    retention: RetentionConfig,
    /// Handed to the readiness task once.
    ready: Mutex<Option<ReadyHandle>>,
}

impl Ingestion {
    /// Builds the service. The task that commits events starts at once, the rest with [`start`](Self::start).
    ///
    /// Refuses a database whose migrations are not applied. Makes the source that `[bootstrap]` names. Must be called inside a Tokio runtime.
    pub async fn build(config: &Config, deps: Deps) -> Result<Self, Error> {
        let Deps { db, clock, authority, metrics, shutdown, readiness, cache } = deps;
        db.require_current(&[&MIGRATIONS, &eventlog::MIGRATIONS]).await?;
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
            stale_policy_us: upkeep::stale_policy_us(config.collect.source_cache_ttl()),
        };
        let tail = Tail::default();
        let tuning = Tuning {
            memory_bytes: config.collect.dedupe_memory_bytes(),
            merge_batches: config.collect.dedupe_merge_batches.into(),
            ..Tuning::default()
        };
        let (window, merger) = Window::new(db.clone(), tuning);
        let receiving = ReceiveRoom::new(config.collect.receive_kib);
        let parts = IntakeParts {
            db: db.clone(),
            log: log.clone(),
            clock: clock.clone(),
            metrics: counted.clone(),
            tail: tail.clone(),
            window,
            dedupe_window_us,
            sealer: Arc::clone(&sealer),
            queue_weight: config.collect.queue_kib as usize,
            slow_commit: config.collect.slow_store(),
        };
        let app = Arc::new(App {
            directory: Directory::new(db.clone(), config.collect.source_cache_ttl(), enricher),
            intake: Intake::spawn(parts, &shutdown),
            metrics: counted,
            quotas: Quotas::new(cache),
            receiving: receiving.decoded.clone(),
            slow_store: config.collect.slow_store(),
            dead_letter_life_us: config.collect.dead_letter_life_us(),
            log: log.clone(),
            tail,
            clock,
            db,
            sealer,
            lane_keeper,
            merger,
        });
        app.bootstrap(&config.bootstrap).await?;

        let rpc = Rpc::new(Arc::clone(&app));
        let largest = kit::MAX_MESSAGE_BYTES;
        let metering = Metering {
            calls: receiving,
            streams: ReceiveRoom::new(config.collect.receive_kib),
            streaming: &["/comptoir.ingestion.v1.IngestionService/CollectStream"],
        };
        let routes = Services::new("ingestion", authority, metrics, readiness)
            .metered(metering)
            .add(IngestionServiceServer::new(rpc.clone()).max_decoding_message_size(largest))
            .add(SourceServiceServer::new(rpc.clone()).max_decoding_message_size(largest))
            .add(ConsentServiceServer::new(rpc.clone()).max_decoding_message_size(largest))
            .add(DeadLetterServiceServer::new(rpc.clone()).max_decoding_message_size(largest))
            .add(ContextServiceServer::new(rpc.clone()).max_decoding_message_size(largest))
            .add(TrackingPlanServiceServer::new(rpc).max_decoding_message_size(largest))
            .add(LogServiceServer::new(log.service(&shutdown)).max_decoding_message_size(largest))
            .build();
        let retention = config.retention.clone();
        let ready = Mutex::new(Some(ready));
        Ok(Self { routes, app, shutdown, dedupe_window_us, geo_file, log, retention, ready })
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
            self.log.keep_within(&self.retention, &self.shutdown);
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
        let Process { clock, authority, metrics, shutdown, readiness } = process;
        let cache = Cache::open(config.store.cache_url.expose()).await?;
        Self::build(config, Deps { db, clock, authority, metrics, shutdown, readiness, cache }).await
    }

    fn routes(&self) -> Routes {
        self.routes()
    }

    fn start(&self) {
        self.start();
    }
}

async fn open(config: &Config) -> Result<Db, Error> {
    // Whoever sends events must hear that they cannot be taken while it still listens.
    let acquire_timeout = config.collect.slow_store();
    let options =
        OpenOptions { max_connections: config.store.max_connections, acquire_timeout, ..OpenOptions::default() };
    Ok(Db::open(config.store.url.expose(), options).await?)
}

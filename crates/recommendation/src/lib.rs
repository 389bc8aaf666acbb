//! What for them? The catalogue, what people do with its products, and which products to show to whom.
//!
//! This crate owns a tenant's catalogue and what behaviour tells of products and people: popularity by day, what is bought
//! and viewed together, what a person bought and looked at. It follows the profile log and keeps sums, so what it knows does
//! not depend on the order in which events arrive, up to bounds stated where they are. It promises that `Recommend` answers
//! from memory and one read of the person, that rules hold for every item, that every item says which strategy gave it and
//! why, that the same question on the same state has the same answer, and that an event is in the answers as soon as its
//! batch is committed: at once in the replica that folds it, within a second in others.
//!
//! To add a strategy: give it a place in `domain::choose::Strategy` and a weight in `blend`, have `candidates` score it, and
//! have `reasons` say why. To add a rule: add it to `domain::choose::rules`. To learn from another event: turn it into an
//! `Act` in `follower::signals` and fold it in `domain::batch`.

mod config;
mod domain;
mod follower;
mod grpc;
mod service;
mod shelf;
mod store;

use std::sync::Arc;

use ::store::Db;
use eventlog::{Follower, FollowerHandle, FollowerOptions, UnitKind};
use kit::{
    Clock, Error,
    auth::Authority,
    channel::Channel,
    metrics::Metrics,
    server::{Readiness, Services},
    shutdown::Shutdown,
};
use proto::recommendation::v1::{
    catalogue_service_server::CatalogueServiceServer, recommendation_service_server::RecommendationServiceServer,
};
use tonic::service::Routes;

pub use config::{Config, MemoryConfig};
use follower::ShelfFolds;
use grpc::Rpc;
use shelf::Shelves;

/// Tables of recommendation, beside those of [`eventlog::MIGRATIONS`].
pub static MIGRATIONS: ::store::Migrations = ::store::migrations!("recommendation");

/// Name of this service, as credentials, logs, followers and `comptoir-service` carry it.
pub const NAME: &str = "recommendation";

/// The log it follows.
const PROFILE_LOG: &str = "profiles";

/// What recommendation works with.
#[derive(Clone)]
pub struct Deps {
    /// Its own database, in which [`MIGRATIONS`] and [`eventlog::MIGRATIONS`] have been applied.
    pub db: Db,
    /// The clock.
    pub clock: Clock,
    /// Verifies the tokens of callers.
    pub authority: Authority,
    /// Metrics of the process.
    pub metrics: Metrics,
    /// Where background tasks run.
    pub shutdown: Shutdown,
    /// What has to be ready before calls are welcome.
    pub readiness: Readiness,
    /// Publishes the profile log, and knows who has become of a profile that was merged.
    pub identity: Channel,
}

/// The service, ready to start and serve.
pub struct Recommendation {
    deps: Deps,
    shelves: Arc<Shelves>,
    cached_profiles: usize,
}

impl Recommendation {
    /// Builds the service; nothing runs yet. Refuses a database whose migrations are not applied.
    pub async fn build(config: &Config, deps: Deps) -> Result<Self, Error> {
        deps.db.require_current(&[&MIGRATIONS, &eventlog::MIGRATIONS]).await?;
        let shelves = Arc::new(Shelves::new(deps.db.clone(), config.memory.items));
        Ok(Self { deps, shelves, cached_profiles: config.memory.profiles })
    }

    /// Returns what it serves.
    pub fn routes(&self) -> Routes {
        let deps = &self.deps;
        let rpc = Rpc {
            db: deps.db.clone(),
            clock: deps.clock.clone(),
            shelves: self.shelves.clone(),
            identity: deps.identity.clone(),
        };
        let catalogue = CatalogueServiceServer::new(rpc.clone()).max_decoding_message_size(kit::MAX_MESSAGE_BYTES);
        let recommendation = RecommendationServiceServer::new(rpc).max_decoding_message_size(kit::MAX_MESSAGE_BYTES);
        Services::new(NAME, deps.authority.clone(), deps.metrics.clone(), deps.readiness.clone())
            .add(catalogue)
            .add(recommendation)
            .build()
    }

    /// Starts following the profile log; the handle shows how far it has come.
    pub fn start(&self) -> FollowerHandle {
        let deps = &self.deps;
        let options = FollowerOptions::new(
            NAME,
            PROFILE_LOG,
            UnitKind::Tenant,
            deps.db.clone(),
            deps.identity.clone(),
            deps.clock.clone(),
        );
        let folds = ShelfFolds::new(deps.db.clone(), self.shelves.clone(), self.cached_profiles);
        Follower::new(options, folds).spawn(&deps.shutdown, &deps.readiness, &deps.metrics)
    }
}

//! Speak, or stay silent? Campaigns, their templates, every message and why it was sent or withheld.
//!
//! This crate owns templates, campaigns, the contact policy, suppressed addresses and messages. It follows the profile log
//! and the score log into what it must know of each person, waits until something falls due, asks its gates, has products
//! chosen at the last moment, and hands the message to a mail server; what becomes of it goes back to ingestion as events.
//! It promises that one cause sends one message at most, through crashes and replays; that what is decided for a person is
//! decided serially, so that caps are exact; that nothing leaves after a refusal is known; that every decision is kept gate
//! by gate; and that the one doubt SMTP leaves, a connection that breaks after the message was handed over, is a state of its
//! own in which marketing is not sent again.
//!
//! To add a trigger: give it a place in `domain::campaign::Trigger`, set it off in `follower`, and say in `domain::gates` when
//! its goal is reached. To add a gate: ask it in `domain::gates`, with what it looks at in `Facts`. To add a channel: build and
//! hand over beside `mail`, and choose in `engine::prepare`. To add a value that templates see: `domain::content`.

mod config;
mod domain;
mod engine;
mod follower;
mod grpc;
mod mail;
mod metrics;
mod pending;
mod service;
pub mod sink;
mod store;

use std::sync::Arc;

use ::store::Db;
use eventlog::{Follower, FollowerHandle, FollowerOptions, UnitKind};
use kit::{
    Clock, Error, Violations,
    auth::Authority,
    channel::Channel,
    metrics::Metrics,
    server::{Readiness, Services},
    shutdown::Shutdown,
};
use proto::campaign::v1::{
    campaign_service_server::CampaignServiceServer, link_service_server::LinkServiceServer,
    message_service_server::MessageServiceServer, suppression_service_server::SuppressionServiceServer,
    template_service_server::TemplateServiceServer,
};
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;

use crate::metrics::EngineMetrics;
pub use config::{Config, LinksConfig, MemoryConfig, SmtpConfig, SmtpTls, SuppressionConfig};
use engine::{Engine, wake::Wake};
use follower::{profiles::ContactFolds, scores::SegmentFolds};
use grpc::Rpc;
use mail::Mailer;
pub use pending::{due_work, next_due_us};

/// Tables of campaign, beside those of [`eventlog::MIGRATIONS`].
pub static MIGRATIONS: ::store::Migrations = ::store::migrations!("campaign");

/// Name of this service, as credentials, logs, followers and `comptoir-service` carry it.
pub const NAME: &str = "campaign";

/// The logs it follows.
const PROFILE_LOG: &str = "profiles";
const SCORE_LOG: &str = "scores";

/// What campaign works with.
#[derive(Clone)]
pub struct Deps {
    /// Its own database, in which [`MIGRATIONS`] and [`eventlog::MIGRATIONS`] have been applied.
    pub db: Db,
    /// The clock that makes messages fall due.
    pub clock: Clock,
    /// Verifies the tokens of callers.
    pub authority: Authority,
    /// Metrics of the process.
    pub metrics: Metrics,
    /// Where background tasks run.
    pub shutdown: Shutdown,
    /// What has to be ready before calls are welcome.
    pub readiness: Readiness,
    /// Publishes the profile log.
    pub identity: Channel,
    /// Publishes the score log.
    pub scoring: Channel,
    /// Chooses products.
    pub recommendation: Channel,
    /// Takes events about messages.
    pub ingestion: Channel,
}

/// The service, ready to start and serve.
pub struct Campaign {
    deps: Deps,
    engine: Arc<Engine>,
    cached_contacts: usize,
}

/// How far the followers have come.
pub struct Following {
    /// In the profile log.
    pub profiles: FollowerHandle,
    /// In the score log.
    pub scores: FollowerHandle,
}

impl Campaign {
    /// Builds the service; nothing runs yet. Refuses a configuration without secrets, and a database whose migrations are
    /// not applied.
    pub async fn build(config: &Config, deps: Deps) -> Result<Self, Error> {
        let mut violations = Violations::new();
        config.check(&mut violations);
        violations.finish()?;
        deps.db.require_current(&[&MIGRATIONS, &eventlog::MIGRATIONS]).await?;
        let engine = Engine {
            db: deps.db.clone(),
            clock: deps.clock.clone(),
            wake: Wake::default(),
            keys: config.keys(),
            mailer: Mailer::new(config.smtp.clone()),
            sender: config.sender()?,
            recommendation: deps.recommendation.clone(),
            metrics: EngineMetrics::new(&deps.metrics),
            public_base_url: config.base_url(),
            owner: Engine::new_owner(),
            templates: Default::default(),
            ended: CancellationToken::new(),
        };
        Ok(Self { deps, engine: Arc::new(engine), cached_contacts: config.memory.contacts })
    }

    /// Returns what it serves.
    pub fn routes(&self) -> Routes {
        let deps = &self.deps;
        let rpc = Rpc { engine: Arc::clone(&self.engine) };
        let size = kit::MAX_MESSAGE_BYTES;
        Services::new(NAME, deps.authority.clone(), deps.metrics.clone(), deps.readiness.clone())
            .add(TemplateServiceServer::new(rpc.clone()).max_decoding_message_size(size))
            .add(CampaignServiceServer::new(rpc.clone()).max_decoding_message_size(size))
            .add(MessageServiceServer::new(rpc.clone()).max_decoding_message_size(size))
            .add(SuppressionServiceServer::new(rpc.clone()).max_decoding_message_size(size))
            .add(LinkServiceServer::new(rpc).max_decoding_message_size(size))
            .build()
    }

    /// Starts following, deciding, sending and telling; the handles show how far the followers have come.
    pub fn start(&self) -> Following {
        let deps = &self.deps;
        let options = |log, source: &Channel| {
            FollowerOptions::new(NAME, log, UnitKind::Partition, deps.db.clone(), source.clone(), deps.clock.clone())
        };
        let contacts = ContactFolds {
            clock: deps.clock.clone(),
            wake: self.engine.wake.clone(),
            cached_contacts: self.cached_contacts,
        };
        let segments = SegmentFolds { clock: deps.clock.clone(), wake: self.engine.wake.clone() };
        let profiles = Follower::new(options(PROFILE_LOG, &deps.identity), contacts);
        let scores = Follower::new(options(SCORE_LOG, &deps.scoring), segments);

        deps.shutdown.spawn("campaign engine", Arc::clone(&self.engine).run(deps.shutdown.clone()));
        let telling = Arc::clone(&self.engine).tell(deps.ingestion.clone(), deps.shutdown.clone());
        deps.shutdown.spawn("campaign feedback", telling);
        Following {
            profiles: profiles.spawn(&deps.shutdown, &deps.readiness, &deps.metrics),
            scores: scores.spawn(&deps.shutdown, &deps.readiness, &deps.metrics),
        }
    }

    /// Whether nothing is left to do at the present time of the clock; see [`due_work`].
    pub async fn is_settled(&self) -> Result<bool, Error> {
        Ok(due_work(&self.deps.db, self.deps.clock.now_us()).await? == 0)
    }
}

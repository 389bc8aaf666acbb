//! All six services in one process.

mod build;
mod config;
mod flows;
mod secrets;
mod settle;

use ::store::{Cache, Db, Migrations, OpenOptions};
use build::{Parts, Services};
use kit::{
    Clock, Error,
    auth::Authority,
    metrics::Metrics,
    server::{self, Readiness},
    shutdown::Shutdown,
};
use tokio::net::TcpListener;
use tonic::service::Routes;

pub use self::{
    config::{Config, Stores},
    flows::{FLOWS, Flow},
    secrets::Secrets,
    settle::{next_due_us, settled},
};
use crate::api::Api;

/// The databases of the services, open and migrated.
#[derive(Clone)]
pub struct Databases {
    /// The gateway's.
    pub gateway: Db,
    /// Ingestion's.
    pub ingestion: Db,
    /// Identity's.
    pub identity: Db,
    /// Scoring's.
    pub scoring: Db,
    /// Recommendation's.
    pub recommendation: Db,
    /// Campaign's.
    pub campaign: Db,
}

impl Databases {
    /// Opens and migrates every database, making SQLite files and their folder where they are missing.
    pub async fn open(config: &Config) -> Result<Self, Error> {
        std::fs::create_dir_all(&config.data).map_err(|error| {
            Error::failed_precondition("DATA_FOLDER_UNUSABLE", format!("{}: {error}", config.data.display()))
        })?;
        let [gateway, ingestion, identity, scoring, recommendation, campaign] = config.store_list();
        Ok(Self {
            gateway: open(gateway, false).await?,
            ingestion: open(ingestion, true).await?,
            identity: open(identity, true).await?,
            scoring: open(scoring, true).await?,
            recommendation: open(recommendation, true).await?,
            campaign: open(campaign, true).await?,
        })
    }

    /// Returns each database with its service's name.
    pub fn each(&self) -> [(&'static str, &Db); 6] {
        [
            ("gateway", &self.gateway),
            ("ingestion", &self.ingestion),
            ("identity", &self.identity),
            ("scoring", &self.scoring),
            ("recommendation", &self.recommendation),
            ("campaign", &self.campaign),
        ]
    }
}

async fn open((service, url, migrations): (&str, String, &'static Migrations), has_log: bool) -> Result<Db, Error> {
    let opening = async {
        let db = Db::open(&url, OpenOptions::default()).await?;
        db.migrate(migrations).await?;
        if has_log {
            db.migrate(&eventlog::MIGRATIONS).await?;
        }
        Ok(db)
    };
    opening.await.map_err(|error: ::store::Error| {
        Error::unavailable("STORE_UNUSABLE", format!("the store of {service} cannot be used")).caused_by(error)
    })
}

/// All six services, built in one process.
pub struct Platform {
    config: Config,
    secrets: Secrets,
    clocks: Clocks,
    metrics: Metrics,
    readiness: Readiness,
    shutdown: Shutdown,
    databases: Databases,
    services: Services,
}

/// The clocks of the platform. One and the same, but where a simulation must have told everything that happened up to an instant
/// before anything is decided at that instant.
#[derive(Clone)]
pub struct Clocks {
    /// When events are received.
    pub intake: Clock,
    /// When something falls due: segment changes, messages.
    pub timers: Clock,
}

impl From<Clock> for Clocks {
    fn from(clock: Clock) -> Self {
        Self { intake: clock.clone(), timers: clock }
    }
}

impl Platform {
    /// Opens the stores and builds the services, without starting anything.
    pub async fn open(config: Config, clocks: impl Into<Clocks>) -> Result<Self, Error> {
        let clocks = clocks.into();
        let databases = Databases::open(&config).await?;
        let secrets = Secrets::open(&config.data)?;
        let parts = Parts {
            clocks: clocks.clone(),
            authority: Authority::new(secrets.auth_secret.expose().as_bytes()),
            metrics: Metrics::new(),
            readiness: Readiness::new(),
            shutdown: Shutdown::new(),
            cache: Cache::open(config.cache_url.expose()).await?,
        };
        let services = Services::build(&config, &secrets, &databases, &parts).await?;
        let Parts { metrics, readiness, shutdown, .. } = parts;
        Ok(Self { config, secrets, clocks, metrics, readiness, shutdown, databases, services })
    }

    /// Starts the followers, timers and other background work of every service.
    pub fn start(&self) {
        for (service, _) in self.databases.each() {
            self.start_one(service);
        }
    }

    /// Starts the background work of one service, by its name. For measuring what each costs while others rest.
    pub fn start_one(&self, service: &str) {
        let services = &self.services;
        // What a follower hands out is for tests that wait for it.
        match service {
            "ingestion" => services.ingestion.start(),
            "identity" => services.identity.start(),
            "scoring" => drop(services.scoring.start()),
            "recommendation" => drop(services.recommendation.start()),
            "campaign" => drop(services.campaign.start()),
            // The gateway only answers.
            _ => {}
        }
    }

    /// Returns what the gateway serves: the whole public surface.
    pub fn routes(&self) -> Routes {
        self.services.gateway.routes()
    }

    /// Serves on `listener` until shutdown begins.
    pub async fn serve(&self, listener: TcpListener) -> Result<(), Error> {
        let token = self.shutdown.token.clone();
        server::run(listener, self.routes(), self.metrics.clone(), self.readiness.clone(), token).await
    }

    /// Waits until every follower owns its work and the platform can do its job.
    pub async fn ready(&self) {
        self.readiness.wait_ready().await;
    }

    /// Returns the API as the operator, who may create tenants and keys.
    pub fn operator(&self) -> Result<Api, Error> {
        self.api(self.secrets.operator_key.expose())
    }

    /// Returns the API as the bearer of `key`.
    pub fn api(&self, key: &str) -> Result<Api, Error> {
        Api::local(self.routes(), key)
    }

    /// Returns the clocks.
    pub fn clocks(&self) -> &Clocks {
        &self.clocks
    }

    /// Returns the configuration.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Returns the secrets of the installation.
    pub fn secrets(&self) -> &Secrets {
        &self.secrets
    }

    /// Returns the databases, for tools that look at stores.
    pub fn databases(&self) -> &Databases {
        &self.databases
    }

    /// Returns the metrics of the process.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Returns what stops the process.
    pub fn shutdown(&self) -> &Shutdown {
        &self.shutdown
    }

    /// Waits until nothing is under way: every follower has read every log to its end, and nothing is due by the clock.
    pub async fn settled(&self) -> Result<(), Error> {
        settle::settled(&self.databases, &self.clocks.timers).await
    }

    /// Stops background work and closes the stores.
    pub async fn stop(self) {
        self.shutdown.begin();
        self.shutdown.drain(self.config.server.drain_limit()).await;
        for (_, db) in self.databases.each() {
            db.close().await;
        }
    }
}

use ::store::{Db, OpenOptions};
use kit::{
    Error, Violations,
    binary::{Process, Service, ServiceConfig},
    channel::{self, ChannelOptions, Credential},
    config::{AuthConfig, ClockConfig, ServerConfig, StoreConfig, TelemetryConfig},
};
use tonic::service::Routes;

use crate::{Campaign, Config, Deps, MIGRATIONS, NAME};

impl ServiceConfig for Config {
    fn server(&self) -> &ServerConfig {
        &self.server
    }

    fn store(&self) -> &StoreConfig {
        &self.store
    }

    fn auth(&self) -> &AuthConfig {
        &self.auth
    }

    fn telemetry(&self) -> &TelemetryConfig {
        &self.telemetry
    }

    fn clock(&self) -> &ClockConfig {
        &self.clock
    }

    fn validate(&self, violations: &mut Violations) {
        self.check(violations);
    }
}

impl Service for Campaign {
    const NAME: &'static str = NAME;
    type Config = Config;

    async fn migrate(config: &Config) -> Result<(), Error> {
        let db = open(config).await?;
        db.migrate(&eventlog::MIGRATIONS).await?;
        Ok(db.migrate(&MIGRATIONS).await?)
    }

    async fn open(config: &Config, process: Process) -> Result<Self, Error> {
        let credential = Credential::service(&process.authority, NAME);
        let to =
            |service| channel::remote(&config.gateway.url, ChannelOptions::new(credential.clone()).target(service));
        let deps = Deps {
            db: open(config).await?,
            clock: process.clock,
            authority: process.authority,
            metrics: process.metrics,
            shutdown: process.shutdown,
            readiness: process.readiness,
            identity: to("identity")?,
            scoring: to("scoring")?,
            recommendation: to("recommendation")?,
            ingestion: to("ingestion")?,
        };
        Self::build(config, deps).await
    }

    fn routes(&self) -> Routes {
        Campaign::routes(self)
    }

    fn start(&self) {
        Campaign::start(self);
    }
}

async fn open(config: &Config) -> Result<Db, Error> {
    let options = OpenOptions { max_connections: config.store.max_connections, ..OpenOptions::default() };
    Ok(Db::open(config.store.url.expose(), options).await?)
}

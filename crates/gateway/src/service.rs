use ::store::{Cache, Db, OpenOptions};
use kit::{
    Error, Violations,
    binary::{Process, Service, ServiceConfig},
    channel::{self, Channel, ChannelOptions, Credential},
    config::{AuthConfig, ClockConfig, ServerConfig, StoreConfig, TelemetryConfig},
};
use tonic::service::Routes;

use crate::{Config, Deps, Gateway, MIGRATIONS, NAME, Upstreams};

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
        violations.check(self.access.receive_kib >= 8_192, "access.receive_kib", "must be 8192 or more");
    }
}

impl Service for Gateway {
    const NAME: &'static str = NAME;
    type Config = Config;

    async fn migrate(config: &Config) -> Result<(), Error> {
        let db = Db::open(config.store.url.expose(), OpenOptions::default()).await?;
        Ok(db.migrate(&MIGRATIONS).await?)
    }

    async fn open(config: &Config, process: Process) -> Result<Self, Error> {
        let deps = Deps {
            db: Db::open(config.store.url.expose(), OpenOptions::default()).await?,
            clock: process.clock,
            authority: process.authority,
            metrics: process.metrics,
            readiness: process.readiness,
            cache: Cache::open(config.store.cache_url.expose()).await?,
            upstreams: Upstreams {
                ingestion: upstream(&config.upstreams.ingestion)?,
                identity: upstream(&config.upstreams.identity)?,
                scoring: upstream(&config.upstreams.scoring)?,
                recommendation: upstream(&config.upstreams.recommendation)?,
                campaign: upstream(&config.upstreams.campaign)?,
            },
        };
        Self::build(config, deps).await
    }

    fn routes(&self) -> Routes {
        Gateway::routes(self)
    }

    fn start(&self) {}
}

/// Retries are the caller's to decide: the gateway forwards each call once.
fn upstream(url: &str) -> Result<Channel, Error> {
    channel::remote(
        url,
        ChannelOptions::new(Credential::none()).retries(0).deadline(std::time::Duration::from_secs(60)),
    )
}

use std::path::PathBuf;

use eventlog::RetentionConfig;
use kit::config::{ClockConfig, Secret, ServerConfig, TelemetryConfig};
use serde::{Deserialize, Serialize};

/// Configuration of the all-in-one: what a person may choose. What this form of running decides by itself (addresses between
/// services, secrets) is not an option.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Folder for stores and secrets. Made when it does not exist.
    pub data: PathBuf,
    /// Where the gateway listens.
    pub server: ServerConfig,
    /// Logs and traces.
    pub telemetry: TelemetryConfig,
    /// The clock.
    pub clock: ClockConfig,
    /// Where each service keeps what it knows.
    pub stores: Stores,
    /// Partitions of each log, for each tenant. One process on one writer gains nothing by more than one, and every partition
    /// costs statements; with PostgreSQL and many cores there may be more. Never change it once there are events.
    pub partitions: u32,
    /// What may be lost: `memory:` or `redis://host:port`.
    pub cache_url: Secret,
    /// Who may call, and how much.
    pub access: gateway::AccessConfig,
    /// How long the logs are kept.
    pub retention: Retentions,
    /// Where mail goes.
    pub smtp: campaign::SmtpConfig,
    /// What is added to events: a file that tells places of network addresses.
    pub enrich: ingestion::EnrichConfig,
    /// Address under which people reach the gateway, for the links in messages. Empty: the address it listens on.
    pub public_url: String,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            data: "comptoir-data".into(),
            server: ServerConfig { listen: ([127, 0, 0, 1], 8080).into(), ..ServerConfig::default() },
            telemetry: TelemetryConfig::default(),
            clock: ClockConfig::default(),
            stores: Stores::default(),
            partitions: 1,
            cache_url: "memory:".into(),
            access: gateway::AccessConfig::default(),
            retention: Retentions::default(),
            smtp: campaign::SmtpConfig::default(),
            enrich: ingestion::EnrichConfig::default(),
            public_url: String::new(),
        }
    }
}

impl Config {
    /// Returns the usual configuration on a data folder.
    pub fn on(data: impl Into<PathBuf>) -> Self {
        Self { data: data.into(), ..Self::default() }
    }

    /// Returns each service with the URL of its store and its migrations.
    pub fn store_list(&self) -> [(&'static str, String, &'static ::store::Migrations); 6] {
        let stores = &self.stores;
        [
            ("gateway", self.store_url("gateway", &stores.gateway), &gateway::MIGRATIONS),
            ("ingestion", self.store_url("ingestion", &stores.ingestion), &ingestion::MIGRATIONS),
            ("identity", self.store_url("identity", &stores.identity), &identity::MIGRATIONS),
            ("scoring", self.store_url("scoring", &stores.scoring), &scoring::MIGRATIONS),
            ("recommendation", self.store_url("recommendation", &stores.recommendation), &recommendation::MIGRATIONS),
            ("campaign", self.store_url("campaign", &stores.campaign), &campaign::MIGRATIONS),
        ]
    }

    /// Returns the URL of a service's store: the one chosen, or a SQLite file in the data folder.
    fn store_url(&self, service: &str, chosen: &Secret) -> String {
        if chosen.expose().is_empty() {
            format!("sqlite:{}", self.data.join(format!("{service}.db")).display())
        } else {
            chosen.expose().clone()
        }
    }
}

/// Section `[retention]`: what is kept of each log.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Retentions {
    /// Of ingestion's `events`.
    pub events: RetentionConfig,
    /// Of identity's `profiles`, which timelines and merges read from: for ever unless set.
    pub profiles: RetentionConfig,
    /// Of scoring's `scores`.
    pub scores: RetentionConfig,
}

impl Default for Retentions {
    fn default() -> Self {
        Self {
            events: ingestion::Config::default().retention,
            profiles: identity::Config::default().retention,
            scores: scoring::Config::default().retention,
        }
    }
}

/// Section `[stores]`: one URL per service, `sqlite:PATH` or `postgres://…`; empty for a SQLite file in the data folder. Each needs
/// a database of its own.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Stores {
    /// The gateway's.
    pub gateway: Secret,
    /// Ingestion's.
    pub ingestion: Secret,
    /// Identity's.
    pub identity: Secret,
    /// Scoring's.
    pub scoring: Secret,
    /// Recommendation's.
    pub recommendation: Secret,
    /// Campaign's.
    pub campaign: Secret,
}

//! Configuration.

use eventlog::RetentionConfig;
use kit::Violations;
use kit::binary::ServiceConfig;
use kit::config::{AuthConfig, ClockConfig, GatewayClientConfig, ServerConfig, StoreConfig, TelemetryConfig};
use serde::{Deserialize, Serialize};

/// Configuration of the scoring service.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where it serves.
    pub server: ServerConfig,
    /// Its own database.
    pub store: StoreConfig,
    /// How services know each other.
    pub auth: AuthConfig,
    /// Logs and traces.
    pub telemetry: TelemetryConfig,
    /// The time.
    pub clock: ClockConfig,
    /// Where other services are reached; in a process of its own only.
    pub gateway: GatewayClientConfig,
    /// Its own settings.
    pub scoring: ScoringConfig,
    /// How long the score log is kept. A follower that begins anew knows of no segment entry that was dropped.
    pub retention: RetentionConfig,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            server: ServerConfig { listen: ([127, 0, 0, 1], 50054).into(), ..ServerConfig::default() },
            store: StoreConfig { url: "sqlite:data/scoring.db".into(), ..StoreConfig::default() },
            auth: AuthConfig::default(),
            telemetry: TelemetryConfig::default(),
            clock: ClockConfig::default(),
            gateway: GatewayClientConfig::default(),
            scoring: ScoringConfig::default(),
            retention: RetentionConfig::default(),
        }
    }
}

/// Section `[scoring]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ScoringConfig {
    /// People of each partition kept in memory, about 1 KB each. Default 20,000.
    pub people_in_memory: usize,
    /// Records after which a batch of the profile log is full. Default 2,000.
    pub batch_records: usize,
    /// Partitions of the score log for each tenant, best as many as the profile log has. Never change it for a log that holds
    /// records. 1 to 1024, default 8.
    pub partitions: u32,
}

impl Default for ScoringConfig {
    fn default() -> Self {
        Self { people_in_memory: 20_000, batch_records: 2_000, partitions: 8 }
    }
}

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
        violations.check(self.scoring.people_in_memory >= 100, "scoring.people_in_memory", "must be 100 or more");
        self.retention.validate("retention", violations);
        let batch = 1..=20_000;
        violations.check(batch.contains(&self.scoring.batch_records), "scoring.batch_records", "must be 1 to 20000");
        violations.check((1..=1_024).contains(&self.scoring.partitions), "scoring.partitions", "must be 1 to 1024");
    }
}

//! The configuration of the identity service.

use eventlog::RetentionConfig;
use kit::{
    Violations,
    binary::ServiceConfig,
    config::{AuthConfig, ClockConfig, GatewayClientConfig, ServerConfig, StoreConfig, TelemetryConfig},
};
use serde::{Deserialize, Serialize};

use crate::domain::rules::Rules;

/// Everything that can be set. Every key has a default.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Section `[server]`.
    pub server: ServerConfig,
    /// Section `[store]`.
    pub store: StoreConfig,
    /// Section `[auth]`.
    pub auth: AuthConfig,
    /// Section `[telemetry]`.
    pub telemetry: TelemetryConfig,
    /// Section `[clock]`.
    pub clock: ClockConfig,
    /// Section `[gateway]`: through which the event log is followed.
    pub gateway: GatewayClientConfig,
    /// Section `[follower]`.
    pub follower: FollowerConfig,
    /// Section `[log]`.
    pub log: LogConfig,
    /// Section `[retention]`: how long the profile log is kept. For ever unless set: timelines are read from it, and so is what
    /// moves when people are merged or parted. What was dropped is missing from both.
    pub retention: RetentionConfig,
    /// Section `[rules]`: what makes people of evidence. A change applies to people as evidence about them comes.
    pub rules: Rules,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            server: ServerConfig::default(),
            store: StoreConfig::default(),
            auth: AuthConfig::default(),
            telemetry: TelemetryConfig::default(),
            clock: ClockConfig::default(),
            gateway: GatewayClientConfig::default(),
            follower: FollowerConfig::default(),
            log: LogConfig::default(),
            retention: RetentionConfig::for_ever(),
            rules: Rules::default(),
        }
    }
}

/// Section `[follower]`: how the event log is followed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FollowerConfig {
    /// Events after which a batch is full.
    pub batch: usize,
    /// Most components (roughly, people) of one tenant that its owner keeps in memory. A few kilobytes each.
    pub cached_components: usize,
}

impl Default for FollowerConfig {
    fn default() -> Self {
        Self { batch: 4_000, cached_components: 50_000 }
    }
}

/// Section `[log]`: the profile log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LogConfig {
    /// Partitions of each tenant. Never change it once there are records.
    pub partitions: u32,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self { partitions: 8 }
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
        violations.check((1..=20_000).contains(&self.follower.batch), "follower.batch", "must be 1 to 20000");
        violations.check(self.follower.cached_components > 0, "follower.cached_components", "must be at least 1");
        violations.check((1..=1_024).contains(&self.log.partitions), "log.partitions", "must be 1 to 1024");
        self.retention.validate("retention", violations);
        for (key, rule) in self.rules.problems() {
            violations.add(key, rule);
        }
    }
}

use kit::config::{AuthConfig, ClockConfig, Secret, ServerConfig, StoreConfig, TelemetryConfig};
use serde::{Deserialize, Serialize};

/// Configuration of the gateway; every key has a default but the secrets.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where it listens.
    pub server: ServerConfig,
    /// Where tenants and keys are kept.
    pub store: StoreConfig,
    /// The secret that signs tokens between services.
    pub auth: AuthConfig,
    /// Logs and traces.
    pub telemetry: TelemetryConfig,
    /// The clock.
    pub clock: ClockConfig,
    /// Where the services are.
    pub upstreams: UpstreamConfig,
    /// Who may call, and how much.
    pub access: AccessConfig,
}

/// Section `[upstreams]`: the address of each service, `http://host:port`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct UpstreamConfig {
    /// Ingestion.
    pub ingestion: String,
    /// Identity.
    pub identity: String,
    /// Scoring.
    pub scoring: String,
    /// Recommendation.
    pub recommendation: String,
    /// Campaign.
    pub campaign: String,
}

impl Default for UpstreamConfig {
    fn default() -> Self {
        Self {
            ingestion: "http://127.0.0.1:50052".into(),
            identity: "http://127.0.0.1:50053".into(),
            scoring: "http://127.0.0.1:50054".into(),
            recommendation: "http://127.0.0.1:50055".into(),
            campaign: "http://127.0.0.1:50056".into(),
        }
    }
}

/// Section `[access]`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AccessConfig {
    /// The operator's key: may create tenants and keys, nothing else. At least 16 characters; empty for none.
    pub operator_key: Secret,
    /// Calls per second that one secret key may make. 0 means no limit.
    pub calls_per_second: u32,
    /// Collector requests per second and write key, or per client address where the key stands in the body. 0 means no
    /// limit.
    pub collects_per_second: u32,
    /// How much the collector receives at once, in KiB of request bodies: more is told to come again. Memory is about twice
    /// that. 8192 or more.
    pub receive_kib: u32,
    /// How long a revoked key may still work, and how long what a source allows pages may be the old, in seconds.
    pub key_cache_seconds: u64,
    /// How many proxies in front of the gateway append to `X-Forwarded-For`. 0 ignores the header.
    pub trusted_proxies: usize,
}

impl Default for AccessConfig {
    fn default() -> Self {
        Self {
            operator_key: Secret::default(),
            calls_per_second: 2_000,
            collects_per_second: 5_000,
            receive_kib: 32_768,
            key_cache_seconds: 5,
            trusted_proxies: 0,
        }
    }
}

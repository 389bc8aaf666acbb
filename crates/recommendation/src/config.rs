use std::net::SocketAddr;

use kit::config::{AuthConfig, ClockConfig, GatewayClientConfig, ServerConfig, StoreConfig, TelemetryConfig};
use serde::{Deserialize, Serialize};

/// Configuration of recommendation; every key has a default but the secret.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where it listens.
    pub server: ServerConfig,
    /// Its database.
    pub store: StoreConfig,
    /// The secret that signs tokens between services.
    pub auth: AuthConfig,
    /// Logs and traces.
    pub telemetry: TelemetryConfig,
    /// The clock.
    pub clock: ClockConfig,
    /// Where identity is reached.
    pub gateway: GatewayClientConfig,
    /// How much it keeps in memory.
    pub memory: MemoryConfig,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            server: ServerConfig { listen: SocketAddr::from(([127, 0, 0, 1], 50055)), ..ServerConfig::default() },
            store: StoreConfig { url: "sqlite:data/recommendation.db".into(), ..StoreConfig::default() },
            auth: AuthConfig::default(),
            telemetry: TelemetryConfig::default(),
            clock: ClockConfig::default(),
            gateway: GatewayClientConfig::default(),
            memory: MemoryConfig::default(),
        }
    }
}

/// Section `[memory]`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MemoryConfig {
    /// Items and products, of all tenants together, above which the tenant that was not asked for longest is dropped from
    /// memory and read again when asked for: 1 to 3 KB each. A single larger tenant is kept all the same.
    pub items: usize,
    /// Profiles that the follower keeps in memory per tenant: about 1 KB each.
    pub profiles: usize,
}

impl Default for MemoryConfig {
    fn default() -> Self {
        Self { items: 500_000, profiles: 20_000 }
    }
}

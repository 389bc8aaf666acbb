use std::{net::SocketAddr, time::Duration};

use serde::{Deserialize, Serialize};

use super::Secret;
use crate::{Clock, Error, Violations, auth::Authority};

/// Shortest secret that tokens may be signed with, in bytes.
const MIN_SECRET_BYTES: usize = 16;

/// Section `[server]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ServerConfig {
    /// Address to serve gRPC, health and metrics on. Port 0 takes a free one.
    pub listen: SocketAddr,
    /// How long background work may take to end after the last call, in seconds.
    pub drain_seconds: u64,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self { listen: SocketAddr::from(([127, 0, 0, 1], 50051)), drain_seconds: 20 }
    }
}

impl ServerConfig {
    /// Returns how long background work may take to end.
    pub fn drain_limit(&self) -> Duration {
        Duration::from_secs(self.drain_seconds)
    }
}

/// Section `[store]`: the service's own database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StoreConfig {
    /// `sqlite:PATH` or `postgres://…`. A secret, since it may hold a password.
    pub url: Secret,
    /// `memory:` or `redis://…`: what may be lost.
    pub cache_url: Secret,
    /// Most connections to PostgreSQL.
    pub max_connections: u32,
    /// Whether to apply pending migrations at the start. Turn it off where a job runs `migrate` before the servers start.
    pub migrate: bool,
}

impl Default for StoreConfig {
    fn default() -> Self {
        Self { url: "sqlite:data/comptoir.db".into(), cache_url: "memory:".into(), max_connections: 16, migrate: true }
    }
}

/// Section `[auth]`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AuthConfig {
    /// Secret that tokens between services are signed with; the same in all of them. 16 bytes at least; there is no default.
    pub secret: Secret,
}

impl AuthConfig {
    /// Returns the authority for this secret.
    pub fn authority(&self) -> Authority {
        Authority::new(self.secret.expose().as_bytes())
    }

    /// Records what is wrong with this section.
    pub fn validate(&self, violations: &mut Violations) {
        let long_enough = self.secret.expose().len() >= MIN_SECRET_BYTES;
        violations.check(long_enough, "auth.secret", "must be 16 bytes or more");
    }
}

/// How log lines look.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For humans.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// Section `[telemetry]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TelemetryConfig {
    /// How log lines look: `text` or `json`.
    pub log_format: LogFormat,
    /// What is logged, in the form of `tracing`'s `EnvFilter`, such as `info,identity=debug`.
    pub log_filter: String,
    /// OTLP collector (gRPC) that traces go to, such as `http://collector:4317`. No traces without it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub otlp_endpoint: Option<String>,
    /// Share of new traces that is kept, 0 to 1. A call follows its caller's choice.
    pub trace_share: f64,
}

impl Default for TelemetryConfig {
    fn default() -> Self {
        Self { log_format: LogFormat::default(), log_filter: "info".to_owned(), otlp_endpoint: None, trace_share: 1.0 }
    }
}

/// Section `[clock]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClockConfig {
    /// `system`, or `file:PATH` for a virtual time that several processes share; see [`Clock::file`].
    pub source: String,
}

impl Default for ClockConfig {
    fn default() -> Self {
        Self { source: "system".to_owned() }
    }
}

impl ClockConfig {
    /// Returns the clock.
    pub fn open(&self) -> Result<Clock, Error> {
        match self.source.split_once(':') {
            None if self.source == "system" => Ok(Clock::system()),
            Some(("file", path)) => Clock::file(path),
            _ => Err(Error::invalid(
                "CLOCK_SOURCE_UNKNOWN",
                format!("clock.source is {:?}, neither \"system\" nor \"file:PATH\"", self.source),
            )),
        }
    }
}

/// Section `[gateway]`: where other services are reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GatewayClientConfig {
    /// `http://host:port` of the gateway.
    pub url: String,
}

impl Default for GatewayClientConfig {
    fn default() -> Self {
        Self { url: "http://127.0.0.1:50050".to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_comes_from_its_source() {
        let open = |source: &str| ClockConfig { source: source.into() }.open();

        assert!(!open("system").unwrap().is_virtual());
        assert_eq!(open("sundial").unwrap_err().reason, "CLOCK_SOURCE_UNKNOWN");
        assert_eq!(open("file:/nowhere/at/all").unwrap_err().reason, "CLOCK_FILE_UNREADABLE");
    }

    #[test]
    fn a_short_secret_is_a_violation() {
        let mut violations = Violations::new();
        AuthConfig::default().validate(&mut violations);
        assert_eq!(violations.finish().unwrap_err().violations[0].field, "auth.secret");
    }
}

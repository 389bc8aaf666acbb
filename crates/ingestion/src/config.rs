//! Configuration: defaults here, then a TOML file, then the environment.

use std::time::Duration;

use eventlog::RetentionConfig;
use kit::Violations;
use kit::binary::ServiceConfig;
use kit::config::{AuthConfig, ClockConfig, Secret, ServerConfig, StoreConfig, TelemetryConfig};
use serde::{Deserialize, Serialize};

use crate::domain::write_key;
use kit::Currency;

/// Configuration of ingestion.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where it serves.
    pub server: ServerConfig,
    /// Its database.
    pub store: StoreConfig,
    /// How tokens are signed.
    pub auth: AuthConfig,
    /// Logs and traces.
    pub telemetry: TelemetryConfig,
    /// The time.
    pub clock: ClockConfig,
    /// How events are taken.
    pub collect: CollectConfig,
    /// A first source.
    pub bootstrap: BootstrapConfig,
    /// What waits for consent.
    pub consent: ConsentConfig,
    /// What is added to events.
    pub enrich: EnrichConfig,
    /// How long the event log is kept.
    pub retention: RetentionConfig,
}

/// Section `[collect]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CollectConfig {
    /// How long a message id is remembered, in days: a second event with it is a duplicate. 1 to 400.
    pub dedupe_days: u32,
    /// Memory for what is known of the message ids, in MiB: 2.4 bytes an id, and what was taken last. Tenants that were
    /// not heard of for longest are read again when they are. The tenant in use takes what it takes. 1 to 65536.
    pub dedupe_memory_mib: u32,
    /// Transactions of a tenant after which the message ids that they brought are merged in the background, unless there
    /// are 131,072 ids before. 1 to 65536.
    pub dedupe_merge_batches: u32,
    /// Partitions of the event log for each tenant. Never change it for a log that holds events. 1 to 1024.
    pub partitions: u32,
    /// How much may wait to be committed, in KiB of serialised events; more is refused for the moment. 1024 or more.
    pub queue_kib: u32,
    /// How much is received at once, in KiB of messages, and as much again of what they become when they are read: calls
    /// that bring more are refused for the moment. Streams, which wait, have as much for themselves. 32768, what the
    /// largest message becomes, or more.
    pub receive_kib: u32,
    /// How long a write key or a source is used without asking the store again, in milliseconds. A key that is revoked
    /// at one replica ends at the others within this time. At most 60000.
    pub source_cache_ms: u64,
    /// How long a dead letter waits to be mended, in days; then it is removed and counted. 0 keeps it for ever. At most
    /// 3650.
    pub dead_letter_days: u32,
    /// A transaction that has been going on for so many seconds says that the store is slow: what comes then is told to
    /// come again, while its sender still listens. A connection to the store is waited for as long. 1 to 3600.
    pub slow_store_seconds: u32,
}

impl Default for CollectConfig {
    fn default() -> Self {
        Self {
            dedupe_days: 7,
            dedupe_memory_mib: 256,
            dedupe_merge_batches: 2_048,
            partitions: 8,
            queue_kib: 65_536,
            receive_kib: 32_768,
            source_cache_ms: 2_000,
            dead_letter_days: 365,
            slow_store_seconds: 5,
        }
    }
}

impl CollectConfig {
    pub(crate) fn dedupe_window_us(&self) -> i64 {
        i64::from(self.dedupe_days) * 24 * 3_600 * 1_000_000
    }

    pub(crate) fn dedupe_memory_bytes(&self) -> usize {
        (self.dedupe_memory_mib as usize) << 20
    }

    /// How long a dead letter is kept, in microseconds; `None` for ever.
    pub(crate) fn dead_letter_life_us(&self) -> Option<i64> {
        (self.dead_letter_days > 0).then(|| i64::from(self.dead_letter_days) * 24 * 3_600 * 1_000_000)
    }

    /// How long a transaction may take before the store counts as slow.
    pub(crate) fn slow_store(&self) -> Duration {
        Duration::from_secs(self.slow_store_seconds.into())
    }

    pub(crate) fn source_cache_ttl(&self) -> Duration {
        Duration::from_millis(self.source_cache_ms)
    }
}

/// Section `[consent]`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ConsentConfig {
    /// What the keys of events that wait for an answer are sealed with: at least 16 characters, the same at every
    /// replica. Empty: no policy can make events wait. When it is changed, what waits cannot be opened any more.
    pub seal_secret: Secret,
}

/// Section `[enrich]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EnrichConfig {
    /// A file of MaxMind's format (GeoLite2 City or Country, DB-IP) that tells coarse places of network addresses; empty
    /// for none. It is held in memory.
    pub geo_file: String,
    /// How often the file is looked at, in seconds: when it changed, it is read again. 1 to 86400.
    pub geo_check_seconds: u32,
}

impl Default for EnrichConfig {
    fn default() -> Self {
        Self { geo_file: String::new(), geo_check_seconds: 60 }
    }
}

/// Section `[bootstrap]`: a source that is there from the start, so that a fresh installation can be written to. Nothing
/// happens while `write_key` is empty, nor when the tenant has a source of this name already.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BootstrapConfig {
    /// Whose source it is.
    pub tenant: String,
    /// Name of the source.
    pub source: String,
    /// Write key of the source: 8 to 100 characters of `[A-Za-z0-9_-]`.
    pub write_key: Secret,
    /// Currency of amounts that come without one; empty for none.
    pub default_currency: String,
}

impl Default for BootstrapConfig {
    fn default() -> Self {
        Self {
            tenant: "default".to_owned(),
            source: "site".to_owned(),
            write_key: Secret::default(),
            default_currency: String::new(),
        }
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
        let collect = &self.collect;
        violations.check((1..=400).contains(&collect.dedupe_days), "collect.dedupe_days", "must be 1 to 400");
        let memory = collect.dedupe_memory_mib;
        violations.check((1..=65_536).contains(&memory), "collect.dedupe_memory_mib", "must be 1 to 65536");
        let batches = collect.dedupe_merge_batches;
        violations.check((1..=65_536).contains(&batches), "collect.dedupe_merge_batches", "must be 1 to 65536");
        violations.check((1..=1024).contains(&collect.partitions), "collect.partitions", "must be 1 to 1024");
        violations.check(collect.queue_kib >= 1024, "collect.queue_kib", "must be 1024 or more");
        violations.check(collect.receive_kib >= 32_768, "collect.receive_kib", "must be 32768 or more");
        violations.check(collect.source_cache_ms <= 60_000, "collect.source_cache_ms", "must be at most 60000");
        let is_bounded = (1..=3_600).contains(&collect.slow_store_seconds);
        violations.check(is_bounded, "collect.slow_store_seconds", "must be 1 to 3600");
        violations.check(collect.dead_letter_days <= 3_650, "collect.dead_letter_days", "must be at most 3650");

        self.retention.validate("retention", violations);

        let secret = self.consent.seal_secret.expose();
        let strong = secret.is_empty() || secret.chars().count() >= 16;
        violations.check(strong, "consent.seal_secret", "must be empty or at least 16 characters");
        let seconds = self.enrich.geo_check_seconds;
        violations.check((1..=86_400).contains(&seconds), "enrich.geo_check_seconds", "must be 1 to 86400");

        let bootstrap = &self.bootstrap;
        if bootstrap.write_key.expose().is_empty() {
            return;
        }
        let currency = bootstrap.default_currency.as_str();
        violations.take(kit::TenantId::try_from(bootstrap.tenant.as_str()), "bootstrap.tenant");
        violations.check(
            write_key::is_well_formed(bootstrap.write_key.expose()),
            "bootstrap.write_key",
            "must be 8 to 100 characters of [A-Za-z0-9_-]",
        );
        violations.check(
            currency.is_empty() || Currency::parse(currency).is_some(),
            "bootstrap.default_currency",
            "must be an active code of ISO 4217",
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_valid_and_nonsense_is_named() {
        let mut violations = Violations::new();
        Config::default().validate(&mut violations);
        assert!(violations.is_empty());

        let mut config = Config::default();
        config.collect.dedupe_days = 0;
        config.consent.seal_secret = "weak".into();
        config.bootstrap.write_key = "short".into();
        config.bootstrap.default_currency = "XYZ".into();
        config.validate(&mut violations);
        let fields: Vec<String> =
            violations.finish().unwrap_err().violations.into_iter().map(|violation| violation.field).collect();
        assert_eq!(
            fields,
            ["collect.dedupe_days", "consent.seal_secret", "bootstrap.write_key", "bootstrap.default_currency"]
        );
    }
}

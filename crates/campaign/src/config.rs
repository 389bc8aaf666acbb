use std::net::SocketAddr;

use kit::{
    Error, Violations,
    config::{AuthConfig, ClockConfig, GatewayClientConfig, Secret, ServerConfig, StoreConfig, TelemetryConfig},
};
use lettre::{Address, message::Mailbox};
use serde::{Deserialize, Serialize};

use crate::domain::token::Keys;

/// Configuration of campaign; every key has a default but the secrets.
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
    /// Where the other services are reached.
    pub gateway: GatewayClientConfig,
    /// The mail server.
    pub smtp: SmtpConfig,
    /// Links in messages.
    pub links: LinksConfig,
    /// Suppressed addresses.
    pub suppression: SuppressionConfig,
    /// How much it keeps in memory.
    pub memory: MemoryConfig,
}

/// Section `[smtp]`: the mail server that messages are handed to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SmtpConfig {
    /// Name or address of the mail server.
    pub host: String,
    /// Its port: 25 or 587 without or with STARTTLS, 465 with TLS from the start.
    pub port: u16,
    /// How the connection is protected: `none`, `starttls` (required, not merely tried) or `tls`.
    pub tls: SmtpTls,
    /// Name to sign in with; empty not to sign in.
    pub user: String,
    /// Password to sign in with.
    pub password: Secret,
    /// Address that messages come from. Its domain stands in the Message-ID.
    pub from_address: String,
    /// Name that messages come from.
    pub from_name: String,
    /// Name to greet the mail server with; the machine's own when empty.
    pub hello_name: String,
    /// Connections at most. After a crash as many messages at most are in doubt.
    pub connections: usize,
}

/// How the connection to the mail server is protected.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SmtpTls {
    /// Not at all: only for a server on the same machine or network.
    #[default]
    None,
    /// Encrypted after the greeting; refused when the server cannot.
    Starttls,
    /// Encrypted from the start.
    Tls,
}

/// Section `[links]`: what links in messages lead to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LinksConfig {
    /// Address under which people reach the gateway, `https://…` without a slash at the end.
    pub public_base_url: String,
    /// Secret that links are signed with. Changing it makes the links in messages already sent useless. The secret of
    /// `[auth]` serves when it is empty.
    pub secret: Secret,
}

/// Section `[suppression]`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SuppressionConfig {
    /// Secret that addresses are hashed with. Changing it forgets every suppression. The secret of `[auth]` serves when it
    /// is empty.
    pub secret: Secret,
}

/// Section `[memory]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MemoryConfig {
    /// People kept in memory per partition of a tenant: about 1 KB each.
    pub contacts: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            server: ServerConfig { listen: SocketAddr::from(([127, 0, 0, 1], 50056)), ..ServerConfig::default() },
            store: StoreConfig { url: "sqlite:data/campaign.db".into(), ..StoreConfig::default() },
            auth: AuthConfig::default(),
            telemetry: TelemetryConfig::default(),
            clock: ClockConfig::default(),
            gateway: GatewayClientConfig::default(),
            smtp: SmtpConfig::default(),
            links: LinksConfig::default(),
            suppression: SuppressionConfig::default(),
            memory: MemoryConfig::default(),
        }
    }
}

impl Default for SmtpConfig {
    fn default() -> Self {
        Self {
            host: "127.0.0.1".to_owned(),
            port: 25,
            tls: SmtpTls::None,
            user: String::new(),
            password: Secret::default(),
            from_address: "shop@localhost.localdomain".to_owned(),
            from_name: "Comptoir".to_owned(),
            hello_name: String::new(),
            connections: 16,
        }
    }
}

impl Default for LinksConfig {
    fn default() -> Self {
        Self { public_base_url: "http://127.0.0.1:50050".to_owned(), secret: Secret::default() }
    }
}

impl Default for MemoryConfig {
    fn default() -> Self {
        Self { contacts: 5_000 }
    }
}

impl Config {
    /// Records what is wrong with the sections of campaign, by key.
    pub(crate) fn check(&self, violations: &mut Violations) {
        violations.check(!self.smtp.host.is_empty(), "smtp.host", "must be given");
        violations.check(
            self.smtp.from_address.parse::<Address>().is_ok(),
            "smtp.from_address",
            "must be an e-mail address",
        );
        let plain_name = !self.smtp.from_name.chars().any(char::is_control);
        violations.check(plain_name, "smtp.from_name", "must be one line");
        violations.check((1..=1_000).contains(&self.smtp.connections), "smtp.connections", "must be 1 to 1,000");
        let base = url::Url::parse(&self.links.public_base_url).ok();
        let web = base.is_some_and(|url| matches!(url.scheme(), "http" | "https") && url.query().is_none());
        violations.check(web, "links.public_base_url", "must be an http or https address");
        violations.check(self.memory.contacts > 0, "memory.contacts", "must be above 0");
        for (secret, key) in [(&self.links.secret, "links.secret"), (&self.suppression.secret, "suppression.secret")] {
            let long_enough = self.secret(secret).len() >= 16;
            violations.check(long_enough, key, "must be 16 bytes or more, or empty while auth.secret is that long");
        }
    }

    /// Returns the keys that links are signed and addresses hashed with.
    pub(crate) fn keys(&self) -> Keys {
        Keys::new(self.secret(&self.links.secret), self.secret(&self.suppression.secret))
    }

    /// Returns whom messages come from.
    pub(crate) fn sender(&self) -> Result<Mailbox, Error> {
        let address: Address = self.smtp.from_address.parse().map_err(Error::internal)?;
        let name = Some(self.smtp.from_name.clone()).filter(|name| !name.is_empty());
        Ok(Mailbox::new(name, address))
    }

    /// Returns the address of the gateway without a slash at the end.
    pub(crate) fn base_url(&self) -> String {
        self.links.public_base_url.trim_end_matches('/').to_owned()
    }

    fn secret<'c>(&'c self, own: &'c Secret) -> &'c [u8] {
        match own.expose().is_empty() {
            true => self.auth.secret.expose().as_bytes(),
            false => own.expose().as_bytes(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_lack_only_the_secrets() {
        let mut config = Config::default();
        let mut violations = Violations::new();
        config.check(&mut violations);
        let error = violations.finish().unwrap_err();
        let fields: Vec<&str> = error.violations.iter().map(|violation| violation.field.as_str()).collect();
        assert_eq!(fields, ["links.secret", "suppression.secret"]);

        config.auth.secret = "a secret of at least 16 bytes".into();
        let mut violations = Violations::new();
        config.check(&mut violations);
        violations.finish().unwrap();
    }
}

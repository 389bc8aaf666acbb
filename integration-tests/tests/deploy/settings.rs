//! What the services make of the settings that a deployment gives them.

use std::{collections::BTreeMap, net::SocketAddr};

use kit::{Violations, binary::ServiceConfig};

/// The services, in the order of the flow, with the port that each has in every deployment.
pub(crate) const SERVICES: [(&str, u16); 6] = [
    ("gateway", 8080),
    ("ingestion", 50052),
    ("identity", 50053),
    ("scoring", 50054),
    ("recommendation", 50055),
    ("campaign", 50056),
];

/// What a service read.
pub(crate) struct Settings {
    pub(crate) listen: SocketAddr,
    pub(crate) migrates: bool,
    pub(crate) store_url: String,
    pub(crate) cache_url: String,
    pub(crate) table: toml::Table,
}

impl Settings {
    /// Returns a text such as `upstreams.identity`.
    pub(crate) fn text(&self, section: &str, key: &str) -> Option<&str> {
        self.table.get(section)?.get(key)?.as_str()
    }
}

/// Lets the service itself read the environment, as its binary does before it serves: unknown keys, wrong types and values that it
/// refuses are errors.
pub(crate) fn read(service: &str, env: &BTreeMap<String, String>) -> Settings {
    match service {
        "gateway" => read_as::<gateway::Config>(service, env),
        "ingestion" => read_as::<ingestion::Config>(service, env),
        "identity" => read_as::<identity::Config>(service, env),
        "scoring" => read_as::<scoring::Config>(service, env),
        "recommendation" => read_as::<recommendation::Config>(service, env),
        "campaign" => read_as::<campaign::Config>(service, env),
        other => panic!("{other} is no service"),
    }
}

fn read_as<C: ServiceConfig>(service: &str, env: &BTreeMap<String, String>) -> Settings {
    let config: C = kit::config::load(None, env.clone()).unwrap_or_else(|error| panic!("{service}: {error}"));
    let mut violations = Violations::new();
    config.auth().validate(&mut violations);
    config.validate(&mut violations);
    violations.finish().unwrap_or_else(|error| panic!("{service}: {error:?}"));

    Settings {
        listen: config.server().listen,
        migrates: config.store().migrate,
        store_url: config.store().url.expose().clone(),
        cache_url: config.store().cache_url.expose().clone(),
        table: kit::config::print(&config).parse().expect("printed settings are TOML"),
    }
}

/// Checks what holds in every deployment: who listens where, and who finds whom.
pub(crate) fn check_addresses(service: &str, port: u16, settings: &Settings) {
    assert!(settings.listen.ip().is_unspecified(), "{service} is reached from outside its container");
    assert_eq!(settings.listen.port(), port, "{service}");
    assert!(settings.store_url.starts_with("postgres://"), "{service}");
    assert!(settings.store_url.ends_with(&format!("/comptoir_{service}")), "{service} has a database of its own");
    assert!(settings.cache_url.starts_with("redis://"), "{service}");

    match service {
        "gateway" => {
            for (upstream, port) in SERVICES.into_iter().filter(|(name, _)| *name != "gateway") {
                let address = format!("http://{upstream}:{port}");
                assert_eq!(settings.text("upstreams", upstream), Some(address.as_str()));
            }
        }
        "ingestion" => {}
        _ => assert_eq!(settings.text("gateway", "url"), Some("http://gateway:8080"), "{service}"),
    }
}

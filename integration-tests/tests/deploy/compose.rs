use std::collections::BTreeMap;

use serde_json::Value;

use crate::{
    files,
    settings::{self, SERVICES},
};

/// Stands for a value that the person who starts the cluster gives.
const GIVEN: &str = "a-secret-of-32-random-characters";

/// Replaces `${NAME:?why}` and `${NAME:-default}`.
fn substituted(text: &str) -> String {
    let Some(variable) = text.strip_prefix("${").and_then(|rest| rest.strip_suffix('}')) else {
        assert!(!text.contains('$'), "{text}: a variable stands alone");
        return text.to_owned();
    };
    if let Some((_, default)) = variable.split_once(":-") {
        return default.to_owned();
    }
    assert!(variable.contains(":?"), "{text}: a variable has a default or says what it is");
    GIVEN.to_owned()
}

fn variables(service: &Value) -> BTreeMap<String, String> {
    let file = service["env_file"].as_str().expect("settings of the service");
    let mut variables = files::env(&files::deploy().join(file));
    let own = files::strings(service, "/environment");
    variables.extend(own.into_iter().map(|(key, value)| (key, substituted(&value))));
    variables
}

#[test]
fn compose_runs_every_service_with_settings_that_it_accepts() {
    let compose = files::yaml(&files::deploy().join("compose.yaml")).remove(0);
    let databases = files::text(&files::deploy().join("databases.sql"));
    let services = compose["services"].as_object().unwrap();

    assert_eq!(services.len(), SERVICES.len() + 2, "the services, PostgreSQL and Redis");
    for (name, port) in SERVICES {
        let service = &services[name];
        assert_eq!(service["build"]["args"]["SERVICE"], name);
        assert_eq!(service["image"], format!("comptoir/{name}:{}", env!("CARGO_PKG_VERSION")).as_str());
        assert!(databases.contains(&format!("CREATE DATABASE comptoir_{name};")));

        let settings = settings::read(name, &variables(service));
        settings::check_addresses(name, port, &settings);
        assert!(settings.migrates, "{name}: nobody else migrates");
        assert_eq!(service["ports"].is_array(), name == "gateway", "the gateway is the only address that anyone knows");
    }
    for name in ["postgres", "redis"] {
        assert!(services[name]["healthcheck"]["test"].is_array(), "{name}: the services wait for it");
    }
}

#[test]
fn the_dockerfile_builds_every_service_and_checks_its_health() {
    let dockerfile = files::text(&files::deploy().join("Dockerfile"));

    let names = SERVICES.map(|(name, _)| name).join("|");
    assert!(dockerfile.contains(&format!("{names}) program=")), "the services that may be built");
    for line in ["USER 10001:10001", "HEALTHCHECK", r#"CMD ["/usr/local/bin/service", "healthcheck"]"#] {
        assert!(dockerfile.contains(line), "{line}");
    }
}

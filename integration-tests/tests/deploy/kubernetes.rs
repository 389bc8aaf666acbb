use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    process::Command,
};

use serde_json::{Value, json};

use crate::{
    files, kustomize,
    settings::{self, SERVICES},
};

fn folder() -> PathBuf {
    files::deploy().join("kubernetes")
}

fn find<'a>(documents: &'a [Value], kind: &str, name: &str) -> &'a Value {
    let mut found = documents.iter().filter(|document| {
        let is_named = |text: &str| text == name || is_generated(text, name);
        document["kind"] == kind && document["metadata"]["name"].as_str().is_some_and(is_named)
    });
    let first = found.next().unwrap_or_else(|| panic!("there is no {kind} {name}"));
    assert!(found.next().is_none(), "there is one {kind} {name}");
    first
}

/// Kustomize appends ten characters of a hash to the name of a generated ConfigMap.
fn is_generated(text: &str, name: &str) -> bool {
    text.strip_prefix(name).and_then(|rest| rest.strip_prefix('-')).is_some_and(|hash| hash.len() == 10)
}

fn named<'a>(list: &'a Value, name: &str) -> &'a Value {
    let items = list.as_array().unwrap_or_else(|| panic!("a list of named things, not {list}"));
    items.iter().find(|item| item["name"] == name).unwrap_or_else(|| panic!("{name} is missing"))
}

/// Returns the data of the example Secrets by name.
fn example_secrets() -> BTreeMap<String, BTreeMap<String, String>> {
    files::yaml(&folder().join("secrets.example.yaml"))
        .iter()
        .map(|secret| {
            assert_eq!(secret["kind"], "Secret");
            assert_eq!(secret["metadata"]["namespace"], "comptoir");
            let name = secret["metadata"]["name"].as_str().expect("a Secret has a name").to_owned();
            (name, files::strings(secret, "/stringData"))
        })
        .collect()
}

/// Returns the variables that a container has, from its ConfigMap and the example Secrets.
fn variables(documents: &[Value], container: &Value) -> BTreeMap<String, String> {
    let secrets = example_secrets();
    let mut variables = BTreeMap::new();
    for source in container["envFrom"].as_array().expect("settings come from elsewhere") {
        if let Some(name) = source.pointer("/configMapRef/name").and_then(Value::as_str) {
            let map = documents.iter().find(|map| map["kind"] == "ConfigMap" && map["metadata"]["name"] == name);
            variables.extend(files::strings(map.unwrap_or_else(|| panic!("no ConfigMap {name}")), "/data"));
        } else {
            let name = source.pointer("/secretRef/name").and_then(Value::as_str).expect("a ConfigMap or a Secret");
            variables.extend(secrets.get(name).unwrap_or_else(|| panic!("no example of Secret {name}")).clone());
        }
    }
    variables
}

fn check(documents: &[Value]) {
    assert_eq!(documents.len(), 1 + 4 * SERVICES.len(), "a namespace, and four things for each service");
    for (service, port) in SERVICES {
        find(documents, "ConfigMap", service);
        check_service(find(documents, "Service", service), service, port);
        check_budget(find(documents, "PodDisruptionBudget", service), service);

        let deployment = find(documents, "Deployment", service);
        assert_eq!(deployment["metadata"]["namespace"], "comptoir");
        assert_eq!(deployment["spec"]["selector"]["matchLabels"], json!({"app.kubernetes.io/name": service}));
        assert_eq!(deployment["spec"]["template"]["metadata"]["labels"]["app.kubernetes.io/name"], service);
        assert_eq!(
            deployment["spec"]["template"]["metadata"]["annotations"]["prometheus.io/port"],
            port.to_string().as_str(),
            "the port that metrics are read from"
        );
        let pod = &deployment["spec"]["template"]["spec"];
        let container = named(&pod["containers"], "service");
        let migration = named(&pod["initContainers"], "migrate");
        check_pod(pod, service);
        check_container(container, service, port);
        check_migration(migration, container, service);

        let settings = settings::read(service, &variables(documents, container));
        settings::check_addresses(service, port, &settings);
        assert!(!settings.migrates, "{service}: the init container migrates, the server does not");
    }
}

fn check_service(document: &Value, service: &str, port: u16) {
    assert_eq!(document["spec"]["selector"], json!({"app.kubernetes.io/name": service}));
    let rpc = named(&document["spec"]["ports"], "rpc");
    assert_eq!(rpc["port"], port, "{service} is found where the gateway looks for it");
    assert_eq!(rpc["targetPort"], "rpc");
}

fn check_budget(document: &Value, service: &str) {
    assert_eq!(document["spec"]["selector"]["matchLabels"], json!({"app.kubernetes.io/name": service}));
}

fn check_pod(pod: &Value, service: &str) {
    assert_eq!(pod["securityContext"]["runAsNonRoot"], true, "{service}");
    assert_eq!(pod["automountServiceAccountToken"], false, "{service}");
    let grace = pod["terminationGracePeriodSeconds"].as_u64().expect("a time to end");
    let drain = kit::config::ServerConfig::default().drain_seconds;
    assert!(grace > drain + 5, "{service}: {grace} s must cover preStop and a drain of {drain} s");
}

fn check_container(container: &Value, service: &str, port: u16) {
    assert_eq!(container["image"], image(service).as_str());
    assert_eq!(named(&container["ports"], "rpc")["containerPort"], port);
    assert_eq!(container["livenessProbe"]["httpGet"], json!({"path": "/healthz", "port": "rpc"}));
    assert_eq!(container["startupProbe"]["httpGet"], json!({"path": "/healthz", "port": "rpc"}));
    assert_eq!(container["readinessProbe"]["httpGet"], json!({"path": "/readyz", "port": "rpc"}));
    check_limits(container, service);
}

fn check_migration(migration: &Value, container: &Value, service: &str) {
    assert_eq!(migration["args"], json!(["migrate"]));
    assert_eq!(migration["image"], container["image"], "{service}: the image that serves also migrates");
    assert_eq!(migration["envFrom"], container["envFrom"], "{service}: with the same settings");
    check_limits(migration, service);
}

fn check_limits(container: &Value, service: &str) {
    for at in ["/resources/requests/cpu", "/resources/requests/memory", "/resources/limits/memory"] {
        assert!(container.pointer(at).is_some_and(Value::is_string), "{service}: {at} is missing");
    }
    let security = &container["securityContext"];
    assert_eq!(security["allowPrivilegeEscalation"], false, "{service}");
    assert_eq!(security["readOnlyRootFilesystem"], true, "{service}");
    assert_eq!(security["capabilities"]["drop"], json!(["ALL"]), "{service}");
}

fn image(service: &str) -> String {
    format!("comptoir/{service}:{}", env!("CARGO_PKG_VERSION"))
}

#[test]
fn the_manifests_deploy_every_service_with_settings_that_it_accepts() {
    check(&kustomize::render(&folder()));
}

#[test]
fn kubectl_renders_what_was_checked() {
    let output = match Command::new("kubectl").arg("kustomize").arg(folder()).output() {
        Ok(output) => output,
        Err(error) => {
            eprintln!("skipped: kubectl cannot be run ({error})");
            return;
        }
    };

    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    check(&files::documents(&String::from_utf8_lossy(&output.stdout)).unwrap());
}

#[test]
fn no_file_is_forgotten() {
    let folder = folder();
    let mut expected = kustomize::references(&folder);
    expected.extend(["kustomization.yaml".to_owned(), "secrets.example.yaml".to_owned()]);

    assert_eq!(kustomize::all_files(&folder), expected);
}

#[test]
fn the_examples_are_the_secrets_that_are_used() {
    let mut used = BTreeSet::from(["comptoir"]);
    used.extend(SERVICES.map(|(service, _)| service));

    assert!(example_secrets().keys().map(String::as_str).eq(used));
}

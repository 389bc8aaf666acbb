use std::{collections::BTreeSet, fs, path::Path};

use serde_json::Value;

use crate::files;

/// What metrics of ours begin with.
const PREFIXES: [&str; 2] = ["comptoir_", "rpc_server_"];

/// What exposition appends to the name of a counter or a histogram.
const SUFFIXES: [&str; 4] = ["_total", "_bucket", "_sum", "_count"];

/// Collects every PromQL text.
fn expressions<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
    match value {
        Value::Object(map) => {
            found.extend(map.get("expr").and_then(Value::as_str));
            map.values().for_each(|inner| expressions(inner, found));
        }
        Value::Array(items) => items.iter().for_each(|inner| expressions(inner, found)),
        _ => {}
    }
}

/// Returns the metrics in an expression by the name that they are registered under.
fn metrics(expression: &str) -> impl Iterator<Item = String> {
    expression
        .split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_')
        .filter(|word| PREFIXES.iter().any(|prefix| word.starts_with(prefix)))
        .map(|word| SUFFIXES.iter().find_map(|suffix| word.strip_suffix(suffix)).unwrap_or(word).to_owned())
}

fn sources(folder: &Path, text: &mut String) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, text);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            text.push_str(&files::text(&path));
        }
    }
}

#[test]
fn the_dashboard_shows_metrics_that_exist() {
    let dashboard: Value =
        serde_json::from_str(&files::text(&files::deploy().join("dashboards/comptoir.json"))).unwrap();
    let mut code = String::new();
    sources(&files::root().join("crates"), &mut code);

    let mut found = Vec::new();
    expressions(&dashboard, &mut found);
    let shown: BTreeSet<String> = found.into_iter().flat_map(metrics).collect();

    assert!(shown.len() > 5, "{shown:?}");
    for name in shown {
        assert!(code.contains(&format!("\"{name}\"")), "no service counts {name}");
    }
}

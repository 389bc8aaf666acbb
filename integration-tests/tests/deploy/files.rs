//! Reading what lies in `deploy/`.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use serde_json::Value;

pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate lies in the workspace").to_owned()
}

pub(crate) fn deploy() -> PathBuf {
    root().join("deploy")
}

pub(crate) fn text(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Returns the documents of a YAML file; empty ones are left out.
pub(crate) fn yaml(path: &Path) -> Vec<Value> {
    documents(&text(path)).unwrap_or_else(|problem| panic!("{}: {problem}", path.display()))
}

pub(crate) fn documents(text: &str) -> Result<Vec<Value>, String> {
    let documents: Vec<Value> = serde_saphyr::from_multiple(text).map_err(|error| error.to_string())?;
    Ok(documents.into_iter().filter(|document| !document.is_null()).collect())
}

/// Returns the lines `KEY=VALUE` of a file, as Kustomize and Compose both read them.
pub(crate) fn env(path: &Path) -> BTreeMap<String, String> {
    let text = text(path);
    let lines = text.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#'));
    lines
        .map(|line| line.split_once('=').unwrap_or_else(|| panic!("{}: {line:?}", path.display())))
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect()
}

/// Returns a map of strings under `at`, such as `/data` of a ConfigMap. Anything but strings is a mistake that a cluster refuses.
pub(crate) fn strings(document: &Value, at: &str) -> BTreeMap<String, String> {
    let map =
        document.pointer(at).and_then(Value::as_object).unwrap_or_else(|| panic!("{at} is missing in {document}"));
    map.iter()
        .map(|(key, value)| {
            (key.clone(), value.as_str().unwrap_or_else(|| panic!("{at}/{key} is not a string")).to_owned())
        })
        .collect()
}

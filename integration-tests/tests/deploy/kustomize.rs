//! As much of Kustomize as `deploy/kubernetes` uses, for machines without `kubectl`.

use std::{collections::BTreeSet, fs, path::Path};

use serde_json::{Map, Value, json};

use crate::files;

/// Renders a kustomization. Refuses what it does not understand, so that nothing goes unchecked.
pub(crate) fn render(folder: &Path) -> Vec<Value> {
    let kustomization = files::yaml(&folder.join("kustomization.yaml")).remove(0);
    let known = ["apiVersion", "kind", "namespace", "labels", "resources", "configMapGenerator", "patches", "images"];
    for key in kustomization.as_object().expect("a kustomization is a map").keys() {
        assert!(known.contains(&key.as_str()), "kustomization.yaml: {key} is not understood here");
    }

    let mut documents: Vec<Value> = list(&kustomization, "resources")
        .flat_map(|name| files::yaml(&folder.join(name.as_str().expect("a resource is a path"))))
        .collect();
    documents.extend(list(&kustomization, "configMapGenerator").map(|generator| config_map(folder, generator)));
    for patch in list(&kustomization, "patches") {
        let kind = patch.pointer("/target/kind").expect("patches choose by kind");
        let path = patch["path"].as_str().expect("patches are files");
        let change = files::yaml(&folder.join(path)).remove(0);
        for document in documents.iter_mut().filter(|document| document["kind"] == *kind) {
            let name = document["metadata"]["name"].clone();
            merge(document, &change);
            document["metadata"]["name"] = name;
        }
    }
    for document in &mut documents {
        if document["kind"] != "Namespace" {
            document["metadata"]["namespace"] = kustomization["namespace"].clone();
        }
        for image in list(&kustomization, "images") {
            tag(document, image);
        }
    }
    documents
}

/// Returns the files that the kustomization refers to, relative to its folder.
pub(crate) fn references(folder: &Path) -> BTreeSet<String> {
    let kustomization = files::yaml(&folder.join("kustomization.yaml")).remove(0);
    let resources = list(&kustomization, "resources");
    let patches = list(&kustomization, "patches").map(|patch| &patch["path"]);
    let envs = list(&kustomization, "configMapGenerator").flat_map(|generator| list(generator, "envs"));
    resources.chain(patches).chain(envs).map(|path| path.as_str().expect("a path is text").to_owned()).collect()
}

/// Returns every file below `folder`, relative to it.
pub(crate) fn all_files(folder: &Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut waiting = vec![folder.to_owned()];
    while let Some(next) = waiting.pop() {
        for entry in fs::read_dir(&next).expect("the folder can be read") {
            let path = entry.expect("the folder can be read").path();
            if path.is_dir() {
                waiting.push(path);
            } else {
                found.insert(path.strip_prefix(folder).expect("it lies below").to_string_lossy().into_owned());
            }
        }
    }
    found
}

fn list<'a>(value: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> {
    value.get(key).and_then(Value::as_array).into_iter().flatten()
}

fn config_map(folder: &Path, generator: &Value) -> Value {
    let data: Map<String, Value> = list(generator, "envs")
        .flat_map(|path| files::env(&folder.join(path.as_str().expect("a path is text"))))
        .map(|(key, value)| (key, Value::from(value)))
        .collect();
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": generator["name"]}, "data": data})
}

/// A strategic merge: maps are merged, lists of named things are merged by name, everything else is replaced.
fn merge(target: &mut Value, change: &Value) {
    match (target, change) {
        (Value::Object(target), Value::Object(change)) => {
            for (key, value) in change {
                merge(target.entry(key.clone()).or_insert(Value::Null), value);
            }
        }
        (Value::Array(target), Value::Array(change)) if change.iter().all(|item| item.get("name").is_some()) => {
            for item in change {
                match target.iter_mut().find(|known| known["name"] == item["name"]) {
                    Some(known) => merge(known, item),
                    None => target.push(item.clone()),
                }
            }
        }
        (target, change) => *target = change.clone(),
    }
}

/// Gives the image its tag wherever it is used.
fn tag(value: &mut Value, image: &Value) {
    match value {
        Value::Object(map) => {
            if map.get("image").is_some_and(|used| *used == image["name"]) {
                let name = image["name"].as_str().expect("an image is text");
                let tag = image["newTag"].as_str().expect("a tag is text");
                map.insert("image".into(), format!("{name}:{tag}").into());
            }
            map.values_mut().for_each(|inner| tag(inner, image));
        }
        Value::Array(items) => items.iter_mut().for_each(|inner| tag(inner, image)),
        _ => {}
    }
}

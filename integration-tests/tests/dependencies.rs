//! What Comptoir is made of: every licence allowed, few crates twice, and not more crates than a newcomer waits for.
//!
//! Reads what Cargo has already downloaded; needs no network.

use std::{
    collections::{BTreeMap, BTreeSet},
    env,
    process::Command,
};

use serde_json::Value;

/// Licences that ask for nothing but to be named. `CDLA-Permissive-2.0` is that of the root certificates, which are data.
const ALLOWED: [&str; 13] = [
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

/// Most crates in the command `comptoir`, ours included. They are compiled before the first result can be seen, so each new one has
/// to be worth its wait; `deploy/README.md` says what the heavy ones are for.
const MOST_CRATES: usize = 310;

/// Crates that are there in several versions, and because of whom. A new one needs a line here, one that went away loses its own.
const SEVERAL: [(&str, &str); 12] = [
    ("base64", "lettre is ahead of tonic and sqlx"),
    ("block-buffer", "the generations of RustCrypto"),
    ("cpufeatures", "the generations of RustCrypto"),
    ("crypto-common", "the generations of RustCrypto"),
    ("digest", "the generations of RustCrypto: sqlx is still on the one before"),
    ("getrandom", "ring, and the generations of rand"),
    ("hashbrown", "sqlx is still on the one before"),
    ("nom", "lettre is ahead of cel"),
    ("rand", "opentelemetry is still on the one before"),
    ("rand_core", "the generations of rand"),
    ("sha2", "the generations of RustCrypto"),
    ("syn", "derive macros, of two generations"),
];

fn cargo(arguments: &[&str]) -> String {
    let program = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(program)
        .args(arguments)
        .args(["--offline", "--locked"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo can be run");
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("cargo writes UTF-8")
}

/// Returns the platform that the tests run on: of others, not everything is downloaded.
fn platform() -> String {
    let program = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(program).arg("-vV").output().expect("rustc can be run");
    let text = String::from_utf8(output.stdout).expect("rustc writes UTF-8");
    text.lines().find_map(|line| line.strip_prefix("host: ")).expect("rustc names its host").to_owned()
}

/// Returns the crates in the command `comptoir`, as (name, version).
fn crates() -> BTreeSet<(String, String)> {
    cargo(&["tree", "--package", "comptoir", "--edges", "normal", "--prefix", "none", "--format", "{p}"])
        .lines()
        .filter_map(|line| {
            let mut words = line.split(' ');
            Some((words.next()?.to_owned(), words.next()?.to_owned()))
        })
        .collect()
}

/// Tells whether a licence expression can be met with allowed licences. `/` is how old crates write OR.
fn is_allowed(expression: &str) -> bool {
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ").replace(" WITH ", "+WITH+");
    let mut words = spaced.split_whitespace().peekable();
    let allowed = any(&mut words);
    allowed && words.next().is_none()
}

type Words<'a> = std::iter::Peekable<std::str::SplitWhitespace<'a>>;

fn any(words: &mut Words) -> bool {
    let mut allowed = all(words);
    while words.next_if_eq(&"OR").is_some() {
        allowed |= all(words);
    }
    allowed
}

fn all(words: &mut Words) -> bool {
    let mut allowed = one(words);
    while words.next_if_eq(&"AND").is_some() {
        allowed &= one(words);
    }
    allowed
}

fn one(words: &mut Words) -> bool {
    if words.next_if_eq(&"(").is_some() {
        let allowed = any(words);
        return words.next() == Some(")") && allowed;
    }
    let Some(licence) = words.next() else { return false };
    ALLOWED.contains(&licence.replace("+WITH+", " WITH ").as_str())
}

#[test]
fn licence_expressions_are_understood() {
    for allowed in ["MIT", "MIT OR GPL-3.0", "(MIT OR Apache-2.0) AND Unicode-3.0", "Apache-2.0/MIT", "GPL-2.0 / MIT"] {
        assert!(is_allowed(allowed), "{allowed}");
    }
    assert!(is_allowed("Apache-2.0 WITH LLVM-exception OR GPL-3.0"));
    for refused in ["", "GPL-3.0", "MIT AND GPL-3.0", "(MIT", "MIT)", "MIT AND (GPL-2.0 OR AGPL-3.0)", "MIT MIT"] {
        assert!(!is_allowed(refused), "{refused}");
    }
}

#[test]
fn every_licence_is_allowed() {
    let text = cargo(&["metadata", "--format-version", "1", "--filter-platform", &platform()]);
    let metadata: Value = serde_json::from_str(&text).expect("cargo writes JSON");
    let packages = metadata["packages"].as_array().expect("there are packages");

    let refused: Vec<String> = packages
        .iter()
        .filter(|package| !is_allowed(package["license"].as_str().unwrap_or_default()))
        .map(|package| format!("{} {}: {}", package["name"], package["version"], package["license"]))
        .collect();

    assert!(packages.len() > 100);
    assert!(refused.is_empty(), "{}", refused.join("\n"));
}

#[test]
fn the_command_is_made_of_few_crates() {
    let count = crates().len();
    println!("{count} crates make the command comptoir");

    assert!(count <= MOST_CRATES, "{count} crates; leave one out, or say why {MOST_CRATES} is too few");
}

#[test]
fn no_crate_is_there_twice_unnoticed() {
    let mut versions: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (name, version) in crates() {
        versions.entry(name).or_default().insert(version);
    }

    let several: BTreeSet<String> =
        versions.into_iter().filter(|(_, versions)| versions.len() > 1).map(|(name, _)| name).collect();

    assert_eq!(several, BTreeSet::from(SEVERAL.map(|(name, _)| name.to_owned())));
}

//! The committed code is what the contracts generate. After changing a contract, run
//! `UPDATE_GENERATED=1 cargo test -p comptoir-proto --test generated` and commit what it wrote.

use std::{collections::BTreeMap, fs, path::Path};

use prost::Message;

fn proto_files(dir: &Path, found: &mut Vec<std::path::PathBuf>) {
    for entry in fs::read_dir(dir).expect("the proto folder is readable") {
        let path = entry.expect("the entry is readable").path();
        if path.is_dir() {
            proto_files(&path, found);
        } else if path.extension().is_some_and(|e| e == "proto") {
            found.push(path);
        }
    }
}

fn generate(out: &Path) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../proto");
    let mut files = Vec::new();
    proto_files(&root, &mut files);
    files.sort();
    let descriptors = protox::Compiler::new([&root])
        .expect("the proto folder exists")
        .include_source_info(true)
        .include_imports(true)
        .open_files(&files)
        .unwrap_or_else(|e| panic!("the contracts compile: {e:?}"))
        .file_descriptor_set();
    let mut config = prost_build::Config::new();
    config.bytes(["."]).out_dir(out).enable_type_names();
    tonic_prost_build::configure()
        .out_dir(out)
        .compile_fds_with_config(descriptors.clone(), config)
        .expect("the contracts generate code");
    let mut lean = descriptors;
    for file in &mut lean.file {
        file.source_code_info = None;
    }
    fs::write(out.join("descriptors.bin"), lean.encode_to_vec()).expect("the folder is writable");
}

fn contents(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    fs::read_dir(dir)
        .expect("the folder is readable")
        .map(|entry| {
            let path = entry.expect("the entry is readable").path();
            let name = path.file_name().expect("files have names");
            (name.to_string_lossy().into_owned(), fs::read(&path).expect("the file is readable"))
        })
        .filter(|(name, _)| !name.starts_with("google.protobuf"))
        .collect()
}

#[test]
fn the_committed_code_is_what_the_contracts_generate() {
    let fresh = tempfile::tempdir().unwrap();
    generate(fresh.path());
    let fresh = contents(fresh.path());
    let committed_dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/gen");

    if std::env::var_os("UPDATE_GENERATED").is_some() {
        let _ = fs::remove_dir_all(&committed_dir);
        fs::create_dir_all(&committed_dir).unwrap();
        for (name, bytes) in &fresh {
            fs::write(committed_dir.join(name), bytes).unwrap();
        }
    }

    let committed = contents(&committed_dir);
    assert_eq!(committed.keys().collect::<Vec<_>>(), fresh.keys().collect::<Vec<_>>(), "run with UPDATE_GENERATED=1");
    for (name, bytes) in &fresh {
        assert!(committed[name] == *bytes, "{name} is stale: run with UPDATE_GENERATED=1");
    }
}

#![no_main]

use std::sync::LazyLock;

use tempfile::TempDir;

static FOLDER: LazyLock<TempDir> = LazyLock::new(|| tempfile::tempdir().expect("a folder for the file"));

libfuzzer_sys::fuzz_target!(|data: &[u8]| comptoir::import::fuzzing::mapping(data, FOLDER.path()));

//! Replays the seeds of the fuzz targets, and inputs made from them, without libFuzzer: no panic, no unbounded memory.
//! See `fuzz/README.md`.

mod mutate;

use std::{
    env, fs,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::Mutex,
};

use peak_alloc::PeakAlloc;

use self::mutate::Mutator;

#[global_allocator]
static ALLOCATED: PeakAlloc = PeakAlloc;

/// One target at a time, so that what it allocates can be told.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// What one input may allocate at once, beside so many bytes for each of its own.
const MOST_BYTES: usize = 64 << 20;
const FACTOR: usize = 64;
/// Decoding makes a whole event of two bytes before anybody can count them: see "what is open" in `fuzz/README.md`.
const PROTOBUF_FACTOR: usize = 4 << 10;
/// Inputs made for each target, unless `FUZZ_ROUNDS` says how many.
const ROUNDS: u64 = 4_000;

struct Seed {
    name: String,
    content: Vec<u8>,
}

fn seeds(target: &str) -> Vec<Seed> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/seeds").join(target);
    let read = |path: PathBuf| Seed {
        name: path.file_name().expect("a file has a name").to_string_lossy().into_owned(),
        content: fs::read(&path).expect("a seed can be read"),
    };
    let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("a seed is listed").path()).collect();
    paths.sort();
    assert!(!paths.is_empty(), "{target} has no seeds");
    paths.into_iter().map(read).collect()
}

fn replay(target: &str, factor: usize, run: impl Fn(&[u8])) {
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    let seeds = seeds(target);
    for seed in &seeds {
        try_one(target, factor, &seed.content, &format!("seed {}", seed.name), &run);
    }
    let rounds = env::var("FUZZ_ROUNDS").map_or(ROUNDS, |rounds| rounds.parse().expect("FUZZ_ROUNDS is a number"));
    let contents: Vec<&[u8]> = seeds.iter().map(|seed| seed.content.as_slice()).collect();
    for round in 0..rounds {
        let input = Mutator::new(round).make(&contents);
        try_one(target, factor, &input, &format!("round {round}"), &run);
    }
}

fn try_one(target: &str, factor: usize, input: &[u8], what: &str, run: &impl Fn(&[u8])) {
    let before = ALLOCATED.current_usage();
    ALLOCATED.reset_peak_usage();
    let outcome = catch_unwind(AssertUnwindSafe(|| run(input)));
    let most = ALLOCATED.peak_usage().saturating_sub(before);
    let fault = match outcome {
        Err(_) => "panicked (see above)".to_owned(),
        Ok(()) if most > MOST_BYTES + factor * input.len() => format!("allocated {most} bytes"),
        Ok(()) => return,
    };
    let kept = env::temp_dir().join(format!("fuzz-{target}"));
    fs::write(&kept, input).expect("the temporary folder can be written to");
    panic!("{target}, {what}: {fault} on {} bytes, kept as {}", input.len(), kept.display());
}

#[test]
fn http_bodies_do_no_harm() {
    replay("http_body", FACTOR, ingestion::fuzzing::http_body);
}

#[test]
fn typed_events_do_no_harm() {
    replay("protobuf_intake", PROTOBUF_FACTOR, ingestion::fuzzing::protobuf_intake);
}

#[test]
fn tc_strings_do_no_harm() {
    replay("tcf", FACTOR, ingestion::fuzzing::tcf);
}

#[test]
fn gpp_strings_do_no_harm() {
    replay("gpp", FACTOR, ingestion::fuzzing::gpp);
}

#[test]
fn signals_of_consent_do_no_harm() {
    replay("consent_signals", FACTOR, ingestion::fuzzing::consent_signals);
}

#[test]
fn what_a_visit_tells_does_no_harm() {
    replay("edge", FACTOR, ingestion::fuzzing::edge);
}

#[test]
fn mappings_and_their_files_do_no_harm() {
    let folder = tempfile::tempdir().expect("a folder for the file");
    replay("mapping", FACTOR, |input| comptoir::import::fuzzing::mapping(input, folder.path()));
}

#[test]
fn a_target_that_does_harm_is_found() {
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    let fails = |run: fn(&[u8])| catch_unwind(|| try_one("none", FACTOR, b"seed", "a try", &run)).is_err();

    assert!(fails(|_| panic!("on purpose")));
    assert!(fails(|_| drop(std::hint::black_box(vec![1_u8; MOST_BYTES + 1_000]))));
    assert!(!fails(|_| drop(std::hint::black_box(vec![1_u8; MOST_BYTES / 2]))));
}

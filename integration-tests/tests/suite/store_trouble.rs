//! The store in trouble under load, by the command that makes it: nothing is acknowledged that is not stored, refusals say when to
//! come again, readiness tells, and all goes on without a restart.

use std::{path::Path, process::Stdio};

use comptoir::cluster::programs_beside_this_one;
use comptoir_integration_tests::databases::postgres_server;
use serde_json::Value;

/// How often each trouble comes.
const ROUNDS: &str = "2";

/// Runs one kind of trouble, checks what is promised of all, and returns what is told.
async fn trouble(kind: &str, server: Option<String>) -> anyhow::Result<Value> {
    let mut command = tokio::process::Command::new(programs_beside_this_one()?.join("comptoir"));
    command.args(["bench", "trouble", "--kind", kind, "--rounds", ROUNDS]).env_remove("COMPTOIR_BENCH_POSTGRES");
    if let Some(server) = server {
        command.args(["--postgres", &server]);
    }
    let output = command.stdin(Stdio::null()).output().await?;
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{told}{}", String::from_utf8_lossy(&output.stderr));

    let verdict: Value = serde_json::from_str(told.trim())?;
    assert_eq!((&verdict["kind"], &verdict["sound"]), (&kind.into(), &true.into()), "{told}");
    for none in ["lost", "doubled", "invented", "altered", "gaps", "torn", "refused", "refusals_without_wait"] {
        assert_eq!(verdict[none], 0, "{none}: {told}");
    }
    assert!(verdict["acknowledged"].as_u64() > Some(0), "{told}");
    let refusals = verdict["refusals"].as_object().into_iter().flatten();
    for (answer, _) in refusals {
        let is_honest = matches!(
            answer.as_str(),
            "http 503" | "http 429" | "grpc Unavailable" | "grpc ResourceExhausted" | "stream Unavailable"
        );
        assert!(is_honest, "{answer} is not what a store in trouble gives: {told}");
    }
    Ok(verdict)
}

fn may_mount() -> bool {
    let is_root = std::fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let run = |program: &str, arguments: &[&str], folder: &Path| {
        let mut command = std::process::Command::new(program);
        command.args(arguments).arg(folder).stdout(Stdio::null()).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    };
    is_root && run("mount", &["-t", "tmpfs", "tmpfs"], folder.path()) && run("umount", &[], folder.path())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_loses_nothing() -> anyhow::Result<()> {
    if !may_mount() {
        eprintln!(
            "A full disk is left out: no file system can be mounted here. What SQLite does on one is tested by \
             `a_full_disk_takes_nothing_and_all_goes_on_once_there_is_space` of ingestion and its like of store."
        );
        return Ok(());
    }
    trouble("disk", None).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_somebody_else_holds_loses_nothing() -> anyhow::Result<()> {
    trouble("locked", None).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_gone_loses_nothing_and_counts_no_retry_twice() -> anyhow::Result<()> {
    let Some(server) = postgres_server() else {
        eprintln!("PostgreSQL is left out: TEST_POSTGRES_URL is not set");
        return Ok(());
    };
    let told = trouble("gone", Some(server)).await?;
    assert!(told["lost_commits"].as_u64() >= Some(6), "no commit was left open: {told}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_slow_sheds_calls_and_keeps_streams_waiting() -> anyhow::Result<()> {
    let Some(server) = postgres_server() else {
        eprintln!("PostgreSQL is left out: TEST_POSTGRES_URL is not set");
        return Ok(());
    };
    let told = trouble("slow", Some(server)).await?;
    let of_streams =
        told["refusals"].as_object().into_iter().flatten().filter(|(answer, _)| answer.starts_with("stream"));
    assert_eq!(of_streams.count(), 0, "streams wait: {told}");
    Ok(())
}

//! `kill -9` of the collector at random moments, by the command that does it for hours: a few rounds of it on each engine.

use std::process::Stdio;

use comptoir::cluster::programs_beside_this_one;
use comptoir_integration_tests::{Engine, databases::postgres_server};

/// Kills on each engine.
const ROUNDS: &str = "8";

async fn audit(engine: Engine) -> anyhow::Result<()> {
    let mut command = tokio::process::Command::new(programs_beside_this_one()?.join("comptoir"));
    command.args(["bench", "crash", "--rounds", ROUNDS, "--longest-ms", "150"]);
    if let Some(server) = postgres_server().filter(|_| engine == Engine::Postgres) {
        command.env("COMPTOIR_BENCH_POSTGRES", server);
    }
    let output = command.stdin(Stdio::null()).output().await?;
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{told}{}", String::from_utf8_lossy(&output.stderr));

    let verdict: serde_json::Value = serde_json::from_str(told.trim())?;
    let count = |name: &str| verdict[name].as_u64().unwrap_or_default();
    assert_eq!(verdict["engine"], if engine == Engine::Postgres { "postgres" } else { "sqlite" });
    assert!(verdict["sound"].as_bool().unwrap_or_default(), "{told}");
    assert!(
        count("acknowledged") > 0 && count("repeated_batches") + count("given_up_batches") > 0,
        "no kill met load: {told}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn acknowledged_events_survive_kills_on_sqlite() -> anyhow::Result<()> {
    audit(Engine::Sqlite).await
}

#[tokio::test(flavor = "multi_thread")]
async fn acknowledged_events_survive_kills_on_postgres() -> anyhow::Result<()> {
    if !Engine::all().contains(&Engine::Postgres) {
        return Ok(());
    }
    audit(Engine::Postgres).await
}

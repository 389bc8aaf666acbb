//! More than can be taken, by the command that sends it for longer: memory stays bounded, and the log is what was acknowledged.

use std::{collections::BTreeMap, process::Stdio};

use comptoir::cluster::programs_beside_this_one;
use comptoir_integration_tests::{Engine, databases::postgres_server};
use serde_json::Value;

/// What gateway and ingestion may have in memory at most, in MiB.
const MEMORY_LIMIT: f64 = 512.0;

async fn overload(engine: Engine) -> anyhow::Result<()> {
    let mut command = tokio::process::Command::new(programs_beside_this_one()?.join("comptoir"));
    command.args(["bench", "overload", "--json", "--seconds", "8", "--load", "0.5"]);
    command.env_remove("COMPTOIR_BENCH_POSTGRES");
    if let Some(server) = postgres_server().filter(|_| engine == Engine::Postgres) {
        command.args(["--postgres", &server]);
    }
    let output = command.stdin(Stdio::null()).output().await?;
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{told}{}", String::from_utf8_lossy(&output.stderr));

    let mut figures: BTreeMap<String, f64> = BTreeMap::new();
    for line in told.lines() {
        let figure: Value = serde_json::from_str(line)?;
        assert_eq!(figure["engine"], if engine == Engine::Postgres { "postgres" } else { "sqlite" });
        figures.insert(figure["metric"].as_str().unwrap_or_default().into(), figure["value"].as_f64().unwrap_or(-1.0));
    }
    let figure = |name: &str| figures.get(name).copied().unwrap_or_else(|| panic!("no {name}: {told}"));
    for service in ["gateway", "ingestion"] {
        let peak = figure(&format!("{service}_peak_memory"));
        assert!(peak > 1.0 && peak < MEMORY_LIMIT, "{service} had {peak} MiB: {told}");
    }
    for none in ["lost", "doubled", "invented", "gaps", "refusals_without_wait"] {
        assert_eq!(figure(none), 0.0, "{none}: {told}");
    }
    assert!(figure("acknowledged") > 0.0 && figure("in_log") >= figure("acknowledged"), "{told}");
    let refused: f64 = ["http_429", "http_503", "grpc_ResourceExhausted", "grpc_Unavailable"]
        .iter()
        .filter_map(|answer| figures.get(*answer))
        .sum();
    assert!(refused > 0.0, "nothing was refused, so it was no overload: {told}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_is_bounded_under_overload_on_sqlite() -> anyhow::Result<()> {
    overload(Engine::Sqlite).await
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_is_bounded_under_overload_on_postgres() -> anyhow::Result<()> {
    if !Engine::all().contains(&Engine::Postgres) {
        return Ok(());
    }
    overload(Engine::Postgres).await
}

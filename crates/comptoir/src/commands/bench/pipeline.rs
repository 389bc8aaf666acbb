use std::{
    collections::BTreeMap,
    process::Stdio,
    time::{Duration, Instant},
};

use ::store::{Db, on};
use anyhow::Context;
use clap::{Args as ClapArgs, ValueEnum};
use kit::Clock;
use proto::ingestion::v1::Source;
use tokio::{net::TcpListener, process::Command};

use super::{Figures, load::Told};
use crate::{
    api::Api,
    cluster::{Cluster, ClusterOptions, SERVICES, cpu_seconds, programs_beside_this_one},
    commands::{Settings, quiet_telemetry},
    platform::{Databases, Platform},
};

#[derive(Debug, ClapArgs)]
pub(super) struct Args {
    /// Events to send
    #[arg(long, default_value_t = 100_000)]
    events: u64,
    /// One process with a SQLite file per service, or one process per service
    #[arg(long, value_enum, default_value_t = Form::Embedded)]
    form: Form,
    /// Cluster only: PostgreSQL server, postgres://user@host:port/postgres; SQLite files when not given
    #[arg(long, env = "COMPTOIR_BENCH_POSTGRES")]
    postgres: Option<String>,
    /// Cluster only: Redis server
    #[arg(long, env = "COMPTOIR_BENCH_REDIS")]
    redis: Option<String>,
    /// Events in one request
    #[arg(long, default_value_t = 100)]
    batch: usize,
    /// Connections of the load generator
    #[arg(long, default_value_t = 8)]
    connections: usize,
    /// One JSON object per figure
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, ValueEnum)]
enum Form {
    Embedded,
    Cluster,
}

/// Stages: name, the service whose store tells, the log, and whether it is its end or its cursor.
const STAGES: [(&str, &str, &str, bool); 6] = [
    ("ingestion", "ingestion", "events", true),
    ("identity", "identity", "events", false),
    ("scoring", "scoring", "profiles", false),
    ("recommendation", "recommendation", "profiles", false),
    ("campaign", "campaign", "profiles", false),
    ("campaign_scores", "campaign", "scores", false),
];

const END: &str = "
    SELECT CAST(COALESCE(SUM(next_offset), 0) AS BIGINT)
      FROM log_partitions
     WHERE log = $1";
const CURSOR: &str = "
    SELECT CAST(COALESCE(SUM(next_offset), 0) AS BIGINT)
      FROM log_cursors
     WHERE log = $1";

pub(super) async fn run(args: Args) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    match args.form {
        Form::Embedded => embedded(&args, folder.path()).await,
        Form::Cluster => cluster(&args, folder.path()).await,
    }
}

async fn embedded(args: &Args, folder: &std::path::Path) -> anyhow::Result<()> {
    let mut config = Settings { config: None, data: Some(folder.to_owned()) }.read()?;
    config.access.collects_per_second = 0;
    let telemetry = quiet_telemetry(&config)?;
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let url = format!("http://{}", listener.local_addr()?);
    let platform = std::sync::Arc::new(Platform::open(config, Clock::system()).await?);
    platform.start();
    let server = std::sync::Arc::clone(&platform);
    let serving = tokio::spawn(async move { server.serve(listener).await });

    let figures = Figures { bench: "pipeline", engine: "embedded-sqlite", json: args.json };
    let own = std::process::id();
    let before = cpu_seconds(own);
    let write_key = source_key(&platform.operator()?, |key| platform.api(key)).await?;
    let run = measure(args, &url, &write_key, platform.databases()).await?;
    report(&figures, args, &run, &BTreeMap::from([("all services", cpu_seconds(own) - before)]));

    platform.shutdown().begin();
    serving.await??;
    telemetry.shutdown().await;
    Ok(())
}

async fn cluster(args: &Args, folder: &std::path::Path) -> anyhow::Result<()> {
    let options = ClusterOptions {
        programs: programs_beside_this_one()?,
        folder: folder.to_owned(),
        services: &SERVICES,
        postgres: args.postgres.clone(),
        redis: args.redis.clone(),
        settings: vec![("telemetry__log_filter".into(), "warn".into())],
        service_settings: vec![("gateway".into(), "access__collects_per_second".into(), "0".into())],
    };
    let cluster = Cluster::start(options).await?;
    let databases = cluster.databases().await?;
    let before: BTreeMap<&str, f64> = SERVICES.iter().map(|service| (*service, cluster.cpu_seconds(service))).collect();
    let url = cluster.gateway_url();
    let write_key = source_key(&cluster.operator()?, |key| Api::remote(&url, key)).await?;
    let run = measure(args, &url, &write_key, &databases).await?;

    let engine = if args.postgres.is_some() { "cluster-postgres" } else { "cluster-sqlite" };
    let figures = Figures { bench: "pipeline", engine, json: args.json };
    let used = SERVICES.iter().map(|service| (*service, cluster.cpu_seconds(service) - before[service])).collect();
    report(&figures, args, &run, &used);
    for (_, db) in databases.each() {
        db.close().await;
    }
    cluster.stop().await?;
    Ok(())
}

async fn source_key(operator: &Api, api: impl Fn(&str) -> Result<Api, kit::Error>) -> anyhow::Result<String> {
    let key = operator.create_tenant("bench").await?;
    let source =
        Source { name: "site".into(), kind: "site".into(), default_currency: "EUR".into(), ..Source::default() };
    Ok(api(&key)?.create_source(source).await?.write_key)
}

struct Run {
    told: Told,
    /// When each stage had everything, since the first request.
    finished: BTreeMap<&'static str, Duration>,
    records: BTreeMap<&'static str, i64>,
}

async fn measure(args: &Args, url: &str, write_key: &str, databases: &Databases) -> anyhow::Result<Run> {
    let begun = Instant::now();
    let load = Command::new(std::env::current_exe()?)
        .args(["bench", "load", "--gateway", url, "--batch", &args.batch.to_string()])
        .args(["--events", &args.events.to_string(), "--connections", &args.connections.to_string()])
        .env("COMPTOIR_WRITE_KEY", write_key)
        .stdout(Stdio::piped())
        .spawn()?;
    let mut finished = BTreeMap::new();
    let output = load.wait_with_output().await?;
    anyhow::ensure!(output.status.success(), "the load generator failed");
    let told: Told = serde_json::from_slice(&output.stdout).context("the load generator told nothing")?;

    let mut records = BTreeMap::new();
    while finished.len() < STAGES.len() {
        for (stage, service, log, is_end) in STAGES {
            if finished.contains_key(stage) {
                continue;
            }
            let wanted = if is_end { 0 } else { sum(publisher(databases, log), END, log).await? };
            let have = sum(store(databases, service), if is_end { END } else { CURSOR }, log).await?;
            let before_is_done = STAGES
                .iter()
                .take_while(|(name, ..)| *name != stage)
                .filter(|(name, ..)| {
                    matches!(
                        (*name, stage),
                        ("ingestion", "identity")
                            | ("identity", "scoring" | "recommendation" | "campaign")
                            | ("scoring", "campaign_scores")
                    )
                })
                .all(|(name, ..)| finished.contains_key(name));
            if have >= wanted && before_is_done {
                finished.insert(stage, begun.elapsed());
                records.insert(stage, have);
            }
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Ok(Run { told, finished, records })
}

fn publisher<'a>(databases: &'a Databases, log: &str) -> &'a Db {
    match log {
        "events" => &databases.ingestion,
        "profiles" => &databases.identity,
        _ => &databases.scoring,
    }
}

fn store<'a>(databases: &'a Databases, service: &str) -> &'a Db {
    let each = databases.each();
    let (_, db) = each.iter().find(|(name, _)| *name == service).expect("the stages name services");
    db
}

async fn sum(db: &Db, statement: &'static str, log: &str) -> anyhow::Result<i64> {
    Ok(on!(db, pool => sqlx::query_scalar(statement).bind(log).fetch_one(pool).await)?)
}

fn report(figures: &Figures<'_>, args: &Args, run: &Run, used: &BTreeMap<&str, f64>) {
    let events = args.events as f64;
    let end = run.finished.values().max().copied().unwrap_or_default().as_secs_f64();
    figures.print("cores", std::thread::available_parallelism().map_or(0.0, |count| count.get() as f64), "cores");
    figures.print("events", events, "events");
    figures.print("event_bytes", run.told.bytes as f64 / events, "bytes");
    figures.print("end_to_end", events / end, "events/s");
    figures.print("collect", events / run.told.seconds, "events/s");
    figures.print("collect_p50", run.told.p50_ms, "ms");
    figures.print("collect_p99", run.told.p99_ms, "ms");
    for (stage, finished) in &run.finished {
        figures.print(format!("{stage}_caught_up"), events / finished.as_secs_f64(), "events/s");
        figures.print(format!("{stage}_records"), run.records[stage] as f64, "records");
    }
    let services: f64 = used.values().sum();
    for (service, seconds) in used {
        figures.print(format!("cpu_{}", service.replace(' ', "_")), seconds * 1e6 / events, "µs/event");
    }
    figures.print("cpu_load_generator", run.told.cpu_seconds * 1e6 / events, "µs/event");
    figures.print("load_generator_share", 100.0 * run.told.cpu_seconds / (run.told.cpu_seconds + services), "% of CPU");
}

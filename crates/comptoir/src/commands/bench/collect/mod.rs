//! How fast the door is: gateway and ingestion in one process, the load generator in another.

mod bodies;
pub(super) mod generate;
mod grpc;
pub(super) mod raw;

use std::{process::Stdio, time::Duration};

use anyhow::Context;
use base64::{Engine, engine::general_purpose::STANDARD};
use clap::Args as ClapArgs;
use tokio::process::Command;

use self::generate::{Door, Told};
use super::{
    Figures,
    host::{Host, HostOptions, Keys},
};

/// Requests under way at once that are tried.
const CLOSED_LOOPS: [usize; 4] = [4, 8, 16, 32];
/// Requests under way at once at most when they come at a constant rate.
const OPEN_CONNECTIONS: usize = 64;
/// Share of the best closed loop that is offered as a constant rate.
const OPEN_SHARE: f64 = 0.7;
/// Single events offered each second.
const SINGLE_RATE: f64 = 2_000.0;
/// Events in one HTTP request.
const HTTP_BATCH: usize = 100;
/// Length of a run that only warms up, in seconds.
const WARM_UP: f64 = 1.0;

#[derive(Debug, ClapArgs)]
pub(super) struct Args {
    /// PostgreSQL server for ingestion, postgres://user@host:port/postgres; a SQLite file when not given
    #[arg(long, env = "COMPTOIR_BENCH_POSTGRES")]
    postgres: Option<String>,
    /// Redis server for the rate counters; memory when not given
    #[arg(long, env = "COMPTOIR_BENCH_REDIS")]
    redis: Option<String>,
    /// Length of each measurement, in seconds
    #[arg(long, default_value_t = 5.0)]
    seconds: f64,
    /// Events in one gRPC request
    #[arg(long, default_value_t = 500)]
    grpc_batch: usize,
    /// One JSON object per figure
    #[arg(long)]
    json: bool,
}

/// One way in.
struct Way {
    name: &'static str,
    door: Door,
    url: String,
    authorization: String,
    batch: usize,
}

/// What one run gave.
struct Run {
    told: Told,
    server_seconds: f64,
    /// CPU time of everything on the machine.
    machine_seconds: f64,
}

struct Bench<'a> {
    args: &'a Args,
    host: Host,
    keys: Keys,
    figures: Figures<'a>,
    runs: u16,
    acknowledged: u64,
}

pub(super) async fn run(args: Args) -> anyhow::Result<()> {
    anyhow::ensure!(args.seconds > 0.0 && (1..=5_000).contains(&args.grpc_batch), "nothing to measure");
    let folder = tempfile::tempdir()?;
    let options = HostOptions {
        folder: folder.path().to_owned(),
        postgres: args.postgres.clone(),
        redis: args.redis.clone(),
        ..HostOptions::default()
    };
    let host = Host::start(options).await?;
    let keys = host.set_up().await?;
    let engine = host.engine();
    let figures = Figures { bench: "collect", engine, json: args.json };
    let mut bench = Bench { args: &args, host, keys, figures, runs: 0, acknowledged: 0 };
    bench.measure(folder.path()).await?;
    bench.host.remove().await
}

impl Bench<'_> {
    async fn measure(&mut self, folder: &std::path::Path) -> anyhow::Result<()> {
        let cores = std::thread::available_parallelism().map_or(0.0, |count| count.get() as f64);
        self.figures.print("cores", cores, "cores, shared by server, generator and database");
        let (durable, what) = raw::durability(self.host.store()).await?;
        self.figures.print("fsync", if durable { 1.0 } else { 0.0 }, &what);
        self.figures.print("dedupe_window", 7.0, "days, exact, in the append's transaction");

        let basic = format!("Basic {}", STANDARD.encode(format!("{}:", self.keys.write_key)));
        let (gateway, ingestion) = (self.host.gateway_url(), self.host.ingestion_url());
        let way = |name, door, url: &str, authorization: String, batch| Way {
            name,
            door,
            url: url.to_owned(),
            authorization,
            batch,
        };
        let bearer = format!("Bearer {}", self.keys.api_key);
        let batches = self.args.grpc_batch;
        let ways = [
            way("http_batch", Door::Http, &gateway, basic.clone(), HTTP_BATCH),
            way("grpc_through_gateway", Door::Grpc, &gateway, bearer, batches),
            way("grpc_direct", Door::Grpc, &ingestion, self.host.token()?, batches),
        ];
        let single = way("http_single", Door::Http, &gateway, basic, 1);
        self.single(&single, "http_single_open").await?;
        let mut best = Vec::new();
        for way in &ways {
            best.push(self.way(way).await?);
        }
        // Beside what millions of events leave to be done in the background.
        self.single(&single, "http_single_open_after_load").await?;
        self.check().await?;
        self.raw(folder, &ways, &best).await
    }

    /// Measures one way in: as fast as it goes, then at a constant rate. Returns its best speed in events each second.
    async fn way(&mut self, way: &Way) -> anyhow::Result<f64> {
        self.generate(way, 8, 0.0, WARM_UP).await?;
        let mut best: Option<(usize, Run)> = None;
        for connections in CLOSED_LOOPS {
            let run = self.generate(way, connections, 0.0, self.args.seconds).await?;
            self.figures.print(format!("{}_closed_at_{connections}", way.name), run.speed(), "events/s");
            if best.as_ref().is_none_or(|(_, before)| run.speed() > before.speed()) {
                best = Some((connections, run));
            }
        }
        let (connections, run) = best.context("nothing was measured")?;
        let name = format!("{}_closed", way.name);
        self.figures.print(format!("{name}_connections"), connections as f64, "requests under way");
        self.figures.print(
            format!("{name}_request_bytes"),
            run.told.bytes as f64 / run.told.events as f64,
            "bytes/event",
        );
        self.tell(&name, &run);

        let rate = run.speed() * OPEN_SHARE / way.batch as f64;
        let open = self.generate(way, OPEN_CONNECTIONS, rate, self.args.seconds).await?;
        let name = format!("{}_open", way.name);
        self.figures.print(format!("{name}_offered"), rate * way.batch as f64, "events/s");
        self.tell(&name, &open);
        Ok(run.speed())
    }

    async fn single(&mut self, way: &Way, name: &str) -> anyhow::Result<()> {
        self.generate(way, OPEN_CONNECTIONS, SINGLE_RATE, WARM_UP).await?;
        let run = self.generate(way, OPEN_CONNECTIONS, SINGLE_RATE, self.args.seconds).await?;
        self.figures.print(format!("{name}_offered"), SINGLE_RATE, "requests/s");
        self.tell(name, &run);
        Ok(())
    }

    fn tell(&self, name: &str, run: &Run) {
        let Run { told, server_seconds, machine_seconds } = run;
        let per_million = |seconds: f64| seconds * 1e6 / told.events as f64;
        let print = |metric: &str, value: f64, unit: &str| self.figures.print(format!("{name}{metric}"), value, unit);
        print("", run.speed(), "events/s");
        print("_p50", told.p50_ms, "ms");
        print("_p99", told.p99_ms, "ms");
        print("_p999", told.p999_ms, "ms");
        print("_max", told.max_ms, "ms");
        print("_refused", told.refused as f64, "requests");
        print("_cpu_server", per_million(*server_seconds), "CPU s/million events");
        print("_cpu_generator", per_million(told.cpu_seconds), "CPU s/million events");
        let others = (machine_seconds - server_seconds - told.cpu_seconds).max(0.0);
        print("_cpu_others", per_million(others), "CPU s/million events, database server and all else");
        print("_generator_share", 100.0 * told.cpu_seconds / machine_seconds.max(f64::EPSILON), "% of CPU used");
    }

    /// Runs the load generator once.
    async fn generate(&mut self, way: &Way, connections: usize, rate: f64, seconds: f64) -> anyhow::Result<Run> {
        self.runs += 1;
        let door = if way.door == Door::Http { "http" } else { "grpc" };
        let (server, machine) = (self.host.cpu_seconds(), machine_seconds());
        let generator = Command::new(std::env::current_exe()?)
            .args(["bench", "generate", "--door", door, "--source-id", &self.keys.source_id])
            .args(["--address", way.url.trim_start_matches("http://"), "--batch", &way.batch.to_string()])
            .args(["--connections", &connections.to_string(), "--rate", &rate.to_string()])
            .args(["--seconds", &seconds.to_string(), "--run", &self.runs.to_string()])
            .env("COMPTOIR_BENCH_AUTHORIZATION", &way.authorization)
            .stdout(Stdio::piped())
            .spawn()?;
        let output = generator.wait_with_output().await?;
        anyhow::ensure!(output.status.success(), "the load generator failed");
        let told: Told = serde_json::from_slice(&output.stdout).context("the load generator told nothing")?;
        let server_seconds = self.host.cpu_seconds() - server;
        self.acknowledged += told.events;
        Ok(Run { told, server_seconds, machine_seconds: machine_seconds() - machine })
    }

    /// A speed counts only when what was acknowledged is there, once.
    async fn check(&self) -> anyhow::Result<()> {
        let counted = self.host.counted(&self.keys).await?;
        anyhow::ensure!(
            (counted.accepted, counted.duplicate, counted.quarantined) == (self.acknowledged, 0, 0),
            "{} events were acknowledged, but {} accepted, {} duplicate, {} quarantined",
            self.acknowledged,
            counted.accepted,
            counted.duplicate,
            counted.quarantined
        );
        self.figures.print("events_acknowledged_and_accepted", self.acknowledged as f64, "events");
        Ok(())
    }

    /// Holds the speeds against what the engine does with the same bytes alone.
    async fn raw(&mut self, folder: &std::path::Path, ways: &[Way], best: &[f64]) -> anyhow::Result<()> {
        let url = match &self.args.postgres {
            // A file of its own, so that the door's does not stand in the way.
            None => format!("sqlite:{}", folder.join("raw.db").display()),
            Some(_) => self.host.store().to_owned(),
        };
        let raw = raw::measure(&url, folder, Duration::from_secs_f64(self.args.seconds)).await?;
        self.figures.print("raw_event_bytes", raw.event_bytes, "bytes");
        for (name, speed) in [("raw_log_append", raw.log_append), ("raw_rows", raw.rows), ("raw_file", raw.file)] {
            self.figures.print(name, speed, "events/s");
            self.figures.print(format!("{name}_bytes"), speed * raw.event_bytes / 1e6, "MB/s");
        }
        for (way, speed) in ways.iter().zip(best) {
            self.figures.print(format!("{}_of_raw_rows", way.name), 100.0 * speed / raw.rows, "%");
            self.figures.print(format!("{}_of_raw_log_append", way.name), 100.0 * speed / raw.log_append, "%");
        }
        Ok(())
    }
}

impl Run {
    fn speed(&self) -> f64 {
        self.told.events as f64 / self.told.seconds.max(f64::EPSILON)
    }
}

/// Returns the CPU time that the whole machine has used so far, in seconds, idling and waiting not counted.
pub(super) fn machine_seconds() -> f64 {
    const TICKS_PER_SECOND: f64 = 100.0;
    let stat = std::fs::read_to_string("/proc/stat").unwrap_or_default();
    let all = stat.lines().next().unwrap_or_default();
    let ticks: Vec<f64> = all.split_whitespace().skip(1).filter_map(|field| field.parse().ok()).collect();
    // user, nice, system, (idle, iowait,) irq, softirq
    [0, 1, 2, 5, 6].iter().filter_map(|index| ticks.get(*index)).sum::<f64>() / TICKS_PER_SECOND
}

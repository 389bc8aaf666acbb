//! Far more than can be taken, from many connections in many ways: what the gateway and ingestion, each a process of its own,
//! hold in memory meanwhile, what they take and what they refuse.

mod ledger;
mod senders;

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use clap::Args as ClapArgs;
use proto::ingestion::v1::Source;

use self::{
    ledger::{Found, Ledger},
    senders::{Shared, Way, send},
};
use super::{Figures, crash::audit::read_log};
use crate::{
    api::Api,
    cluster::{Cluster, ClusterOptions, programs_beside_this_one},
};

/// What runs.
const SERVICES: [&str; 2] = ["ingestion", "gateway"];
/// What each may have in memory at most.
const MEMORY_LIMIT: u64 = 512 << 20;

/// How many connections send in which way, for a load of 1.
const MIX: [(usize, Way); 10] = [
    // Near the 4 MiB that a body may have: 40 events of 100 kB, and 4,500 small ones.
    (24, Way::Http { events: 40, bytes: 100_000 }),
    (24, Way::Http { events: 4_500, bytes: 700 }),
    (32, Way::Http { events: 100, bytes: 500 }),
    (16, Way::Http { events: 1, bytes: 200 }),
    // Near the 16 MiB that a message may have.
    (8, Way::Grpc { events: 120, bytes: 120_000 }),
    (16, Way::Grpc { events: 5_000, bytes: 300 }),
    (16, Way::Stream { events: 1_000, bytes: 1_000 }),
    (8, Way::DeafStream { events: 1_000, bytes: 1_000 }),
    (64, Way::SlowSender),
    (32, Way::DeafHttp),
];

#[derive(Debug, ClapArgs)]
pub(super) struct Args {
    /// How long
    #[arg(long, default_value_t = 30.0)]
    seconds: f64,
    /// How many connections: 1 is 240
    #[arg(long, default_value_t = 1.0)]
    load: f64,
    /// Seed of the message ids; drawn and told when not given
    #[arg(long)]
    seed: Option<u64>,
    /// PostgreSQL server, postgres://user@host:port/postgres; SQLite files when not given
    #[arg(long, env = "COMPTOIR_BENCH_POSTGRES")]
    postgres: Option<String>,
    /// One JSON object per figure
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(args: Args) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let set = |service: &str, key: &str, value: &str| (service.to_owned(), key.to_owned(), value.to_owned());
    let cluster = Cluster::start(ClusterOptions {
        programs: programs_beside_this_one()?,
        folder: folder.path().to_owned(),
        services: &SERVICES,
        postgres: args.postgres.clone(),
        redis: None,
        settings: vec![("telemetry__log_filter".into(), "error".into())],
        // Limits of rates would keep the load away.
        service_settings: vec![
            set("gateway", "access__collects_per_second", "0"),
            set("gateway", "access__calls_per_second", "0"),
        ],
    })
    .await?;
    let outcome = press(&args, &cluster).await;
    cluster.stop().await?;
    outcome
}

async fn press(args: &Args, cluster: &Cluster) -> anyhow::Result<()> {
    let url = cluster.gateway_url();
    let api_key = cluster.operator()?.create_tenant("bench").await?;
    let source =
        Source { name: "site".into(), kind: "site".into(), default_currency: "EUR".into(), ..Source::default() };
    let created = Api::remote(&url, &api_key)?.create_source(source).await?;
    let seed = args.seed.unwrap_or_else(rand::random);
    let shared = Arc::new(Shared {
        ledger: Ledger::new(seed),
        stop: false.into(),
        url: url.clone(),
        write_key: created.write_key,
        api_key,
        source_id: created.source.unwrap_or_default().source_id,
    });

    let mut senders = Vec::new();
    for (count, way) in MIX {
        let count = ((count as f64 * args.load).round() as usize).max(1);
        senders.extend((0..count).map(|_| tokio::spawn(send(Arc::clone(&shared), way))));
    }
    let connections = senders.len();
    tokio::time::sleep(Duration::from_secs_f64(args.seconds)).await;
    let answers = shared.ledger.answers();
    shared.stop.store(true, Ordering::Relaxed);
    for sender in senders {
        sender.await??;
    }
    let memory = SERVICES.map(|service| (service, cluster.peak_memory(service)));

    // After the load, all that was acknowledged is there, and everybody is served again.
    let mut audit = shared.ledger.audit();
    let read = read_log(&url, &cluster.authority(), |event| audit.see(event)).await?;
    let found = audit.finish();

    let engine = if args.postgres.is_some() { "postgres" } else { "sqlite" };
    let figures = Figures { bench: "overload", engine, json: args.json };
    let cores = std::thread::available_parallelism().map_or(0.0, |count| count.get() as f64);
    figures.print("cores", cores, "cores, shared by servers, senders and database");
    figures.print("seconds", args.seconds, "s");
    figures.print("connections", connections as f64, "connections");
    for (service, bytes) in memory {
        figures.print(format!("{service}_peak_memory"), bytes as f64 / f64::from(1 << 20), "MiB");
    }
    figures.print("accepted", answers.acknowledged_events as f64 / args.seconds, "events/s");
    for (answer, count) in &answers.by_answer {
        figures.print(answer.replace(' ', "_"), *count as f64 / args.seconds, "answers/s");
    }
    figures.print("p50", quantile(answers.waits.clone(), 0.5), "ms");
    figures.print("p99", quantile(answers.waits, 0.99), "ms");
    figures.print("refusals_without_wait", answers.without_wait as f64, "answers");
    let Found { acknowledged, in_log, lost, doubled, invented } = &found;
    let counts = [
        ("acknowledged", acknowledged),
        ("in_log", in_log),
        ("lost", lost),
        ("doubled", doubled),
        ("invented", invented),
        ("gaps", &read.gaps),
    ];
    for (what, count) in counts {
        figures.print(what, *count as f64, "events");
    }

    anyhow::ensure!(found.is_sound() && read.gaps == 0, "the log is not what was acknowledged; seed {seed}");
    anyhow::ensure!(answers.without_wait == 0, "refusals did not say when to come again");
    for (service, bytes) in memory {
        let (peak, limit) = (bytes >> 20, MEMORY_LIMIT >> 20);
        anyhow::ensure!(bytes > 0 && bytes < MEMORY_LIMIT, "{service} used {peak} MiB, more than {limit} MiB");
    }
    Ok(())
}

/// Returns a quantile in milliseconds.
fn quantile(mut waits: Vec<Duration>, share: f64) -> f64 {
    waits.sort_unstable();
    let index = (waits.len().saturating_sub(1) as f64 * share).round() as usize;
    waits.get(index).map_or(0.0, |wait| wait.as_secs_f64() * 1e3)
}

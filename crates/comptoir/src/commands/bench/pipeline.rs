//! The whole chain, from `Collect` at the gateway until every follower has caught up, and what each stage of it costs.

use std::{
    collections::BTreeMap,
    path::Path,
    process::Stdio,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context;
use clap::{Args as ClapArgs, ValueEnum};
use kit::Clock;
use proto::{
    campaign::v1::{
        Campaign, Channel, PostPurchaseTrigger, PutCampaignRequest, PutTemplateRequest, Template, campaign::Trigger,
    },
    ingestion::v1::Source,
    scoring::v1::{PutSegmentRequest, Segment},
};
use tokio::{net::TcpListener, process::Command};

use super::{
    Figures,
    collect::{machine_seconds, raw::durability},
    load::Told,
};
use crate::{
    api::Api,
    cluster::{Cluster, ClusterOptions, SERVICES, cpu_seconds, programs_beside_this_one},
    commands::{Settings, quiet_telemetry},
    platform::{Config, Databases, FLOWS, Flow, Platform},
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

/// Rules that the bench's people are judged by: what they do, and time, moves them.
const SEGMENTS: [(&str, &str); 4] = [
    ("buyers", "stats.order_count >= 1"),
    ("loyal", "stats.order_count >= 4"),
    ("slipping-away", "stats.order_count >= 2 && stats.days_since_last_order >= 60"),
    ("window-shoppers", "stats.order_count == 0 && stats.product_view_count >= 15"),
];
/// Pause between two looks at how far the followers are.
const PAUSE: Duration = Duration::from_millis(10);

pub(super) async fn run(args: Args) -> anyhow::Result<()> {
    match args.form {
        Form::Embedded => {
            let folder = tempfile::tempdir()?;
            // Once for the process, whatever runs in it.
            let telemetry = quiet_telemetry(&settings(folder.path())?)?;
            let outcome = async {
                together(&args).await?;
                apart(&args).await
            };
            let outcome = outcome.await;
            telemetry.shutdown().await;
            outcome
        }
        Form::Cluster => cluster(&args).await,
    }
}

/// Everything in one process, at once.
async fn together(args: &Args) -> anyhow::Result<()> {
    let embedded = Embedded::open(args).await?;
    embedded.platform.start();
    embedded.platform.ready().await;
    let figures = embedded.figures(args);
    tell_ground(&figures, &embedded.store("ingestion")).await?;
    let write_key = prepare(&embedded.platform.operator()?, |key| embedded.platform.api(key)).await?;

    let before = cpu_seconds(std::process::id());
    let run = measure(args, &embedded.url, &write_key, embedded.platform.databases()).await?;
    report(&figures, args, &run, &[("services", cpu_seconds(std::process::id()) - before)]);
    embedded.close().await
}

/// Everything in one process, one stage after the other, on fresh stores: what each costs is seen by the process's own clock.
async fn apart(args: &Args) -> anyhow::Result<()> {
    let embedded = Embedded::open(args).await?;
    let platform = &embedded.platform;
    let figures = embedded.figures(args);
    let write_key = prepare(&platform.operator()?, |key| platform.api(key)).await?;
    platform.start_one("ingestion");

    let events = args.events as f64;
    let tell = |stage: &str, seconds: f64, cpu: f64| {
        figures.print(format!("apart_{stage}"), events / seconds, "events/s");
        figures.print(format!("apart_cpu_{stage}"), cpu * 1e6 / events, "µs/event");
    };
    let before = cpu_seconds(std::process::id());
    let told = load(args, &embedded.url, &write_key).await?;
    tell("collect", told.seconds, cpu_seconds(std::process::id()) - before);
    for service in ["identity", "scoring", "recommendation", "campaign"] {
        let (begun, before) = (Instant::now(), cpu_seconds(std::process::id()));
        platform.start_one(service);
        for flow in FLOWS.iter().filter(|flow| flow.follower == service) {
            while behind(flow, platform.databases()).await? > 0 {
                tokio::time::sleep(PAUSE).await;
            }
        }
        tell(service, begun.elapsed().as_secs_f64(), cpu_seconds(std::process::id()) - before);
    }
    embedded.close().await
}

/// Each service a process of its own.
async fn cluster(args: &Args) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let options = ClusterOptions {
        programs: programs_beside_this_one()?,
        folder: folder.path().to_owned(),
        services: &SERVICES,
        postgres: args.postgres.clone(),
        redis: args.redis.clone(),
        settings: vec![("telemetry__log_filter".into(), "warn".into())],
        service_settings: vec![("gateway".into(), "access__collects_per_second".into(), "0".into())],
    };
    let cluster = Cluster::start(options).await?;
    // Whatever comes of it, the databases go again.
    let outcome = tokio::select! {
        outcome = measure_cluster(args, &cluster) => outcome,
        _ = tokio::signal::ctrl_c() => Err(anyhow::anyhow!("it was broken off")),
    };
    cluster.stop().await?;
    outcome
}

async fn measure_cluster(args: &Args, cluster: &Cluster) -> anyhow::Result<()> {
    let engine = match (&args.postgres, &args.redis) {
        (Some(_), Some(_)) => "cluster-postgres-redis",
        (Some(_), None) => "cluster-postgres",
        (None, _) => "cluster-sqlite",
    };
    let figures = Figures { bench: "pipeline", engine, json: args.json };
    tell_ground(&figures, cluster.store("ingestion")).await?;
    let url = cluster.gateway_url();
    let write_key = prepare(&cluster.operator()?, |key| Api::remote(&url, key)).await?;
    let databases = cluster.databases().await?;

    let before = SERVICES.map(|service| cluster.cpu_seconds(service));
    let run = measure(args, &url, &write_key, &databases).await?;
    let used: Vec<(&str, f64)> = SERVICES
        .iter()
        .zip(before)
        .map(|(service, before)| (*service, cluster.cpu_seconds(service) - before))
        .collect();
    report(&figures, args, &run, &used);
    for (_, db) in databases.each() {
        db.close().await;
    }
    Ok(())
}

/// All services in this process, with the gateway on a free port, on fresh SQLite files.
struct Embedded {
    platform: Arc<Platform>,
    url: String,
    serving: tokio::task::JoinHandle<Result<(), kit::Error>>,
    folder: tempfile::TempDir,
}

fn settings(data: &Path) -> anyhow::Result<Config> {
    Settings { config: None, data: Some(data.to_owned()) }.read()
}

impl Embedded {
    async fn open(args: &Args) -> anyhow::Result<Self> {
        anyhow::ensure!(
            args.postgres.is_none() && args.redis.is_none(),
            "--postgres and --redis are for --form cluster"
        );
        let folder = tempfile::tempdir()?;
        let mut config = settings(folder.path())?;
        config.access.collects_per_second = 0;
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let url = format!("http://{}", listener.local_addr()?);
        let platform = Arc::new(Platform::open(config, Clock::system()).await?);
        let server = Arc::clone(&platform);
        let serving = tokio::spawn(async move { server.serve(listener).await });
        Ok(Self { platform, url, serving, folder })
    }

    fn figures<'a>(&self, args: &Args) -> Figures<'a> {
        Figures { bench: "pipeline", engine: "embedded-sqlite", json: args.json }
    }

    fn store(&self, service: &str) -> String {
        format!("sqlite:{}", self.folder.path().join(format!("{service}.db")).display())
    }

    async fn close(self) -> anyhow::Result<()> {
        self.platform.shutdown().begin();
        self.serving.await??;
        self.platform.shutdown().drain(Duration::from_secs(20)).await;
        for (_, db) in self.platform.databases().each() {
            db.close().await;
        }
        Ok(())
    }
}

/// Says on what it runs.
async fn tell_ground(figures: &Figures<'_>, store: &str) -> anyhow::Result<()> {
    let cores = std::thread::available_parallelism().map_or(0.0, |count| count.get() as f64);
    figures.print("cores", cores, "cores, shared by services, generator and database");
    let (durable, what) = durability(store).await?;
    figures.print("fsync", if durable { 1.0 } else { 0.0 }, &what);
    Ok(())
}

/// Makes a tenant with segments and a campaign; returns the write key of its source.
async fn prepare(operator: &Api, api: impl Fn(&str) -> Result<Api, kit::Error>) -> anyhow::Result<String> {
    let api = api(&operator.create_tenant("bench").await?)?;
    for (segment_id, expression) in SEGMENTS {
        let segment = Segment {
            segment_id: segment_id.into(),
            name: segment_id.into(),
            expression: expression.into(),
            ..Segment::default()
        };
        api.segments().put_segment(PutSegmentRequest { segment: Some(segment) }).await?;
    }
    let template = Template {
        template_id: "thanks".into(),
        subject: "Thank you".into(),
        html: "<p>Thank you for your order.</p>".into(),
        text: "Thank you for your order.".into(),
        ..Template::default()
    };
    api.templates().put_template(PutTemplateRequest { template: Some(template) }).await?;
    let campaign = Campaign {
        campaign_id: "after-purchase".into(),
        name: "A week after a purchase".into(),
        trigger: Some(Trigger::PostPurchase(PostPurchaseTrigger { delay: None })),
        channel: Channel::Email.into(),
        template_id: "thanks".into(),
        ..Campaign::default()
    };
    api.campaigns().put_campaign(PutCampaignRequest { campaign: Some(campaign) }).await?;
    let source =
        Source { name: "site".into(), kind: "site".into(), default_currency: "EUR".into(), ..Source::default() };
    Ok(api.create_source(source).await?.write_key)
}

/// Sends the events from a process of its own.
async fn load(args: &Args, url: &str, write_key: &str) -> anyhow::Result<Told> {
    let load = Command::new(std::env::current_exe()?)
        .args(["bench", "load", "--gateway", url, "--batch", &args.batch.to_string()])
        .args(["--events", &args.events.to_string(), "--connections", &args.connections.to_string()])
        .env("COMPTOIR_WRITE_KEY", write_key)
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let output = load.wait_with_output().await?;
    anyhow::ensure!(output.status.success(), "the load generator failed");
    serde_json::from_slice(&output.stdout).context("the load generator told nothing")
}

struct Run {
    told: Told,
    /// When each stage had everything, since the load generator was started.
    finished: BTreeMap<&'static str, Duration>,
    /// Records that each stage followed in all, and those that were left when the last event was acknowledged.
    records: BTreeMap<&'static str, (i64, i64)>,
    /// CPU time of everything on the machine.
    machine_seconds: f64,
}

async fn measure(args: &Args, url: &str, write_key: &str, databases: &Databases) -> anyhow::Result<Run> {
    let (begun, machine) = (Instant::now(), machine_seconds());
    let told = load(args, url, write_key).await?;
    let mut left = BTreeMap::new();
    for flow in &FLOWS {
        left.insert(stage(flow), behind(flow, databases).await?);
    }

    let mut finished = BTreeMap::new();
    let mut records = BTreeMap::new();
    while finished.len() < FLOWS.len() {
        for flow in FLOWS.iter().filter(|flow| !finished.contains_key(stage(flow))).collect::<Vec<_>>() {
            // What feeds it must have come to its end before.
            let is_fed = FLOWS
                .iter()
                .filter(|feed| feed.follower == flow.publisher)
                .all(|feed| finished.contains_key(stage(feed)));
            if is_fed && behind(flow, databases).await? == 0 {
                finished.insert(stage(flow), begun.elapsed());
                records.insert(stage(flow), (flow.followed(databases).await?, left[stage(flow)]));
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
    Ok(Run { told, finished, records, machine_seconds: machine_seconds() - machine })
}

/// Returns the name of the stage that a follower is.
fn stage(flow: &Flow) -> &'static str {
    match flow.log {
        "scores" => "campaign_scores",
        _ => flow.follower,
    }
}

/// Returns how many records a follower has not yet committed the effects of.
async fn behind(flow: &Flow, databases: &Databases) -> anyhow::Result<i64> {
    // The end is read first: what comes meanwhile is not missing.
    let published = flow.published(databases).await?;
    Ok((published - flow.followed(databases).await?).max(0))
}

fn report(figures: &Figures<'_>, args: &Args, run: &Run, used: &[(&str, f64)]) {
    let events = args.events as f64;
    let end = run.finished.values().max().copied().unwrap_or_default().as_secs_f64();
    figures.print("events", events, "events");
    figures.print("event_bytes", run.told.bytes as f64 / events, "bytes");
    figures.print("end_to_end", events / end, "events/s");
    figures.print("collect", events / run.told.seconds, "events/s");
    figures.print("collect_p50", run.told.p50_ms, "ms");
    figures.print("collect_p99", run.told.p99_ms, "ms");
    for flow in &FLOWS {
        let (stage, (records, left)) = (stage(flow), run.records[stage(flow)]);
        figures.print(format!("{stage}_caught_up"), events / run.finished[stage].as_secs_f64(), "events/s");
        figures.print(format!("{stage}_records"), records as f64, "records");
        figures.print(format!("{stage}_left"), left as f64, "records, when the last event was acknowledged");
    }

    let services: f64 = used.iter().map(|(_, seconds)| seconds).sum();
    let generator = run.told.cpu_seconds;
    let others = (run.machine_seconds - services - generator).max(0.0);
    for (service, seconds) in used {
        figures.print(format!("cpu_{service}"), seconds * 1e6 / events, "µs/event");
    }
    figures.print("cpu_load_generator", generator * 1e6 / events, "µs/event");
    figures.print("cpu_others", others * 1e6 / events, "µs/event: databases, the system, whatever else ran");
    figures.print("load_generator_share", 100.0 * generator / run.machine_seconds.max(f64::EPSILON), "% of CPU used");
}

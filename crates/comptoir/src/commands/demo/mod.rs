//! A simulated year through the real services.

mod report;

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use anyhow::Context;
use campaign::sink::Sink;
use clap::Args as ClapArgs;
use kit::Clock;
use simulator::{World, WorldConfig};
use tokio::net::TcpListener;

use super::{Settings, quiet_telemetry};
use crate::{
    platform::{Clocks, Platform},
    progress::Progress,
    shop,
    web::Web,
};

#[derive(Debug, ClapArgs)]
pub(super) struct Args {
    /// Seed: the same seed gives the same shop
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// People
    #[arg(long, default_value_t = 1_500)]
    people: u32,
    /// Products
    #[arg(long, default_value_t = 300)]
    products: u32,
    /// Days
    #[arg(long, default_value_t = 365)]
    days: u32,
    /// End after the report instead of serving what came of it
    #[arg(long)]
    exit: bool,
    /// Folder for the stores; a fresh temporary one, removed at the end, when not given
    #[arg(long, value_name = "FOLDER")]
    data: Option<PathBuf>,
    /// Address to serve on afterwards
    #[arg(long, default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
}

/// Seconds that each stage took.
pub(super) type Stages = Vec<(&'static str, Duration)>;

pub(super) async fn run(args: Args) -> anyhow::Result<()> {
    let mut stages = Stages::new();
    let world = draw_world(&args, &mut stages)?;

    let temporary = tempfile::tempdir()?;
    let data = args.data.clone().unwrap_or_else(|| temporary.path().to_owned());
    anyhow::ensure!(
        !data.join("ingestion.db").exists(),
        "{} has data already: the demo needs an empty folder",
        data.display()
    );
    let settings = Settings { config: None, data: Some(data) };
    let mut config = settings.read()?;
    config.server.listen = args.listen;
    config.public_url = format!("http://{}", args.listen);
    // The demo's own load must not meet the limits of its own gateway.
    config.access.calls_per_second = 0;
    config.access.collects_per_second = 0;
    let telemetry = quiet_telemetry(&config)?;
    let post = Sink::start().await?;
    config.smtp.host = post.address().ip().to_string();
    config.smtp.port = post.address().port();

    let progress = Progress::begin("opening the services", 0);
    let start = world.config().start;
    let clocks = Clocks { intake: Clock::manual(start), timers: Clock::manual(start) };
    let platform = Platform::open(config, clocks).await.context("the services do not open")?;
    platform.start();
    let key = platform.operator()?.create_tenant("demo").await?;
    let api = platform.api(&key)?;
    let shop = shop::set_up(api.clone(), &world).await.context("the shop cannot be set up")?;
    stages.push(("opening the services", progress.end("six services, one process, SQLite")));

    let mut progress = Progress::begin("living the year", world.delivered_events());
    let routes = platform.routes();
    let connect = || Ok(Web::Local(routes.clone()));
    let lived = shop::live(&platform, &shop, &world, shop::Pace::Daily, connect, &post, |events| progress.at(events))
        .await
        .context("the year broke off")?;
    stages.push(("living the year", progress.end(&format!("{} events, {} mails", lived.events, lived.mails))));

    report::print(&api, &world, &lived, &mut stages).await?;
    if !args.exit {
        serve(&args, &platform, &key).await?;
    }
    platform.stop().await;
    telemetry.shutdown().await;
    Ok(())
}

fn draw_world(args: &Args, stages: &mut Stages) -> anyhow::Result<World> {
    let today = chrono::Utc::now().date_naive();
    let start = today - chrono::Days::new(u64::from(args.days));
    let config = WorldConfig {
        seed: args.seed,
        people: args.people,
        products: args.products,
        days: args.days,
        start: start.and_time(chrono::NaiveTime::MIN).and_utc(),
        flush_minutes: 720,
        ..WorldConfig::default()
    };
    config.check().map_err(anyhow::Error::msg)?;
    let progress = Progress::begin("drawing the shop", 0);
    let world = World::new(config);
    let summary = format!("{} people, {} products, {} days", args.people, args.products, args.days);
    stages.push(("drawing the shop", progress.end(&summary)));
    Ok(world)
}

async fn serve(args: &Args, platform: &Platform, key: &str) -> anyhow::Result<()> {
    let listener = TcpListener::bind(args.listen)
        .await
        .with_context(|| format!("{} cannot be bound; try --listen 127.0.0.1:0", args.listen))?;
    let address = listener.local_addr()?;
    kit::binary::stop_on_signal(platform.shutdown())?;
    println!("\nBrowse it (Ctrl-C ends):\n");
    println!("  export KEY={key}");
    for (method, body) in [
        ("comptoir.scoring.v1.ScoringService/GetRfmMatrix", "{}"),
        ("comptoir.identity.v1.IdentityService/ListProfiles", r#"{"pageSize":3}"#),
        ("comptoir.campaign.v1.MessageService/ListMessages", r#"{"pageSize":3}"#),
        ("comptoir.recommendation.v1.RecommendationService/Recommend", r#"{"limit":3}"#),
    ] {
        println!(
            "  curl -s -H \"authorization: Bearer $KEY\" -H 'content-type: application/json' http://{address}/{method} -d '{body}'"
        );
    }
    platform.serve(listener).await?;
    Ok(())
}

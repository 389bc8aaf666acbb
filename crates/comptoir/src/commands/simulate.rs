use std::{
    io::{BufWriter, Write},
    path::PathBuf,
};

use anyhow::Context;
use clap::Args as ClapArgs;
use simulator::{World, WorldConfig};

use crate::{api::Api, progress::Progress, shop, web::Web};

#[derive(Debug, ClapArgs)]
pub(super) struct Args {
    /// Seed: the same seed gives the same shop
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// People
    #[arg(long, default_value_t = 2_000)]
    people: u32,
    /// Products
    #[arg(long, default_value_t = 300)]
    products: u32,
    /// Days that end today
    #[arg(long, default_value_t = 90)]
    days: u32,
    /// Write the bodies as JSON Lines: {"source", "receivedAt", "body"}
    #[arg(long, value_name = "FILE", conflicts_with = "key")]
    out: Option<PathBuf>,
    /// Address of a gateway to set the shop up on and send the events to
    #[arg(long, default_value = "http://127.0.0.1:8080")]
    gateway: String,
    /// Key of the tenant
    #[arg(long, env = "COMPTOIR_KEY", hide_env_values = true)]
    key: Option<String>,
}

pub(super) async fn run(args: Args) -> anyhow::Result<()> {
    let start = chrono::Utc::now().date_naive() - chrono::Days::new(u64::from(args.days));
    let config = WorldConfig {
        seed: args.seed,
        people: args.people,
        products: args.products,
        days: args.days,
        start: start.and_time(chrono::NaiveTime::MIN).and_utc(),
        ..WorldConfig::default()
    };
    config.check().map_err(anyhow::Error::msg)?;
    let world = World::new(config);
    match (&args.out, &args.key) {
        (Some(path), _) => write(&world, path),
        (None, Some(key)) => send(&world, &args.gateway, key).await,
        (None, None) => anyhow::bail!("say where the events go: --out FILE, or --gateway URL with --key KEY"),
    }
}

fn write(world: &World, path: &PathBuf) -> anyhow::Result<()> {
    let file = std::fs::File::create(path).with_context(|| path.display().to_string())?;
    let mut out = BufWriter::new(file);
    let mut progress = Progress::begin("writing events", world.delivered_events());
    let mut events = 0;
    for delivery in world.days().flat_map(|day| day.deliveries) {
        let line = serde_json::json!({
            "source": delivery.source.as_str(), "receivedAt": delivery.received_at, "body": delivery.body,
        });
        writeln!(out, "{line}")?;
        events += delivery.events as u64;
        progress.at(events);
    }
    out.flush()?;
    progress.end(&format!("{events} events in {}", path.display()));
    Ok(())
}

async fn send(world: &World, gateway: &str, key: &str) -> anyhow::Result<()> {
    let shop = shop::set_up(Api::remote(gateway, key)?, world).await.context("the shop cannot be set up")?;
    let mut web = Web::remote(gateway)?;
    let mut progress = Progress::begin("sending events", world.delivered_events());
    let mut events = 0;
    for delivery in world.days().flat_map(|day| day.deliveries) {
        let key = &shop.write_keys[delivery.source.as_str()];
        let answer = web.collect("/v1/batch", key, delivery.body.to_string()).await?;
        anyhow::ensure!(answer.status == http::StatusCode::OK, "the collector answered {}", answer.status);
        events += delivery.events as u64;
        progress.at(events);
    }
    progress.end(&format!("{events} events to {gateway}"));
    Ok(())
}

use std::time::{Duration, Instant};

use anyhow::Context;
use clap::Args as ClapArgs;
use serde::{Deserialize, Serialize};
use simulator::bench_bodies;

use crate::{cluster::cpu_seconds, web::Web};

#[derive(Debug, ClapArgs)]
pub(super) struct Args {
    /// Address of the gateway
    #[arg(long)]
    pub(super) gateway: String,
    /// Write key of a source
    #[arg(long, env = "COMPTOIR_WRITE_KEY", hide_env_values = true)]
    pub(super) write_key: String,
    /// Events to send
    #[arg(long, default_value_t = 100_000)]
    pub(super) events: u64,
    /// Events in one request
    #[arg(long, default_value_t = 100)]
    pub(super) batch: usize,
    /// Connections
    #[arg(long, default_value_t = 8)]
    pub(super) connections: usize,
    /// Seed of the events
    #[arg(long, default_value_t = 1)]
    pub(super) seed: u64,
}

/// What the load generator tells about itself.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Told {
    pub(super) requests: u64,
    pub(super) bytes: u64,
    pub(super) seconds: f64,
    pub(super) cpu_seconds: f64,
    pub(super) p50_ms: f64,
    pub(super) p99_ms: f64,
}

/// Sends every body once, waiting for each answer; a body that is turned away for the moment is sent again.
pub(super) async fn run(args: Args) -> anyhow::Result<()> {
    let begun = Instant::now();
    let start = chrono::Utc::now() - chrono::Duration::hours(1);
    let count = usize::try_from(args.events).context("too many events")?;
    let mut lanes = Vec::new();
    let (bodies, shared) = tokio::sync::mpsc::channel::<String>(args.connections * 2);
    let shared = std::sync::Arc::new(tokio::sync::Mutex::new(shared));
    for _ in 0..args.connections {
        let shared = std::sync::Arc::clone(&shared);
        let (gateway, write_key) = (args.gateway.clone(), args.write_key.clone());
        lanes.push(tokio::spawn(async move { lane(&gateway, &write_key, &shared).await }));
    }
    let mut bytes = 0;
    for body in bench_bodies(args.seed, count, args.batch, start) {
        bytes += body.len() as u64;
        bodies.send(body).await.context("every connection ended")?;
    }
    drop(bodies);

    let mut waits: Vec<Duration> = Vec::new();
    for lane in lanes {
        waits.extend(lane.await??);
    }
    waits.sort_unstable();
    let quantile = |share: f64| {
        let index = ((waits.len() as f64 - 1.0) * share).round() as usize;
        waits.get(index).map_or(0.0, |wait| wait.as_secs_f64() * 1e3)
    };
    let told = Told {
        requests: waits.len() as u64,
        bytes,
        seconds: begun.elapsed().as_secs_f64(),
        cpu_seconds: cpu_seconds(std::process::id()),
        p50_ms: quantile(0.5),
        p99_ms: quantile(0.99),
    };
    println!("{}", serde_json::to_string(&told)?);
    Ok(())
}

type Shared = tokio::sync::Mutex<tokio::sync::mpsc::Receiver<String>>;

async fn lane(gateway: &str, write_key: &str, shared: &Shared) -> anyhow::Result<Vec<Duration>> {
    let mut web = Web::remote(gateway)?;
    let mut waits = Vec::new();
    loop {
        let body = shared.lock().await.recv().await;
        let Some(body) = body else { return Ok(waits) };
        let body = bytes::Bytes::from(body);
        loop {
            let begun = Instant::now();
            let answer = web.collect("/v1/batch", write_key, body.clone()).await?;
            match answer.status.as_u16() {
                200 => {
                    waits.push(begun.elapsed());
                    break;
                }
                429 | 503 => tokio::time::sleep(Duration::from_millis(50)).await,
                status => anyhow::bail!("the collector answered {status}: {}", String::from_utf8_lossy(&answer.body)),
            }
        }
    }
}

//! The crash audit: the door is killed at random moments under load, many times; then the log must hold every acknowledged
//! event exactly once, and nothing that was not sent.

pub(super) mod audit;
pub(super) mod ledger;
pub(super) mod senders;

use std::{
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use clap::Args as ClapArgs;
use rand::{RngExt, SeedableRng, rngs::StdRng};
use serde::Serialize;

use self::{
    audit::{Found, audit},
    senders::{Shared, start_sending},
};
use super::host::{Host, HostOptions, Keys};

/// Transactions after which the deduplication window is merged: so few that every round meets merges.
pub(super) const MERGE_BATCHES: u32 = 3;
/// Share of the kills that meet the door while it starts.
const AT_START: f64 = 0.2;
/// Longest time from the start of the process to a kill that meets it while it starts.
const START_MS: u64 = 120;

#[derive(Debug, ClapArgs)]
pub(super) struct Args {
    /// How often the door is killed
    #[arg(long, default_value_t = 20)]
    rounds: u32,
    /// Seed of the moments; drawn and told when not given
    #[arg(long)]
    seed: Option<u64>,
    /// Longest time under load before a kill, in milliseconds
    #[arg(long, default_value_t = 400)]
    longest_ms: u64,
    /// PostgreSQL server for ingestion, postgres://user@host:port/postgres; a SQLite file when not given
    #[arg(long, env = "COMPTOIR_BENCH_POSTGRES")]
    postgres: Option<String>,
}

/// The outcome, told as one line of JSON.
#[derive(Debug, Serialize)]
struct Verdict {
    bench: &'static str,
    engine: &'static str,
    /// Whether every promise was kept.
    sound: bool,
    seed: u64,
    rounds: u32,
    /// Kills that met the door while it took events, and while it started.
    kills_under_load: u32,
    kills_at_start: u32,
    /// Batches sent again because no answer came, and those given up.
    repeated_batches: u64,
    given_up_batches: u64,
    /// Events acknowledged as dead letters: none should be.
    refused: u64,
    #[serde(flatten)]
    found: Found,
    /// Events that ingestion itself counted as accepted.
    counted: u64,
    seconds: f64,
}

pub(super) async fn run(args: Args) -> anyhow::Result<()> {
    let begun = Instant::now();
    let seed = args.seed.unwrap_or_else(rand::random);
    let folder = tempfile::tempdir()?;
    let options = HostOptions {
        folder: folder.path().to_owned(),
        postgres: args.postgres.clone(),
        merge_batches: Some(MERGE_BATCHES),
        ..HostOptions::default()
    };
    let mut host = Host::start(options).await?;
    let keys = host.set_up().await?;
    let verdict = disturb(&args, seed, &mut host, &keys, begun).await;
    let sound = match &verdict {
        Ok(verdict) => {
            println!("{}", serde_json::to_string(verdict)?);
            verdict.sound
        }
        Err(_) => false,
    };
    host.remove().await?;
    verdict?;
    anyhow::ensure!(sound, "the audit found a broken promise; repeat it with --seed {seed}");
    Ok(())
}

async fn disturb(args: &Args, seed: u64, host: &mut Host, keys: &Keys, begun: Instant) -> anyhow::Result<Verdict> {
    let shared = Arc::new(Shared::new(seed));
    let sending = start_sending(&shared, seed, host, keys)?;

    let mut dice = StdRng::seed_from_u64(seed);
    let (mut kills_under_load, mut kills_at_start) = (0, 0);
    for round in 0..args.rounds {
        if round > 0 && dice.random_bool(AT_START) {
            tokio::time::sleep(Duration::from_millis(dice.random_range(0..START_MS))).await;
            kills_at_start += 1;
        } else {
            host.ready().await?;
            shared.under_load().await?;
            let wait = Duration::from_micros(dice.random_range(0..args.longest_ms.max(1) * 1_000));
            tokio::time::sleep(wait).await;
            kills_under_load += 1;
        }
        host.kill()?;
        host.spawn()?;
    }
    host.ready().await?;
    sending.stop().await?;

    // Once more from nothing: what is read must have been stored.
    host.kill()?;
    host.spawn()?;
    host.ready().await?;
    let found = audit(host, keys, &shared.ledger).await?;
    let counted = host.counted(keys).await?.accepted;
    let refused = shared.refused.load(Ordering::Relaxed);
    Ok(Verdict {
        bench: "crash",
        engine: host.engine(),
        sound: found.is_sound() && refused == 0 && counted == found.in_log,
        seed,
        rounds: args.rounds,
        kills_under_load,
        kills_at_start,
        repeated_batches: shared.repeated.load(Ordering::Relaxed),
        given_up_batches: shared.given_up.load(Ordering::Relaxed),
        refused,
        found,
        counted,
        seconds: begun.elapsed().as_secs_f64(),
    })
}

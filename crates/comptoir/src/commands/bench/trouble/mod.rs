//! The store in trouble under load: its disk is full, it is gone, slow or locked by somebody else, and all is well again without
//! a restart. Then the log must hold every acknowledged event exactly once, and every refusal must have said when to come again.

mod disk;
mod proxy;

use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use anyhow::Context;
use clap::{Args as ClapArgs, ValueEnum};
use serde::Serialize;
use sqlx::{ConnectOptions, SqliteConnection, sqlite::SqliteConnectOptions};

use self::{disk::Disk, proxy::Proxy};
use super::{
    crash::{
        MERGE_BATCHES,
        audit::{Found, audit},
        senders::{Shared, start_sending},
    },
    host::{Host, HostOptions, Keys},
};

/// When the store counts as slow here, in seconds.
const SLOW_STORE_SECONDS: u32 = 1;
/// How much later each answer of a slow PostgreSQL comes. A transaction asks several times.
const DELAY: Duration = Duration::from_millis(250);
/// Commits whose answers are lost before PostgreSQL is cut off.
const LOST_COMMITS: u32 = 3;
/// Refusals that are waited for while the trouble lasts.
const REFUSALS: u64 = 40;
/// How long anything that is waited for may take.
const LIMIT: Duration = Duration::from_secs(90);

#[derive(Debug, ClapArgs)]
pub(super) struct Args {
    /// What happens to the store
    #[arg(long, value_enum)]
    kind: Kind,
    /// How often
    #[arg(long, default_value_t = 3)]
    rounds: u32,
    /// Seed of the events; drawn and told when not given
    #[arg(long)]
    seed: Option<u64>,
    /// For what happens to PostgreSQL: a server, postgres://user@host:port/postgres
    #[arg(long, env = "COMPTOIR_BENCH_POSTGRES")]
    postgres: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// SQLite: its disk is full. Only root can mount the small disk that this needs
    Disk,
    /// SQLite: somebody else writes and does not end
    Locked,
    /// PostgreSQL: answers to commits are lost, then connections are cut and refused
    Gone,
    /// PostgreSQL: every answer comes late
    Slow,
}

/// The outcome, told as one line of JSON.
#[derive(Debug, Serialize)]
struct Verdict {
    bench: &'static str,
    kind: String,
    engine: &'static str,
    /// Whether every promise was kept.
    sound: bool,
    seed: u64,
    rounds: u32,
    /// Events acknowledged as dead letters: none should be.
    refused: u64,
    /// What was answered instead of an acknowledgement, how often.
    refusals: BTreeMap<String, u64>,
    /// Refusals that did not say when to come again: none should be.
    refusals_without_wait: u64,
    /// Commits that PostgreSQL carried out without ingestion hearing of it.
    lost_commits: u64,
    #[serde(flatten)]
    found: Found,
    /// Events that ingestion itself counted as accepted.
    counted: u64,
    seconds: f64,
}

/// What the trouble is made with.
enum Trouble {
    Disk(Disk),
    /// The file, and whoever holds its lock.
    Locked(String, Option<SqliteConnection>),
    Gone(Proxy),
    Slow(Proxy),
}

pub(super) async fn run(args: Args) -> anyhow::Result<()> {
    let begun = Instant::now();
    let seed = args.seed.unwrap_or_else(rand::random);
    let folder = tempfile::tempdir()?;
    let mut options = HostOptions {
        folder: folder.path().join("door"),
        slow_store_seconds: Some(SLOW_STORE_SECONDS),
        merge_batches: Some(MERGE_BATCHES),
        ..HostOptions::default()
    };
    let mut trouble = match args.kind {
        Kind::Disk => Trouble::Disk(Disk::mount(&options.folder)?),
        Kind::Locked => Trouble::Locked(options.folder.join("ingestion.db").display().to_string(), None),
        Kind::Gone | Kind::Slow => {
            let server = args.postgres.clone().context("this happens to PostgreSQL: name a server")?;
            let proxy = Proxy::start(host_and_port(&server)?).await?;
            options.postgres_through = Some(proxy.address());
            options.postgres = Some(server);
            if args.kind == Kind::Gone { Trouble::Gone(proxy) } else { Trouble::Slow(proxy) }
        }
    };
    let mut host = Host::start(options).await?;
    let keys = host.set_up().await?;
    let verdict = disturb(&args, seed, &mut host, &keys, &mut trouble, begun).await;
    let sound = match &verdict {
        Ok(verdict) => {
            println!("{}", serde_json::to_string(verdict)?);
            verdict.sound
        }
        Err(_) => {
            eprintln!("{}", host.log());
            false
        }
    };
    host.remove().await?;
    drop(trouble);
    verdict?;
    anyhow::ensure!(sound, "the audit found a broken promise; repeat it with --seed {seed}");
    Ok(())
}

fn host_and_port(server: &str) -> anyhow::Result<String> {
    let url = url::Url::parse(server)?;
    Ok(format!("{}:{}", url.host_str().unwrap_or("127.0.0.1"), url.port().unwrap_or(5432)))
}

async fn disturb(
    args: &Args,
    seed: u64,
    host: &mut Host,
    keys: &Keys,
    trouble: &mut Trouble,
    begun: Instant,
) -> anyhow::Result<Verdict> {
    let shared = Arc::new(Shared::new(seed));
    let sending = start_sending(&shared, seed, host, keys)?;
    for _ in 0..args.rounds {
        host.ready().await?;
        shared.under_load().await?;
        trouble.begin(&shared).await?;
        while_it_lasts(host, &shared, trouble).await?;
        trouble.end().await?;
    }
    host.ready().await?;
    wait_for("both say that they are ready", async || Ok(host.readiness().await? == (true, true))).await?;
    shared.under_load().await?;
    sending.stop().await?;

    // Once more from nothing: what is read must have been stored.
    host.kill()?;
    host.spawn()?;
    host.ready().await?;
    let found = audit(host, keys, &shared.ledger).await?;
    let counted = host.counted(keys).await?.accepted;
    let refused = shared.refused.load(Ordering::Relaxed);
    let refusals = shared.refusals();
    let sound = found.is_sound() && refused == 0 && counted == found.in_log && refusals.without_wait == 0;
    Ok(Verdict {
        bench: "trouble",
        kind: format!("{:?}", args.kind).to_ascii_lowercase(),
        engine: host.engine(),
        sound,
        seed,
        rounds: args.rounds,
        refused,
        refusals: refusals.by_answer,
        refusals_without_wait: refusals.without_wait,
        lost_commits: trouble.lost_commits(),
        found,
        counted,
        seconds: begun.elapsed().as_secs_f64(),
    })
}

/// Waits until the trouble is told by both probes and by refusals, and makes sure that nothing is taken without a store.
async fn while_it_lasts(host: &Host, shared: &Shared, trouble: &Trouble) -> anyhow::Result<()> {
    wait_for("the gateway says that it is not ready", async || Ok(!host.readiness().await?.0)).await?;
    wait_for("ingestion says that it is not ready", async || Ok(!host.readiness().await?.1)).await?;
    let before = (refusals(shared), shared.ledger.acknowledged());
    wait_for("senders are refused", async || Ok(refusals(shared) >= before.0 + REFUSALS)).await?;
    let acknowledged = shared.ledger.acknowledged() - before.1;
    let nothing_can_be_stored = matches!(trouble, Trouble::Gone(_) | Trouble::Locked(..));
    anyhow::ensure!(
        !nothing_can_be_stored || acknowledged == 0,
        "{acknowledged} batches were acknowledged without a store"
    );
    Ok(())
}

/// Returns how often senders were told that events cannot be stored now.
fn refusals(shared: &Shared) -> u64 {
    let by_answer = shared.refusals().by_answer;
    ["http 503", "grpc Unavailable"].iter().filter_map(|answer| by_answer.get(*answer)).sum()
}

async fn wait_for(what: &str, mut holds: impl AsyncFnMut() -> anyhow::Result<bool>) -> anyhow::Result<()> {
    let deadline = Instant::now() + LIMIT;
    while !holds().await? {
        anyhow::ensure!(Instant::now() < deadline, "not within {} s: {what}", LIMIT.as_secs());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

impl Trouble {
    async fn begin(&mut self, shared: &Shared) -> anyhow::Result<()> {
        match self {
            Self::Disk(disk) => disk.fill(),
            Self::Locked(file, holder) => {
                // The door writes without a pause: its turn comes when SQLite says so.
                let options = SqliteConnectOptions::new().filename(file.as_str()).busy_timeout(LIMIT);
                let mut connection = options.connect().await?;
                sqlx::query("BEGIN IMMEDIATE").execute(&mut connection).await?;
                *holder = Some(connection);
                Ok(())
            }
            Self::Gone(proxy) => {
                let before = proxy.lost();
                proxy.lose_answers(LOST_COMMITS);
                wait_for("answers to commits are lost", async || Ok(proxy.lost() >= before + u64::from(LOST_COMMITS)))
                    .await?;
                shared.under_load().await?;
                proxy.cut_off().await;
                Ok(())
            }
            Self::Slow(proxy) => {
                proxy.delay(DELAY);
                Ok(())
            }
        }
    }

    async fn end(&mut self) -> anyhow::Result<()> {
        match self {
            Self::Disk(disk) => disk.make_space(),
            Self::Locked(_, holder) => {
                if let Some(mut connection) = holder.take() {
                    sqlx::query("ROLLBACK").execute(&mut connection).await?;
                }
                Ok(())
            }
            Self::Gone(proxy) => proxy.restore().await,
            Self::Slow(proxy) => {
                proxy.delay(Duration::ZERO);
                Ok(())
            }
        }
    }

    fn lost_commits(&self) -> u64 {
        match self {
            Self::Gone(proxy) | Self::Slow(proxy) => proxy.lost(),
            Self::Disk(_) | Self::Locked(..) => 0,
        }
    }
}

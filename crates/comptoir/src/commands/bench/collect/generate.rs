//! The load generator, a process of its own.

use std::{
    net::SocketAddr,
    sync::atomic::{AtomicU64, Ordering},
    thread,
    time::{Duration, Instant},
};

use anyhow::Context;
use clap::{Args as ClapArgs, ValueEnum};
use serde::{Deserialize, Serialize};

use super::{
    bodies::{self, Template, first_id},
    grpc,
};
use crate::{cluster::cpu_seconds, commands::bench::http::Connection};

/// Pause after the door said that it cannot take more for the moment.
const PAUSE: Duration = Duration::from_millis(20);

#[derive(Debug, Clone, ClapArgs)]
pub(in crate::commands::bench) struct Args {
    /// How to send
    #[arg(long, value_enum)]
    pub(super) door: Door,
    /// Where to
    #[arg(long)]
    pub(super) address: SocketAddr,
    /// The header `authorization`
    #[arg(long, env = "COMPTOIR_BENCH_AUTHORIZATION", hide_env_values = true)]
    pub(super) authorization: String,
    /// The source, for gRPC
    #[arg(long, default_value = "")]
    pub(super) source_id: String,
    /// Events in one request
    #[arg(long)]
    pub(super) batch: usize,
    /// Requests under way at once, at most
    #[arg(long)]
    pub(super) connections: usize,
    /// Requests begun each second; 0 begins one when another was answered
    #[arg(long)]
    pub(super) rate: f64,
    /// How long to send, in seconds
    #[arg(long)]
    pub(super) seconds: f64,
    /// Number of the run: no two may share message ids
    #[arg(long)]
    pub(super) run: u16,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Door {
    Http,
    Grpc,
}

/// What the load generator tells about itself.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Told {
    /// Requests that were answered with success.
    pub(super) requests: u64,
    /// Events in them.
    pub(super) events: u64,
    /// Bytes of their bodies, with the heads for HTTP.
    pub(super) bytes: u64,
    /// Requests that were turned away for the moment.
    pub(super) refused: u64,
    /// From the first request's beginning to the last answer.
    pub(super) seconds: f64,
    /// CPU time used while sending.
    pub(super) cpu_seconds: f64,
    /// Times from when a request was due until its answer.
    pub(super) p50_ms: f64,
    pub(super) p99_ms: f64,
    pub(super) p999_ms: f64,
    pub(super) max_ms: f64,
}

/// When requests are begun.
pub(super) struct Pace {
    begun: Instant,
    length: Duration,
    rate: f64,
    next: AtomicU64,
}

impl Pace {
    /// Begins now.
    pub(super) fn begin(args: &Args) -> Self {
        let length = Duration::from_secs_f64(args.seconds);
        Self { begun: Instant::now(), length, rate: args.rate, next: AtomicU64::new(0) }
    }

    /// Returns when the next request is due: now when each waits for an answer, else by the constant rate, whatever became of
    /// those before. `None` when it is time to end.
    pub(super) fn due(&self) -> Option<Instant> {
        let due = if self.rate > 0.0 {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            self.begun + Duration::from_secs_f64(number as f64 / self.rate)
        } else {
            Instant::now()
        };
        (due.duration_since(self.begun) < self.length).then_some(due)
    }
}

/// What one lane did.
#[derive(Debug, Default)]
pub(super) struct Lane {
    pub(super) waits_us: Vec<u32>,
    pub(super) events: u64,
    pub(super) bytes: u64,
    pub(super) refused: u64,
}

impl Lane {
    /// Counts a request that was due at `due` and is answered now.
    pub(super) fn answered(&mut self, template: &Template, due: Instant) {
        self.waits_us.push(u32::try_from(due.elapsed().as_micros()).unwrap_or(u32::MAX));
        self.events += template.events() as u64;
        self.bytes += template.bytes.len() as u64;
    }
}

/// Sends as told, and prints what came of it as one line of JSON.
pub(in crate::commands::bench) async fn run(args: Args) -> anyhow::Result<()> {
    let templates = match args.door {
        Door::Http => bodies::http(&args.address.to_string(), &args.authorization, args.batch, u64::from(args.run)),
        Door::Grpc => bodies::grpc(&args.source_id, args.batch, u64::from(args.run)),
    };
    let shares = shares(templates, args.connections);
    let own = std::process::id();
    let (begun, cpu_before, lanes) = match args.door {
        Door::Http => {
            let connections = (0..shares.len()).map(|_| Connection::open(args.address));
            let connections: Vec<_> = connections.collect::<Result<_, _>>().context("the door cannot be reached")?;
            let (cpu_before, pace) = (cpu_seconds(own), Pace::begin(&args));
            let lanes = tokio::task::block_in_place(|| send_http(&args, connections, shares, &pace))?;
            (pace.begun, cpu_before, lanes)
        }
        Door::Grpc => {
            let channels = grpc::connect(&args, shares.len()).await?;
            let (cpu_before, pace) = (cpu_seconds(own), Pace::begin(&args));
            let lanes = grpc::send(&args, channels, shares, &pace).await?;
            (pace.begun, cpu_before, lanes)
        }
    };
    let mut told =
        Told { seconds: begun.elapsed().as_secs_f64(), cpu_seconds: cpu_seconds(own) - cpu_before, ..Told::default() };
    let mut waits = Vec::new();
    for lane in lanes {
        told.events += lane.events;
        told.bytes += lane.bytes;
        told.refused += lane.refused;
        waits.extend(lane.waits_us);
    }
    waits.sort_unstable();
    told.requests = waits.len() as u64;
    [told.p50_ms, told.p99_ms, told.p999_ms, told.max_ms] =
        [0.5, 0.99, 0.999, 1.0].map(|share| quantile(&waits, share));
    println!("{}", serde_json::to_string(&told)?);
    Ok(())
}

/// Returns the least value that `share` of all do not exceed, in milliseconds.
fn quantile(sorted_us: &[u32], share: f64) -> f64 {
    let rank = (sorted_us.len() as f64 * share).ceil() as usize;
    sorted_us.get(rank.saturating_sub(1)).map_or(0.0, |wait| f64::from(*wait) / 1e3)
}

/// Deals the templates out: a lane has its own, and writes into nobody else's.
fn shares(templates: Vec<Template>, lanes: usize) -> Vec<Vec<Template>> {
    let lanes = lanes.clamp(1, templates.len());
    let mut shares = vec![Vec::new(); lanes];
    for (number, template) in templates.into_iter().enumerate() {
        shares[number % lanes].push(template);
    }
    shares
}

fn send_http(
    args: &Args,
    connections: Vec<Connection>,
    shares: Vec<Vec<Template>>,
    pace: &Pace,
) -> anyhow::Result<Vec<Lane>> {
    thread::scope(|scope| {
        let lanes: Vec<_> = connections
            .into_iter()
            .zip(shares)
            .enumerate()
            .map(|(number, (connection, share))| {
                let next_id = first_id(args.run, number);
                scope.spawn(move || http_lane(connection, share, next_id, pace))
            })
            .collect();
        lanes.into_iter().map(|lane| lane.join().map_err(|_| anyhow::anyhow!("a lane panicked"))?).collect()
    })
}

fn http_lane(
    mut connection: Connection,
    mut templates: Vec<Template>,
    mut next_id: u64,
    pace: &Pace,
) -> anyhow::Result<Lane> {
    let mut lane = Lane::default();
    let count = templates.len();
    for turn in 0.. {
        let template = &mut templates[turn % count];
        template.renew(&mut next_id);
        let Some(due) = pace.due() else { break };
        thread::sleep(due.saturating_duration_since(Instant::now()));
        loop {
            match connection.send(&template.bytes)? {
                200 => {
                    lane.answered(template, due);
                    break;
                }
                429 | 503 => {
                    lane.refused += 1;
                    thread::sleep(PAUSE);
                }
                status => anyhow::bail!("the collector answered {status}"),
            }
        }
    }
    Ok(lane)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_values_that_were_seen() {
        let waits: Vec<u32> = (1..=1_000).map(|value| value * 1_000).collect();

        assert_eq!([0.5, 0.99, 0.999, 1.0].map(|share| quantile(&waits, share)), [500.0, 990.0, 999.0, 1_000.0]);
        assert_eq!(quantile(&[], 0.99), 0.0);
    }
}

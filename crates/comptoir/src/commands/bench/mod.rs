//! Measurements that anyone can repeat.

mod collect;
mod crash;
mod dedupe;
mod host;
mod http;
mod load;
mod overload;
mod pipeline;
mod trouble;

use clap::{Args as ClapArgs, Subcommand};
use serde::Serialize;

#[derive(Debug, ClapArgs)]
pub(super) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Events from the collector through all six services until every follower has caught up
    Pipeline(pipeline::Args),
    /// How fast the collector takes events: HTTP and gRPC, as fast as it goes and at constant rates
    Collect(collect::Args),
    /// Kill the collector at random moments under load, then look for every acknowledged event in the log
    Crash(crash::Args),
    /// Fill the disk, take the database away or slow it down under load, then look for every acknowledged event in the log
    Trouble(trouble::Args),
    /// Far more than can be taken: memory of gateway and ingestion, what they take and what they refuse
    Overload(overload::Args),
    /// What exact deduplication costs in time, writes and space as its window fills
    Dedupe(dedupe::Args),
    /// Gateway and ingestion alone; the other benchmarks run this as a process of its own
    #[command(hide = true)]
    Host(host::Args),
    /// Send events made in advance; `collect` runs this as a process of its own
    #[command(hide = true)]
    Generate(collect::generate::Args),
    /// Send events as fast as they are taken; the other benchmarks run this as a process of its own
    #[command(hide = true)]
    Load(load::Args),
}

pub(super) async fn run(args: Args) -> anyhow::Result<()> {
    match args.what {
        What::Pipeline(args) => pipeline::run(args).await,
        What::Collect(args) => collect::run(args).await,
        What::Crash(args) => crash::run(args).await,
        What::Trouble(args) => trouble::run(args).await,
        What::Overload(args) => overload::run(args).await,
        What::Dedupe(args) => dedupe::run(args).await,
        What::Host(args) => host::run(args).await,
        What::Generate(args) => collect::generate::run(args).await,
        What::Load(args) => load::run(args).await,
    }
}

/// One figure.
#[derive(Debug, Serialize)]
struct Figure<'a> {
    bench: &'a str,
    engine: &'a str,
    metric: String,
    value: f64,
    unit: &'a str,
}

/// Prints figures for people, or one JSON object per line.
struct Figures<'a> {
    bench: &'a str,
    engine: &'a str,
    json: bool,
}

impl Figures<'_> {
    fn print(&self, metric: impl Into<String>, value: f64, unit: &str) {
        let figure = Figure { bench: self.bench, engine: self.engine, metric: metric.into(), value, unit };
        match serde_json::to_string(&figure) {
            Ok(line) if self.json => println!("{line}"),
            _ => println!("{:<44} {:>14.1} {}", figure.metric, figure.value, figure.unit),
        }
    }
}

//! What a person types.

mod bench;
mod config;
mod demo;
mod doctor;
mod healthcheck;
mod import;
mod migrate;
mod simulate;
mod tenant;
mod up;

use std::{path::PathBuf, process::ExitCode};

use anyhow::Context;
use clap::{Args, Parser, Subcommand};
use kit::telemetry;

use crate::platform::Config;

#[derive(Debug, Parser)]
#[command(
    name = "comptoir",
    version,
    about = "The open customer platform: collect, recognise, score, recommend, speak."
)]
struct Line {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run all six services in this process
    Up(up::Args),
    /// Let a simulated shop live a year on the real services and show what came of it
    Demo(demo::Args),
    /// Read files of a shop's past
    Import(import::Args),
    /// Write or send the events of a simulated shop
    Simulate(simulate::Args),
    /// Create tenants and keys
    Tenant(tenant::Args),
    /// Apply pending migrations to every store and end
    Migrate(Settings),
    /// Look at the settings
    Config(config::Args),
    /// Look for what is wrong with an installation
    Doctor(doctor::Args),
    /// Ask the running `up` whether it is ready
    Healthcheck(Settings),
    /// Measure
    Bench(bench::Args),
}

/// Where settings come from.
#[derive(Debug, Clone, Args)]
struct Settings {
    /// TOML file with settings; variables COMPTOIR__SECTION__KEY go before it
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Folder for stores and secrets
    #[arg(long, value_name = "FOLDER")]
    data: Option<PathBuf>,
}

impl Settings {
    /// Returns the settings in force.
    fn read(&self) -> anyhow::Result<Config> {
        let variables =
            std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
        let mut config: Config = kit::config::load(self.config.as_deref(), variables)?;
        if let Some(data) = &self.data {
            config.data.clone_from(data);
        }
        Ok(config)
    }
}

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    let line = Line::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("comptoir: the runtime does not start: {error}");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(execute(line.command)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("comptoir: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn execute(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Up(args) => up::run(args).await,
        Command::Demo(args) => demo::run(args).await,
        Command::Import(args) => import::run(args).await,
        Command::Simulate(args) => simulate::run(args).await,
        Command::Tenant(args) => tenant::run(args).await,
        Command::Migrate(settings) => migrate::run(&settings).await,
        Command::Config(args) => config::run(&args),
        Command::Doctor(args) => doctor::run(args).await,
        Command::Healthcheck(settings) => healthcheck::run(&settings).await,
        Command::Bench(args) => bench::run(args).await,
    }
}

/// Sets up logging for a command that runs services. Errors and warnings only, unless the settings say otherwise.
fn quiet_telemetry(config: &Config) -> anyhow::Result<telemetry::Telemetry> {
    let mut wanted = config.telemetry.clone();
    if wanted == kit::config::TelemetryConfig::default() {
        wanted.log_filter = "warn".into();
        wanted.log_format = kit::config::LogFormat::Text;
    }
    telemetry::init(&wanted, "comptoir").context("telemetry does not start")
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Line::command().debug_assert();
    }
}

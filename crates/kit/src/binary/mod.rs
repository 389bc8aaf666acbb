//! The `main` of a service's own binary.
//!
//! ```text
//! identity [--config FILE] [serve]     run the service (the default)
//! identity [--config FILE] migrate     apply pending migrations and end
//! identity [--config FILE] config print
//! identity [--config FILE] healthcheck ask the running service whether it is ready
//! ```

mod args;
mod signals;
#[cfg(test)]
mod tests;

use std::{future::Future, net::SocketAddr, process::ExitCode};

use clap::Parser;
use serde::{Serialize, de::DeserializeOwned};
use tokio::net::TcpListener;
use tonic::service::Routes;
use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient};

use self::args::{Args, Command};
pub use self::signals::stop_on_signal;
use crate::{
    Clock, Error, Violations,
    auth::Authority,
    channel::{self, ChannelOptions, Credential},
    config::{self, AuthConfig, ClockConfig, ServerConfig, StoreConfig, TelemetryConfig},
    metrics::Metrics,
    server::{self, Readiness},
    shutdown::Shutdown,
    status::chain,
    telemetry,
};

/// Exit code for a configuration that cannot be used (`EX_USAGE`): restarting will not help.
const EXIT_CONFIG: u8 = 64;

/// The sections that every service's configuration has.
pub trait ServiceConfig: Default + Serialize + DeserializeOwned + Send + Sync {
    /// Section `[server]`.
    fn server(&self) -> &ServerConfig;
    /// Section `[store]`.
    fn store(&self) -> &StoreConfig;
    /// Section `[auth]`.
    fn auth(&self) -> &AuthConfig;
    /// Section `[telemetry]`.
    fn telemetry(&self) -> &TelemetryConfig;
    /// Section `[clock]`.
    fn clock(&self) -> &ClockConfig;

    /// Records what is wrong with the service's own sections, by key.
    fn validate(&self, _violations: &mut Violations) {}
}

/// What a process hands to the service it runs.
#[derive(Clone, Debug)]
pub struct Process {
    /// The time.
    pub clock: Clock,
    /// Signs and verifies the tokens that services call each other with.
    pub authority: Authority,
    /// Metrics of this process.
    pub metrics: Metrics,
    /// Where background tasks run and learn that they should stop.
    pub shutdown: Shutdown,
    /// Where parts say that they are ready.
    pub readiness: Readiness,
}

/// A service with a binary of its own.
pub trait Service: Sized + Send {
    /// Name of the service: in logs, traces and tokens.
    const NAME: &'static str;

    /// Its configuration.
    type Config: ServiceConfig;

    /// Applies pending migrations to its database.
    fn migrate(config: &Self::Config) -> impl Future<Output = Result<(), Error>> + Send;

    /// Opens stores and channels and builds the service, without starting anything.
    fn open(config: &Self::Config, process: Process) -> impl Future<Output = Result<Self, Error>> + Send;

    /// Returns what it serves.
    fn routes(&self) -> Routes;

    /// Starts its background tasks on the process's [`Shutdown`].
    fn start(&self);
}

/// Runs the binary of service `S` with the arguments and environment of this process. `main.rs` is one line:
/// `fn main() -> std::process::ExitCode { kit::binary::serve::<Identity>() }`
pub fn serve<S: Service>() -> ExitCode {
    let args = Args::parse();
    let config = match load::<S::Config>(&args) {
        Ok(config) => config,
        Err(problem) => {
            eprintln!("{}: {problem}", S::NAME);
            return ExitCode::from(EXIT_CONFIG);
        }
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("{}: the runtime does not start: {error}", S::NAME);
            return ExitCode::FAILURE;
        }
    };

    match runtime.block_on(execute::<S>(args.command(), &config)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}: {}", S::NAME, chain(&error));
            ExitCode::FAILURE
        }
    }
}

fn load<C: ServiceConfig>(args: &Args) -> Result<C, String> {
    // What is not UTF-8 cannot be a setting of ours.
    let variables =
        std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    let config: C = config::load(args.config.as_deref(), variables).map_err(|error| chain(&error))?;

    if args.needs_valid_config() {
        let mut violations = Violations::new();
        config.auth().validate(&mut violations);
        config.validate(&mut violations);
        violations.finish().map_err(|error| error.message)?;
    }
    Ok(config)
}

async fn execute<S: Service>(command: Command, config: &S::Config) -> Result<(), Error> {
    match command {
        Command::Serve => {
            let telemetry = telemetry::init(config.telemetry(), S::NAME)?;
            let served = bind_and_run::<S>(config).await;
            telemetry.shutdown().await;
            served
        }
        Command::Migrate => {
            let telemetry = telemetry::init(config.telemetry(), S::NAME)?;
            let migrated = S::migrate(config).await;
            telemetry.shutdown().await;
            migrated
        }
        Command::Config { .. } => {
            print!("{}", config::print(config));
            Ok(())
        }
        Command::Healthcheck => healthcheck(config.server().listen).await,
    }
}

async fn bind_and_run<S: Service>(config: &S::Config) -> Result<(), Error> {
    let listen = config.server().listen;
    let listener = TcpListener::bind(listen)
        .await
        .map_err(|error| Error::unavailable("ADDRESS_TAKEN", format!("{listen} cannot be bound")).caused_by(error))?;
    let shutdown = Shutdown::new();
    stop_on_signal(&shutdown)?;
    run::<S>(config, listener, shutdown).await
}

/// Builds, starts, serves, drains.
async fn run<S: Service>(config: &S::Config, listener: TcpListener, shutdown: Shutdown) -> Result<(), Error> {
    let address = listener.local_addr().map_err(Error::internal)?;
    let process = Process {
        clock: config.clock().open()?,
        authority: config.auth().authority(),
        metrics: Metrics::new(),
        shutdown,
        readiness: Readiness::new(),
    };
    if config.store().migrate {
        S::migrate(config).await?;
    }
    let service = S::open(config, process.clone()).await?;
    service.start();
    tracing::info!(server.address = %address, "{} serves on {address}", S::NAME);

    let Process { metrics, shutdown, readiness, .. } = process;
    let served = server::run(listener, service.routes(), metrics, readiness, shutdown.token.clone()).await;
    if !shutdown.drain(config.server().drain_limit()).await {
        tracing::warn!("some background tasks did not end in time");
    }
    served?;
    match shutdown.failure() {
        Some(failure) => Err(Error::internal(failure.to_owned())),
        None => Ok(()),
    }
}

/// Asks the process that serves at `listen`, on this machine, over gRPC health whether it is ready. For images without a shell.
pub async fn healthcheck(listen: SocketAddr) -> Result<(), Error> {
    let host = if listen.ip().is_unspecified() { "127.0.0.1".to_owned() } else { host_of(listen) };
    let url = format!("http://{host}:{}", listen.port());
    let channel = channel::remote(&url, ChannelOptions::new(Credential::none()))?;

    let answer = HealthClient::new(channel).check(HealthCheckRequest::default()).await?;
    if answer.get_ref().status() == ServingStatus::Serving {
        return Ok(());
    }
    Err(Error::unavailable("NOT_READY", "the service is not ready"))
}

fn host_of(listen: SocketAddr) -> String {
    match listen {
        SocketAddr::V4(address) => address.ip().to_string(),
        SocketAddr::V6(address) => format!("[{}]", address.ip()),
    }
}

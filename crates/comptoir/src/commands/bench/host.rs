//! The door alone, gateway and ingestion, as a process of its own: its CPU is told from the load generator's, and it can be
//! killed at any moment.

use std::{
    fs::File,
    io::Read,
    net::{SocketAddr, TcpListener as StdListener},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use ::store::{Cache, Db, OpenOptions};
use anyhow::Context;
use clap::Args as ClapArgs;
use kit::{
    Clock, TenantId,
    auth::{AuthContext, Authority, scope},
    channel::{self, ChannelOptions, Credential},
    config::{LogFormat, TelemetryConfig},
    metrics::Metrics,
    server::{self, Readiness},
    shutdown::Shutdown,
};
use proto::ingestion::v1::{Source, SummarizeEventsRequest, summarize_events_response::SourceSummary};
use tokio::net::TcpListener;
use tonic::service::Routes;
use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient};

use crate::{
    api::Api,
    cluster::{cpu_seconds, draw, execute},
    web::Web,
};

/// Names the variable with the secret that signs tokens and is the operator's key.
const SECRET: &str = "COMPTOIR_BENCH_SECRET";
/// Names the variable with the URL of ingestion's store.
const STORE: &str = "COMPTOIR_BENCH_STORE";
/// How long the process may take to become ready.
const READY_LIMIT: Duration = Duration::from_secs(60);
/// The tenant of a measurement.
const TENANT: &str = "bench";
/// Enough that nobody is refused; the counters are kept all the same, as they are in production.
const NO_LIMIT: u32 = 10_000_000;

#[derive(Debug, ClapArgs)]
pub(super) struct Args {
    /// Folder for SQLite files
    #[arg(long)]
    data: PathBuf,
    /// Where the gateway listens
    #[arg(long)]
    gateway: SocketAddr,
    /// Where ingestion listens
    #[arg(long)]
    ingestion: SocketAddr,
    /// Where rate counters are kept
    #[arg(long, default_value = "memory:")]
    cache: String,
    /// When the store counts as slow
    #[arg(long, default_value_t = ingestion::CollectConfig::default().slow_store_seconds)]
    slow_store_seconds: u32,
    /// Transactions after which the deduplication window is merged
    #[arg(long, default_value_t = ingestion::CollectConfig::default().dedupe_merge_batches)]
    merge_batches: u32,
}

/// Serves until the one who started it goes away.
pub(super) async fn run(args: Args) -> anyhow::Result<()> {
    let quiet =
        TelemetryConfig { log_filter: "warn".into(), log_format: LogFormat::Text, ..TelemetryConfig::default() };
    let telemetry = kit::telemetry::init(&quiet, "comptoir")?;
    let secret = std::env::var(SECRET).context("no secret was given")?;
    let store = std::env::var(STORE).context("no store was given")?;
    let authority = Authority::new(secret.as_bytes());
    let (metrics, readiness, shutdown) = (Metrics::new(), Readiness::new(), Shutdown::new());

    let mut config = ingestion::Config::default();
    config.collect.slow_store_seconds = args.slow_store_seconds;
    config.collect.dedupe_merge_batches = args.merge_batches;
    let acquire_timeout = Duration::from_secs(args.slow_store_seconds.into());
    let ingestion_db = Db::open(&store, OpenOptions { acquire_timeout, ..OpenOptions::default() }).await?;
    ingestion_db.migrate(&eventlog::MIGRATIONS).await?;
    ingestion_db.migrate(&ingestion::MIGRATIONS).await?;
    let deps = ingestion::Deps {
        db: ingestion_db,
        clock: Clock::system(),
        authority: authority.clone(),
        metrics: metrics.clone(),
        shutdown: shutdown.clone(),
        readiness: readiness.clone(),
        cache: ::store::Cache::memory(),
    };
    let ingestion = ingestion::Ingestion::build(&config, deps).await?;

    // Tenants and keys: read once in a few seconds, never part of what is measured.
    let gateway_db =
        Db::open(&format!("sqlite:{}", args.data.join("gateway.db").display()), OpenOptions::default()).await?;
    gateway_db.migrate(&gateway::MIGRATIONS).await?;
    let upstream = |routes: Routes| channel::local(routes, ChannelOptions::new(Credential::none()).retries(0));
    let nobody = upstream(Routes::default());
    let access = gateway::AccessConfig {
        operator_key: secret.as_str().into(),
        calls_per_second: NO_LIMIT,
        collects_per_second: NO_LIMIT,
        ..gateway::AccessConfig::default()
    };
    let deps = gateway::Deps {
        db: gateway_db,
        clock: Clock::system(),
        authority,
        metrics: metrics.clone(),
        readiness: readiness.clone(),
        cache: Cache::open(&args.cache).await?,
        upstreams: gateway::Upstreams {
            ingestion: upstream(ingestion.routes()),
            identity: nobody.clone(),
            scoring: nobody.clone(),
            recommendation: nobody.clone(),
            campaign: nobody,
        },
    };
    let gateway = gateway::Gateway::build(&gateway::Config { access, ..gateway::Config::default() }, deps).await?;

    ingestion.start();
    end_with_the_parent(&shutdown);
    let serve = async |address: SocketAddr, routes: Routes| {
        let listener = TcpListener::bind(address).await.map_err(kit::Error::internal)?;
        server::run(listener, routes, metrics.clone(), readiness.clone(), shutdown.token.clone()).await
    };
    tokio::try_join!(serve(args.gateway, gateway.routes()), serve(args.ingestion, ingestion.routes()))?;
    shutdown.drain(Duration::from_secs(5)).await;
    telemetry.shutdown().await;
    Ok(())
}

/// The parent holds the other end of the standard input: it closes when the parent ends, however it ends.
fn end_with_the_parent(shutdown: &Shutdown) {
    let shutdown = shutdown.clone();
    std::thread::spawn(move || {
        let mut nothing = [0; 1];
        while std::io::stdin().read(&mut nothing).is_ok_and(|read| read > 0) {}
        shutdown.begin();
    });
}

/// How to start the door.
#[derive(Default)]
pub(super) struct HostOptions {
    /// Folder for its files and its log.
    pub(super) folder: PathBuf,
    /// A PostgreSQL server on which ingestion gets a fresh database; a SQLite file in the folder when not given.
    pub(super) postgres: Option<String>,
    /// A Redis server for the rate counters; memory when not given.
    pub(super) redis: Option<String>,
    /// Where ingestion's connections to PostgreSQL go, when not to the server itself.
    pub(super) postgres_through: Option<SocketAddr>,
    /// When the store counts as slow; the default when not given.
    pub(super) slow_store_seconds: Option<u32>,
    /// Transactions after which the deduplication window is merged; the default when not given.
    pub(super) merge_batches: Option<u32>,
}

/// The door, running or killed.
pub(super) struct Host {
    options: HostOptions,
    gateway: SocketAddr,
    ingestion: SocketAddr,
    store: String,
    /// What ingestion is told: `store`, or the way there.
    store_as_told: String,
    secret: String,
    child: Option<Child>,
}

/// What a sender needs.
#[derive(Clone)]
pub(super) struct Keys {
    /// Write key of the source.
    pub(super) write_key: String,
    /// Key that may do everything in the tenant.
    pub(super) api_key: String,
    /// The source.
    pub(super) source_id: String,
}

impl Host {
    /// Makes the store, starts the door and waits until it is ready.
    pub(super) async fn start(options: HostOptions) -> anyhow::Result<Self> {
        std::fs::create_dir_all(&options.folder)?;
        let store = match &options.postgres {
            None => format!("sqlite:{}", options.folder.join("ingestion.db").display()),
            Some(server) => {
                let name = format!("bench_{}", uuid::Uuid::now_v7().simple());
                execute(server, format!("CREATE DATABASE {name}")).await?;
                let (head, _) = server.rsplit_once('/').unwrap_or((server, ""));
                format!("{head}/{name}")
            }
        };
        let store_as_told = match options.postgres_through {
            None => store.clone(),
            Some(proxy) => through(&store, proxy)?,
        };
        // Both are held until both are drawn, so that none comes twice.
        let held = [StdListener::bind(("127.0.0.1", 0))?, StdListener::bind(("127.0.0.1", 0))?];
        let [gateway, ingestion] = [held[0].local_addr()?, held[1].local_addr()?];
        drop(held);
        let mut host = Self { options, gateway, ingestion, store, store_as_told, secret: draw(), child: None };
        host.spawn()?;
        host.ready().await?;
        Ok(host)
    }

    /// Starts the process, without waiting until it is ready.
    pub(super) fn spawn(&mut self) -> anyhow::Result<()> {
        let log = File::options().create(true).append(true).open(self.log_file())?;
        let mut command = Command::new(std::env::current_exe()?);
        command
            .args(["bench", "host", "--data"])
            .arg(&self.options.folder)
            .args(["--gateway", &self.gateway.to_string(), "--ingestion", &self.ingestion.to_string()])
            .args(["--cache", self.options.redis.as_deref().unwrap_or("memory:")])
            .env(SECRET, &self.secret)
            .env(STORE, &self.store_as_told)
            .stdin(Stdio::piped())
            .stdout(log.try_clone()?)
            .stderr(log);
        if let Some(seconds) = self.options.slow_store_seconds {
            command.args(["--slow-store-seconds", &seconds.to_string()]);
        }
        if let Some(batches) = self.options.merge_batches {
            command.args(["--merge-batches", &batches.to_string()]);
        }
        self.child = Some(command.spawn()?);
        Ok(())
    }

    /// Waits until the door says that it can do its job.
    pub(super) async fn ready(&mut self) -> anyhow::Result<()> {
        let deadline = Instant::now() + READY_LIMIT;
        let mut web = Web::remote(&self.gateway_url())?;
        loop {
            if web.get("/readyz", "bench").await.is_ok_and(|answer| answer.status.is_success()) {
                return Ok(());
            }
            let ended = self.child.as_mut().and_then(|child| child.try_wait().ok().flatten());
            if ended.is_some() || Instant::now() > deadline {
                anyhow::bail!("the door is not ready:\n{}", self.log());
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Returns whether the door says that it can do its job: the gateway over HTTP, ingestion by gRPC health.
    pub(super) async fn readiness(&self) -> anyhow::Result<(bool, bool)> {
        let told = Web::remote(&self.gateway_url())?.get("/readyz", "bench").await?.status.is_success();
        let channel = channel::remote(&self.ingestion_url(), ChannelOptions::new(Credential::none()))?;
        let health = HealthClient::new(channel).check(HealthCheckRequest::default()).await?.into_inner();
        Ok((told, health.status() == ServingStatus::Serving))
    }

    /// Kills the process at once (`SIGKILL`), without any farewell.
    pub(super) fn kill(&mut self) -> anyhow::Result<()> {
        if let Some(mut child) = self.child.take() {
            child.kill()?;
            child.wait()?;
        }
        Ok(())
    }

    /// Kills the process and drops its database.
    pub(super) async fn remove(mut self) -> anyhow::Result<()> {
        self.kill()?;
        if let Some(server) = &self.options.postgres {
            let name = self.store.rsplit('/').next().unwrap_or_default();
            execute(server, format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")).await?;
        }
        Ok(())
    }

    /// Makes the tenant, its source and its keys.
    pub(super) async fn set_up(&self) -> anyhow::Result<Keys> {
        let api_key = Api::remote(&self.gateway_url(), &self.secret)?.create_tenant(TENANT).await?;
        let source =
            Source { name: "site".into(), kind: "site".into(), default_currency: "EUR".into(), ..Source::default() };
        let created = self.api(&api_key)?.create_source(source).await?;
        let source_id = created.source.unwrap_or_default().source_id;
        Ok(Keys { write_key: created.write_key, api_key, source_id })
    }

    /// Returns the API as the bearer of `key`.
    pub(super) fn api(&self, key: &str) -> anyhow::Result<Api> {
        Ok(Api::remote(&self.gateway_url(), key)?)
    }

    /// Returns what ingestion counted of the source since it began.
    pub(super) async fn counted(&self, keys: &Keys) -> anyhow::Result<SourceSummary> {
        let request = SummarizeEventsRequest { source_id: keys.source_id.clone() };
        let answer = self.api(&keys.api_key)?.ingestion().summarize_events(request).await?.into_inner();
        Ok(answer.sources.into_iter().next().unwrap_or_default())
    }

    /// Returns a value of the header `authorization` that ingestion itself takes, as the gateway would put it on a call.
    pub(super) fn token(&self) -> anyhow::Result<String> {
        let tenant = TenantId::try_from(TENANT)?;
        let context = AuthContext::tenant(tenant, "bench", &[scope::EVENTS_WRITE]);
        let lifetime = Duration::from_secs(86_400);
        Ok(format!("Bearer {}", self.authority().sign(&context, lifetime, Clock::system().now())))
    }

    /// Returns what signs the tokens between the services.
    pub(super) fn authority(&self) -> Authority {
        Authority::new(self.secret.as_bytes())
    }

    /// Returns the gateway's address, `http://host:port`.
    pub(super) fn gateway_url(&self) -> String {
        format!("http://{}", self.gateway)
    }

    /// Returns ingestion's own address, `http://host:port`.
    pub(super) fn ingestion_url(&self) -> String {
        format!("http://{}", self.ingestion)
    }

    /// Returns the CPU time that the door has used so far, in seconds.
    pub(super) fn cpu_seconds(&self) -> f64 {
        self.child.as_ref().map_or(0.0, |child| cpu_seconds(child.id()))
    }

    /// Returns the URL of ingestion's store.
    pub(super) fn store(&self) -> &str {
        &self.store
    }

    /// Returns `"sqlite"` or `"postgres"`.
    pub(super) fn engine(&self) -> &'static str {
        if self.options.postgres.is_some() { "postgres" } else { "sqlite" }
    }

    /// Returns what the door wrote to its output.
    pub(super) fn log(&self) -> String {
        std::fs::read_to_string(self.log_file()).unwrap_or_default()
    }

    fn log_file(&self) -> PathBuf {
        Path::new(&self.options.folder).join("host.log")
    }
}

/// Returns the URL of a database as it is reached through a proxy.
fn through(store: &str, proxy: SocketAddr) -> anyhow::Result<String> {
    let mut url = url::Url::parse(store)?;
    url.set_ip_host(proxy.ip()).map_err(|()| anyhow::anyhow!("the address of the store cannot be changed"))?;
    url.set_port(Some(proxy.port())).map_err(|()| anyhow::anyhow!("the address of the store cannot be changed"))?;
    Ok(url.into())
}

impl Drop for Host {
    fn drop(&mut self) {
        // Nothing can be done about a process that cannot be killed.
        let _ = self.kill();
    }
}

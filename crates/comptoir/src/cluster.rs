//! The six services as processes of their own on this machine, each with its own database: what the benchmarks and the
//! end-to-end tests run on. Not for production; see `deploy/`.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use kit::{Error, auth::Authority, config::Secret};
use rand::distr::{Alphanumeric, SampleString};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, postgres::PgConnectOptions};

use crate::{
    api::Api,
    platform::{Config, Databases, Stores},
    web::Web,
};

/// The services, in the order they are started; the gateway last.
pub const SERVICES: [&str; 6] = ["ingestion", "identity", "scoring", "recommendation", "campaign", "gateway"];

/// How long a service may take to become ready.
const READY_LIMIT: Duration = Duration::from_secs(60);

/// What a cluster is made of.
#[derive(Debug, Clone)]
pub struct ClusterOptions {
    /// Folder of the programs `comptoir-<service>`.
    pub programs: PathBuf,
    /// Folder for logs and SQLite files.
    pub folder: PathBuf,
    /// A PostgreSQL server on which each service gets a fresh database; SQLite files when not given.
    pub postgres: Option<String>,
    /// A Redis server; counters in memory when not given.
    pub redis: Option<String>,
    /// Settings of every service, as `(key, value)`: `("telemetry__log_filter", "info")`.
    pub settings: Vec<(String, String)>,
    /// Settings of single services, as `(service, key, value)`.
    pub service_settings: Vec<(String, String, String)>,
}

/// Running services.
pub struct Cluster {
    options: ClusterOptions,
    running: BTreeMap<&'static str, Child>,
    addresses: BTreeMap<&'static str, SocketAddr>,
    stores: BTreeMap<&'static str, String>,
    auth_secret: String,
    operator_key: String,
    link_secret: String,
}

impl Cluster {
    /// Makes the databases, starts every service and waits until all are ready. When one does not start, everything is
    /// removed again.
    pub async fn start(options: ClusterOptions) -> Result<Self, Error> {
        fs::create_dir_all(&options.folder).map_err(Error::internal)?;
        let mut cluster = Self {
            running: BTreeMap::new(),
            addresses: free_addresses()?,
            stores: make_stores(&options).await?,
            auth_secret: draw(),
            operator_key: draw(),
            link_secret: draw(),
            options,
        };
        match cluster.start_all().await {
            Ok(()) => Ok(cluster),
            Err(error) => {
                cluster.stop().await?;
                Err(error)
            }
        }
    }

    async fn start_all(&mut self) -> Result<(), Error> {
        for service in SERVICES {
            self.spawn(service)?;
        }
        for service in SERVICES {
            self.wait_ready(service).await?;
        }
        Ok(())
    }

    /// Returns the gateway's address, `http://host:port`.
    pub fn gateway_url(&self) -> String {
        self.url("gateway")
    }

    /// Returns a service's own address, `http://host:port`.
    pub fn url(&self, service: &str) -> String {
        format!("http://{}", self.addresses[service])
    }

    /// Returns the URL of a service's store.
    pub fn store(&self, service: &str) -> &str {
        &self.stores[service]
    }

    /// Returns what signs the tokens between the services.
    pub fn authority(&self) -> Authority {
        Authority::new(self.auth_secret.as_bytes())
    }

    /// Returns the API as the operator.
    pub fn operator(&self) -> Result<Api, Error> {
        Api::remote(&self.gateway_url(), &self.operator_key)
    }

    /// Returns the process id of a running service.
    pub fn pid(&self, service: &str) -> Option<u32> {
        self.running.get(service).map(Child::id)
    }

    /// Kills a service at once (`SIGKILL`), without any farewell.
    pub fn kill(&mut self, service: &'static str) -> Result<(), Error> {
        if let Some(mut child) = self.running.remove(service) {
            child.kill().map_err(Error::internal)?;
            child.wait().map_err(Error::internal)?;
        }
        Ok(())
    }

    /// Starts a service that was killed, where it was.
    pub fn spawn(&mut self, service: &'static str) -> Result<(), Error> {
        let log = File::options().create(true).append(true).open(self.log_file(service)).map_err(Error::internal)?;
        let program = self.options.programs.join(format!("comptoir-{service}"));
        let mut command = Command::new(&program);
        command.stdin(Stdio::null()).stdout(log.try_clone().map_err(Error::internal)?).stderr(log);
        for (key, value) in self.settings(service) {
            command.env(format!("COMPTOIR__{}", key.to_ascii_uppercase()), value);
        }
        let child = command.spawn().map_err(|error| {
            Error::failed_precondition("PROGRAM_MISSING", format!("{} cannot be run", program.display()))
                .caused_by(error)
        })?;
        self.running.insert(service, child);
        Ok(())
    }

    /// Waits until a service says that it can do its job.
    pub async fn wait_ready(&mut self, service: &'static str) -> Result<(), Error> {
        let deadline = Instant::now() + READY_LIMIT;
        let mut web = Web::remote(&self.url(service))?;
        loop {
            if let Ok(answer) = web.get("/readyz", "cluster").await
                && answer.status.is_success()
            {
                return Ok(());
            }
            let ended = self.running.get_mut(service).and_then(|child| child.try_wait().ok().flatten());
            if ended.is_some() || Instant::now() > deadline {
                let log = fs::read_to_string(self.log_file(service)).unwrap_or_default();
                let tail: Vec<&str> = log.lines().rev().take(20).collect();
                let tail: Vec<&str> = tail.into_iter().rev().collect();
                return Err(Error::unavailable("NOT_READY", format!("{service} is not ready:\n{}", tail.join("\n"))));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Opens the services' databases for looking at them from outside.
    pub async fn databases(&self) -> Result<Databases, Error> {
        let url = |service: &str| Secret::from(self.stores[service].as_str());
        let stores = Stores {
            gateway: url("gateway"),
            ingestion: url("ingestion"),
            identity: url("identity"),
            scoring: url("scoring"),
            recommendation: url("recommendation"),
            campaign: url("campaign"),
        };
        Databases::open(&Config { stores, ..Config::on(&self.options.folder) }).await
    }

    /// Returns where a service's output goes.
    pub fn log_file(&self, service: &str) -> PathBuf {
        self.options.folder.join(format!("{service}.log"))
    }

    /// Returns the CPU time that a service has used so far, in seconds.
    pub fn cpu_seconds(&self, service: &str) -> f64 {
        self.pid(service).map_or(0.0, cpu_seconds)
    }

    /// Stops every service and drops its database.
    pub async fn stop(mut self) -> Result<(), Error> {
        for service in SERVICES {
            self.kill(service)?;
        }
        if let Some(server) = &self.options.postgres {
            for url in self.stores.values() {
                let name = url.rsplit('/').next().unwrap_or_default().to_owned();
                execute(server, format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")).await?;
            }
        }
        Ok(())
    }

    fn settings(&self, service: &str) -> Vec<(String, String)> {
        let mut settings: Vec<(String, String)> = vec![
            ("server__listen".into(), self.addresses[service].to_string()),
            ("store__url".into(), self.stores[service].clone()),
            ("auth__secret".into(), self.auth_secret.clone()),
        ];
        if let Some(redis) = &self.options.redis {
            settings.push(("store__cache_url".into(), redis.clone()));
        }
        match service {
            "gateway" => {
                settings.push(("access__operator_key".into(), self.operator_key.clone()));
                for upstream in SERVICES.iter().filter(|name| **name != "gateway") {
                    settings.push((format!("upstreams__{upstream}"), self.url(upstream)));
                }
            }
            "ingestion" => {}
            _ => settings.push(("gateway__url".into(), self.gateway_url())),
        }
        if service == "campaign" {
            settings.push(("links__secret".into(), self.link_secret.clone()));
            settings.push(("suppression__secret".into(), self.link_secret.clone()));
            settings.push(("links__public_base_url".into(), self.gateway_url()));
        }
        settings.extend(self.options.settings.iter().cloned());
        let own = self.options.service_settings.iter().filter(|(name, ..)| name == service);
        settings.extend(own.map(|(_, key, value)| (key.clone(), value.clone())));
        settings
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for child in self.running.values_mut() {
            // Nothing can be done about a process that cannot be killed.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Returns the folder of the programs that were built with the running one, for tests and benchmarks.
pub fn programs_beside_this_one() -> Result<PathBuf, Error> {
    let own = std::env::current_exe().map_err(Error::internal)?;
    let folder = own.parent().unwrap_or(Path::new("."));
    // Tests run from `deps/`, one level below the programs.
    let folder = if folder.ends_with("deps") { folder.parent().unwrap_or(folder) } else { folder };
    Ok(folder.to_owned())
}

/// Returns the CPU time, user and system, that a process has used so far, in seconds; 0 when it cannot be read.
pub fn cpu_seconds(pid: u32) -> f64 {
    const TICKS_PER_SECOND: f64 = 100.0;
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The program's name, in parentheses, may hold spaces: fields are counted behind it.
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |index: usize| fields.get(index).and_then(|field| field.parse::<f64>().ok()).unwrap_or(0.0);
    (ticks(11) + ticks(12)) / TICKS_PER_SECOND
}

/// Reserves a free port for each service. All are held until all are drawn, so that none comes twice.
fn free_addresses() -> Result<BTreeMap<&'static str, SocketAddr>, Error> {
    let mut held = Vec::new();
    let mut addresses = BTreeMap::new();
    for service in SERVICES {
        let listener = TcpListener::bind(("127.0.0.1", 0)).map_err(Error::internal)?;
        addresses.insert(service, listener.local_addr().map_err(Error::internal)?);
        held.push(listener);
    }
    Ok(addresses)
}

async fn make_stores(options: &ClusterOptions) -> Result<BTreeMap<&'static str, String>, Error> {
    let mut stores = BTreeMap::new();
    for service in SERVICES {
        let url = match &options.postgres {
            None => format!("sqlite:{}", options.folder.join(format!("{service}.db")).display()),
            Some(server) => {
                let name = format!("{service}_{}", uuid::Uuid::now_v7().simple());
                execute(server, format!("CREATE DATABASE {name}")).await?;
                let (head, _) = server.rsplit_once('/').unwrap_or((server, ""));
                format!("{head}/{name}")
            }
        };
        stores.insert(service, url);
    }
    Ok(stores)
}

/// Runs one statement on a PostgreSQL server.
pub(crate) async fn execute(server: &str, statement: String) -> Result<(), Error> {
    let options: PgConnectOptions =
        server.parse().map_err(|_| Error::invalid("URL_INVALID", "the PostgreSQL address cannot be read"))?;
    let run = async {
        let mut connection = options.connect().await?;
        sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut connection).await?;
        connection.close().await
    };
    run.await.map_err(|error: sqlx::Error| ::store::Error::from(error).into())
}

/// Draws a secret.
pub(crate) fn draw() -> String {
    Alphanumeric.sample_string(&mut rand::rng(), 43)
}

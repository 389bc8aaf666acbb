//! Each service a process of its own.

use std::{fs, path::PathBuf};

use chrono::{DateTime, Utc};
use comptoir::{
    api::Api,
    cluster::{Cluster, ClusterOptions, programs_beside_this_one},
    platform::{Databases, next_due_us, settled},
    shop::Stage,
    web::Web,
};
use kit::{Clock, Error, auth::Authority};
use tempfile::TempDir;
use tokio::sync::Mutex;

use crate::{
    Engine, Subject,
    databases::{postgres_server, redis_server},
    subject::{Post, SETTLE_LIMIT, within},
};

/// Services whose time is when events are received; the others decide by the time of the timers.
const INTAKE: [&str; 3] = ["gateway", "ingestion", "identity"];
/// See [`INTAKE`].
const TIMERS: [&str; 3] = ["scoring", "recommendation", "campaign"];

/// The product as six processes, with two clock files.
pub struct Clustered {
    cluster: Mutex<Cluster>,
    databases: Databases,
    intake: ClockFile,
    timers: ClockFile,
    post: Post,
    url: String,
    operator: Api,
    authority: Authority,
    _folder: TempDir,
}

impl Clustered {
    /// Starts it at the virtual time `start`, without limits on calls.
    pub async fn start(engine: Engine, start: DateTime<Utc>) -> anyhow::Result<Self> {
        Self::start_with(engine, start, Vec::new()).await
    }

    /// Starts it with more settings for every service, as `(key, value)`.
    pub async fn start_with(
        engine: Engine,
        start: DateTime<Utc>,
        settings: Vec<(String, String)>,
    ) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let intake = ClockFile::begin(folder.path().join("intake"), start)?;
        let timers = ClockFile::begin(folder.path().join("timers"), start)?;
        let post = Post::start().await?;

        let mut service_settings: Vec<(String, String, String)> = Vec::new();
        let mut set = |service: &str, key: &str, value: String| {
            service_settings.push((service.into(), key.into(), value));
        };
        for (services, file) in [(INTAKE, &intake), (TIMERS, &timers)] {
            for service in services {
                set(service, "clock__source", format!("file:{}", file.path.display()));
            }
        }
        set("gateway", "access__calls_per_second", "0".into());
        set("gateway", "access__collects_per_second", "0".into());
        set("campaign", "smtp__host", post.server.address().ip().to_string());
        set("campaign", "smtp__port", post.server.address().port().to_string());

        let mut all_settings = vec![("telemetry__log_filter".to_owned(), "warn".to_owned())];
        all_settings.extend(settings);
        let cluster = Cluster::start(ClusterOptions {
            programs: programs_beside_this_one()?,
            folder: folder.path().to_owned(),
            postgres: postgres_server().filter(|_| engine == Engine::Postgres),
            redis: redis_server().filter(|_| engine == Engine::Postgres),
            settings: all_settings,
            service_settings,
        })
        .await?;
        Ok(Self {
            databases: cluster.databases().await?,
            url: cluster.gateway_url(),
            operator: cluster.operator()?,
            authority: cluster.authority(),
            cluster: Mutex::new(cluster),
            intake,
            timers,
            post,
            _folder: folder,
        })
    }

    /// Kills a service at once and starts it again, without waiting until it is ready.
    pub async fn kill_and_restart(&self, service: &'static str) -> Result<(), Error> {
        let mut cluster = self.cluster.lock().await;
        cluster.kill(service)?;
        cluster.spawn(service)
    }

    /// Waits until a service is ready.
    pub async fn wait_ready(&self, service: &'static str) -> Result<(), Error> {
        self.cluster.lock().await.wait_ready(service).await
    }

    /// Returns what a service wrote to its output so far.
    pub async fn output(&self, service: &str) -> String {
        fs::read_to_string(self.cluster.lock().await.log_file(service)).unwrap_or_default()
    }

    /// Kills every service and drops the databases.
    pub async fn stop(self) -> Result<(), Error> {
        for (_, db) in self.databases.each() {
            db.close().await;
        }
        self.cluster.into_inner().stop().await
    }
}

impl Stage for Clustered {
    fn set_intake(&self, time: DateTime<Utc>) {
        self.intake.set(time);
    }

    fn set_timers(&self, time: DateTime<Utc>) {
        self.timers.set(time);
    }

    async fn settle(&self) -> Result<(), Error> {
        let rest = settled(&self.databases, &self.timers.clock);
        within(SETTLE_LIMIT, "the services do not come to rest", rest).await?;
        self.post.hand_over();
        Ok(())
    }

    async fn next_due(&self) -> Result<Option<DateTime<Utc>>, Error> {
        let next_us = next_due_us(&self.databases).await?;
        Ok(next_us.and_then(DateTime::from_timestamp_micros))
    }
}

impl Subject for Clustered {
    fn operator(&self) -> Result<Api, Error> {
        Ok(self.operator.clone())
    }

    fn api(&self, key: &str) -> Result<Api, Error> {
        Api::remote(&self.url, key)
    }

    fn web(&self) -> Result<Web, Error> {
        Web::remote(&self.url)
    }

    fn url(&self) -> String {
        self.url.clone()
    }

    fn authority(&self) -> Authority {
        self.authority.clone()
    }

    fn post(&self) -> &Post {
        &self.post
    }
}

/// A time that processes share.
struct ClockFile {
    path: PathBuf,
    clock: Clock,
}

impl ClockFile {
    fn begin(path: PathBuf, start: DateTime<Utc>) -> anyhow::Result<Self> {
        fs::write(&path, start.to_rfc3339())?;
        Ok(Self { clock: Clock::manual(start), path })
    }

    fn set(&self, time: DateTime<Utc>) {
        self.clock.set(time);
        // Written beside and renamed: a reader finds the old time or the new one.
        let fresh = self.path.with_extension("new");
        fs::write(&fresh, self.clock.now().to_rfc3339())
            .and_then(|()| fs::rename(&fresh, &self.path))
            .expect("the test's own folder can be written");
    }
}

//! All six services in the process of the test.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use comptoir::{
    api::Api,
    platform::{Clocks, Config, Platform, Stores},
    shop::Stage,
    web::Web,
};
use kit::{Clock, Error, auth::Authority, config::Secret};
use tempfile::TempDir;
use tokio::{net::TcpListener, task::JoinHandle};

use crate::{
    Engine, Subject,
    databases::FreshDatabases,
    subject::{Post, SETTLE_LIMIT, within},
};

/// How long the end may take.
const STOP_LIMIT: Duration = Duration::from_secs(20);

/// The product in one process, with the gateway on a free port.
pub struct Embedded {
    platform: Arc<Platform>,
    post: Post,
    url: String,
    serving: JoinHandle<Result<(), Error>>,
    // Dropped last: stores are in them.
    _folder: TempDir,
    _databases: Option<FreshDatabases>,
}

impl Embedded {
    /// Starts it at the virtual time `start`, without limits on calls.
    pub async fn start(engine: Engine, start: DateTime<Utc>) -> anyhow::Result<Self> {
        Self::start_with(engine, start, |_| {}).await
    }

    /// Starts it with a configuration that `adjust` may change.
    pub async fn start_with(
        engine: Engine,
        start: DateTime<Utc>,
        adjust: impl FnOnce(&mut Config),
    ) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let databases = match engine {
            Engine::Sqlite => None,
            Engine::Postgres => Some(FreshDatabases::create().await?),
        };
        let post = Post::start().await?;
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;

        let mut config = Config::on(folder.path());
        if let Some(databases) = &databases {
            config.stores = stores(databases);
        }
        config.server.listen = address;
        config.public_url = format!("http://{address}");
        config.access.calls_per_second = 0;
        config.access.collects_per_second = 0;
        config.smtp.host = post.server.address().ip().to_string();
        config.smtp.port = post.server.address().port();
        adjust(&mut config);

        let clocks = Clocks { intake: Clock::manual(start), timers: Clock::manual(start) };
        let platform = Arc::new(Platform::open(config, clocks).await?);
        platform.start();
        let server = Arc::clone(&platform);
        let serving = tokio::spawn(async move { server.serve(listener).await });
        let ready = async {
            platform.ready().await;
            Ok(())
        };
        within(SETTLE_LIMIT, "the platform is not ready", ready).await?;
        let url = format!("http://{address}");
        Ok(Self { platform, post, url, serving, _folder: folder, _databases: databases })
    }

    /// Returns the platform itself.
    pub fn platform(&self) -> &Platform {
        &self.platform
    }

    /// Stops it in order.
    pub async fn stop(self) -> anyhow::Result<()> {
        self.platform.shutdown().begin();
        self.serving.await??;
        self.platform.shutdown().drain(STOP_LIMIT).await;
        for (_, db) in self.platform.databases().each() {
            db.close().await;
        }
        Ok(())
    }
}

impl Stage for Embedded {
    fn set_intake(&self, time: DateTime<Utc>) {
        self.platform.clocks().intake.set(time);
    }

    fn set_timers(&self, time: DateTime<Utc>) {
        self.platform.clocks().timers.set(time);
    }

    async fn settle(&self) -> Result<(), Error> {
        within(SETTLE_LIMIT, "the services do not come to rest", self.platform.settled()).await?;
        self.post.hand_over();
        Ok(())
    }

    async fn next_due(&self) -> Result<Option<DateTime<Utc>>, Error> {
        self.platform.next_due().await
    }
}

impl Subject for Embedded {
    fn operator(&self) -> Result<Api, Error> {
        self.platform.operator()
    }

    fn api(&self, key: &str) -> Result<Api, Error> {
        self.platform.api(key)
    }

    fn web(&self) -> Result<Web, Error> {
        Web::remote(&self.url)
    }

    fn url(&self) -> String {
        self.url.clone()
    }

    fn authority(&self) -> Authority {
        Authority::new(self.platform.secrets().auth_secret.expose().as_bytes())
    }

    fn post(&self) -> &Post {
        &self.post
    }
}

fn stores(databases: &FreshDatabases) -> Stores {
    let url = |service: &str| Secret::from(databases.url(service).as_str());
    Stores {
        gateway: url("gateway"),
        ingestion: url("ingestion"),
        identity: url("identity"),
        scoring: url("scoring"),
        recommendation: url("recommendation"),
        campaign: url("campaign"),
    }
}

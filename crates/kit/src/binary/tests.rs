//! The life of a service's process, without the process.

use std::time::Duration;

use serde::Deserialize;

use super::*;

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Config {
    server: ServerConfig,
    store: StoreConfig,
    auth: AuthConfig,
    telemetry: TelemetryConfig,
    clock: ClockConfig,
    /// Whether the background task fails at once.
    fails: bool,
}

impl ServiceConfig for Config {
    fn server(&self) -> &ServerConfig {
        &self.server
    }
    fn store(&self) -> &StoreConfig {
        &self.store
    }
    fn auth(&self) -> &AuthConfig {
        &self.auth
    }
    fn telemetry(&self) -> &TelemetryConfig {
        &self.telemetry
    }
    fn clock(&self) -> &ClockConfig {
        &self.clock
    }
}

struct Waiter {
    process: Process,
    fails: bool,
}

impl Service for Waiter {
    const NAME: &'static str = "waiter";
    type Config = Config;

    async fn migrate(_: &Config) -> Result<(), Error> {
        Ok(())
    }

    async fn open(config: &Config, process: Process) -> Result<Self, Error> {
        Ok(Self { process, fails: config.fails })
    }

    fn routes(&self) -> Routes {
        let Process { authority, metrics, readiness, .. } = self.process.clone();
        server::Services::new(Self::NAME, authority, metrics, readiness).build()
    }

    fn start(&self) {
        let ready = self.process.readiness.register("waiter");
        let shutdown = self.process.shutdown.clone();
        let fails = self.fails;
        self.process.shutdown.spawn("waiter", async move {
            if fails {
                return Err("the disk is gone");
            }
            ready.set(true);
            shutdown.cancelled().await;
            Ok(())
        });
    }
}

async fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

#[tokio::test]
async fn a_service_serves_until_it_is_told_to_stop() {
    let (listener, address) = listener().await;
    let shutdown = Shutdown::new();
    let life = shutdown.clone();
    let config = Config::default();
    let running = tokio::spawn(async move { run::<Waiter>(&config, listener, life).await });

    tokio::time::timeout(Duration::from_secs(10), async {
        while healthcheck(address).await.is_err() {
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("the service becomes ready");
    shutdown.begin();

    running.await.unwrap().unwrap();
    assert!(healthcheck(address).await.is_err());
}

#[tokio::test]
async fn a_failing_background_task_fails_the_process() {
    let (listener, _) = listener().await;
    let config = Config { fails: true, ..Config::default() };

    let failure = run::<Waiter>(&config, listener, Shutdown::new()).await.unwrap_err();

    assert!(chain(&failure).contains("the disk is gone"));
}

#[test]
fn serving_needs_a_secret_and_printing_does_not() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let path = file.path().to_str().unwrap();
    std::fs::write(path, "fails = true\n").unwrap();

    let serving = load::<Config>(&Args::parse_from(["waiter", "--config", path]));
    let printing = load::<Config>(&Args::parse_from(["waiter", "config", "print", "--config", path]));

    assert!(serving.unwrap_err().contains("auth.secret"));
    assert!(printing.unwrap().fails);
}

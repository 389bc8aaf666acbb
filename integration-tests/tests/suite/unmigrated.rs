//! A service whose database lacks migrations does not start, and says what to do.

use kit::{
    Clock, Kind,
    auth::Authority,
    binary::{Process, Service, ServiceConfig},
    config::{Secret, StoreConfig},
    metrics::Metrics,
    server::Readiness,
    shutdown::Shutdown,
};

fn process() -> Process {
    Process {
        clock: Clock::system(),
        authority: Authority::new(b"a secret for tests only"),
        metrics: Metrics::new(),
        shutdown: Shutdown::new(),
        readiness: Readiness::new(),
    }
}

/// Opens the service on an empty database that it may not migrate, then on the same migrated.
async fn refuses_first<S: Service>(config: S::Config) {
    let Err(refusal) = S::open(&config, process()).await else { panic!("{} opens", S::NAME) };
    assert_eq!(refusal.kind, Kind::FailedPrecondition, "{}: {refusal:?}", S::NAME);
    assert_eq!(refusal.reason, "MIGRATIONS_PENDING", "{}: {refusal:?}", S::NAME);
    assert!(refusal.message.contains("run `migrate`"), "{}: {refusal}", S::NAME);

    assert!(!config.store().migrate);
    S::migrate(&config).await.unwrap_or_else(|error| panic!("{}: {error:?}", S::NAME));
    let process = process();
    let opened = S::open(&config, process.clone()).await;
    assert!(opened.is_ok(), "{}: {:?}", S::NAME, opened.err());
    process.shutdown.begin();
}

#[tokio::test]
async fn a_service_whose_database_lacks_migrations_says_so_and_does_not_start() {
    let folder = tempfile::tempdir().unwrap();
    let store = |service: &str| StoreConfig {
        url: Secret::new(format!("sqlite:{}", folder.path().join(service).display())),
        migrate: false,
        ..StoreConfig::default()
    };
    let secret = || Secret::from("a secret of 32 characters, or so!");

    refuses_first::<gateway::Gateway>(gateway::Config { store: store("gateway"), ..Default::default() }).await;
    refuses_first::<ingestion::Ingestion>(ingestion::Config { store: store("ingestion"), ..Default::default() }).await;
    refuses_first::<identity::Identity>(identity::Config { store: store("identity"), ..Default::default() }).await;
    refuses_first::<scoring::Scoring>(scoring::Config { store: store("scoring"), ..Default::default() }).await;
    let config = recommendation::Config { store: store("recommendation"), ..Default::default() };
    refuses_first::<recommendation::Recommendation>(config).await;
    let config = campaign::Config {
        store: store("campaign"),
        links: campaign::LinksConfig { secret: secret(), public_base_url: "http://localhost".into() },
        suppression: campaign::SuppressionConfig { secret: secret() },
        ..Default::default()
    };
    refuses_first::<campaign::Campaign>(config).await;
}

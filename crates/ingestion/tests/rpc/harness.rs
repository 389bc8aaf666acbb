//! A running ingestion service, and callers.

use std::time::Duration;

use chrono::{DateTime, Utc};
use comptoir_ingestion::{Config, Deps, Ingestion, LOG, MIGRATIONS};
use eventlog::{EventLog, LogOptions};
use kit::auth::{Authority, scope};
use kit::channel::{Channel, ChannelOptions, Credential, local};
use kit::metrics::Metrics;
use kit::server::Readiness;
use kit::shutdown::Shutdown;
use kit::{Clock, TenantId};
use prost::Message;
use proto::event::v1::event::Body;
use proto::event::v1::{Custom, Event};
use proto::ingestion::v1::dead_letter_service_client::DeadLetterServiceClient;
use proto::ingestion::v1::ingestion_service_client::IngestionServiceClient;
use proto::ingestion::v1::source_service_client::SourceServiceClient;
use proto::ingestion::v1::tracking_plan_service_client::TrackingPlanServiceClient;
use proto::ingestion::v1::verdict::Outcome;
use proto::ingestion::v1::{
    CollectHttpRequest, CollectHttpResponse, CollectRequest, CreateSourceRequest, Source, Verdict,
};
use proto::r#type::v1::Identifier;
use store::testing::{TestDb, databases};

pub(crate) const WRITE_KEY: &str = "wk_of_the_shop";

pub(crate) struct Setup {
    pub(crate) db: TestDb,
    pub(crate) clock: Clock,
    pub(crate) metrics: Metrics,
    pub(crate) readiness: Readiness,
    pub(crate) service: Ingestion,
    pub(crate) shutdown: Shutdown,
    authority: Authority,
}

/// Returns a service on each engine.
pub(crate) async fn both() -> Vec<Setup> {
    let mut setups = Vec::new();
    for db in databases(&[&eventlog::MIGRATIONS, &MIGRATIONS]).await {
        setups.push(Setup::new(db, &Config::default()).await);
    }
    setups
}

pub(crate) fn noon() -> DateTime<Utc> {
    "2025-06-01T12:00:00Z".parse().unwrap()
}

impl Setup {
    pub(crate) async fn new(db: TestDb, config: &Config) -> Self {
        let clock = Clock::manual(noon());
        let authority = Authority::new(b"a secret for tests");
        let metrics = Metrics::new();
        let shutdown = Shutdown::new();
        let readiness = Readiness::new();
        let deps = Deps {
            db: db.handle(),
            clock: clock.clone(),
            authority: authority.clone(),
            metrics: metrics.clone(),
            shutdown: shutdown.clone(),
            readiness: readiness.clone(),
            cache: store::Cache::memory(),
        };
        let service = Ingestion::build(config, deps).await.unwrap();
        Self { db, clock, metrics, readiness, service, shutdown, authority }
    }

    /// Returns another replica of the service, on the same store.
    pub(crate) async fn replica(&self, config: &Config) -> Ingestion {
        let deps = Deps {
            db: self.db.handle(),
            clock: self.clock.clone(),
            authority: self.authority.clone(),
            metrics: Metrics::new(),
            shutdown: self.shutdown.clone(),
            readiness: Readiness::new(),
            cache: store::Cache::memory(),
        };
        Ingestion::build(config, deps).await.unwrap()
    }

    fn channel(&self, credential: Credential) -> Channel {
        local(self.service.routes(), ChannelOptions::new(credential).retries(0).deadline(Duration::from_secs(60)))
    }

    /// A channel of a caller of one tenant with some scopes.
    pub(crate) fn tenant_channel(&self, tenant: &str, scopes: &[&str]) -> Channel {
        let tenant = TenantId::try_from(tenant).unwrap();
        self.channel(Credential::tenant(&self.authority, tenant, "test", scopes))
    }

    /// A channel of the gateway itself.
    pub(crate) fn service_channel(&self) -> Channel {
        self.channel(Credential::service(&self.authority, "gateway"))
    }

    pub(crate) fn ingestion(&self, tenant: &str) -> IngestionServiceClient<Channel> {
        IngestionServiceClient::new(self.tenant_channel(tenant, &[scope::EVENTS_WRITE]))
    }

    pub(crate) fn sources(&self, tenant: &str) -> SourceServiceClient<Channel> {
        SourceServiceClient::new(self.tenant_channel(tenant, &[scope::SOURCES_WRITE]))
    }

    pub(crate) fn plans(&self, tenant: &str) -> TrackingPlanServiceClient<Channel> {
        TrackingPlanServiceClient::new(self.tenant_channel(tenant, &[scope::SOURCES_WRITE]))
    }

    pub(crate) fn dead_letters(&self, tenant: &str) -> DeadLetterServiceClient<Channel> {
        DeadLetterServiceClient::new(self.tenant_channel(tenant, &[scope::SOURCES_WRITE]))
    }

    /// Makes a source of the tenant "shop", opened by [`WRITE_KEY`]. Returns its id.
    pub(crate) async fn source(&self) -> String {
        let source = Source { name: "site".into(), default_currency: "EUR".into(), ..Source::default() };
        let request =
            CreateSourceRequest { source: Some(source), write_key: WRITE_KEY.into(), ..CreateSourceRequest::default() };
        let made = self.sources("shop").create_source(request).await.unwrap().into_inner();
        made.source.unwrap().source_id
    }

    pub(crate) async fn collect(&self, source_id: &str, events: Vec<Event>) -> Vec<Verdict> {
        let request = CollectRequest { events, source_id: source_id.into() };
        self.ingestion("shop").collect(request).await.unwrap().into_inner().verdicts
    }

    /// Posts a body with the shop's write key as the gateway would.
    pub(crate) async fn post(&self, route: &str, body: impl Into<Vec<u8>>) -> CollectHttpResponse {
        let authorization = basic(WRITE_KEY);
        let body = body.into().into();
        self.forward(CollectHttpRequest { route: route.into(), body, authorization, ..Default::default() }).await
    }

    /// Hands in an HTTP request as the gateway would.
    pub(crate) async fn forward(&self, request: CollectHttpRequest) -> CollectHttpResponse {
        let mut client =
            IngestionServiceClient::new(self.service_channel()).max_encoding_message_size(kit::MAX_MESSAGE_BYTES);
        client.collect_http(request).await.unwrap().into_inner()
    }

    /// Lets nothing be committed until the returned transaction ends.
    pub(crate) async fn block_commits(&self) -> store::Tx {
        let mut tx = self.db.begin().await.unwrap();
        // SQLite has one writer, which this is; on PostgreSQL every commit touches the counts.
        if self.db.engine() == "postgres" {
            let lock = "LOCK TABLE event_counts IN ACCESS EXCLUSIVE MODE";
            if let store::Connection::Postgres(connection) = tx.connection() {
                sqlx::query(lock).execute(connection).await.unwrap();
            }
        }
        tx
    }

    /// Waits until `check` holds.
    pub(crate) async fn eventually(&self, what: &str, check: impl Fn() -> bool) {
        for _ in 0..6_000 {
            if check() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("never: {what}");
    }

    /// Waits until `check` holds, which looks into the store.
    pub(crate) async fn eventually_async(&self, what: &str, check: impl AsyncFn() -> bool) {
        for _ in 0..6_000 {
            if check().await {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("never: {what}");
    }

    /// Returns a call that has not been answered although everything that could run has, or the refusal of one that has.
    pub(crate) async fn settled<T>(
        &self,
        call: tokio::task::JoinHandle<Result<T, tonic::Status>>,
    ) -> Result<tokio::task::JoinHandle<Result<T, tonic::Status>>, tonic::Status> {
        // The runtime of a test has one thread: what waits for nothing has run after a few turns.
        for _ in 0..50 {
            tokio::task::yield_now().await;
            if call.is_finished() {
                match call.await.unwrap() {
                    Ok(_) => panic!("nothing can be committed now"),
                    Err(status) => return Err(status),
                }
            }
        }
        Ok(call)
    }

    /// Returns all events in the log of a tenant, by partition and offset.
    pub(crate) async fn logged(&self, tenant: &str) -> Vec<Event> {
        let tenant = TenantId::try_from(tenant).unwrap();
        let options = LogOptions::default();
        let log = EventLog::new(self.db.handle(), LOG, options, self.clock.clone(), &Metrics::new());
        let mut events = Vec::new();
        for partition in 0..log.partitions() {
            for record in log.read(&tenant, partition, 0, usize::MAX).await.unwrap() {
                events.push(Event::decode(record.record.payload).unwrap());
            }
        }
        events
    }
}

pub(crate) fn basic(key: &str) -> String {
    use base64::Engine;
    format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(format!("{key}:")))
}

/// An event of no known kind.
pub(crate) fn event(message_id: &str) -> Event {
    Event {
        message_id: message_id.into(),
        name: "Wheel Spun".into(),
        identifiers: vec![Identifier { kind: "user_id".into(), value: format!("user of {message_id}") }],
        body: Some(Body::Custom(Custom {})),
        ..Event::default()
    }
}

pub(crate) fn outcomes(verdicts: &[Verdict]) -> Vec<Outcome> {
    verdicts.iter().map(Verdict::outcome).collect()
}

/// Returns the stable reason of a failed call.
pub(crate) fn reason(status: tonic::Status) -> String {
    kit::Error::from(status).reason.into_owned()
}

//! A tenant with an event log of its own and the identity service that follows it.

use std::time::Duration;

use chrono::{DateTime, Utc};
use comptoir_identity::{Config, Deps, Identity, MIGRATIONS};
use eventlog::{EventLog, LogOptions, Record};
use kit::{
    Clock, TenantId,
    auth::{Authority, scope},
    channel::{self, Channel, ChannelOptions, Credential},
    metrics::Metrics,
    server::{Readiness, Services},
    shutdown::Shutdown,
};
use prost::Message;
use proto::event::v1::{Aliased, Context, Event, Identified, Location, PageViewed, event::Body};
use proto::identity::v1::{
    GetProfileRequest, ListTimelineRequest, Profile, SummarizeProfilesRequest, SummarizeProfilesResponse,
    get_profile_request::Key, identity_service_client::IdentityServiceClient,
};
use proto::log::v1::log_service_server::LogServiceServer;
use proto::r#type::v1::{Consent, ConsentState, Identifier};
use store::{
    Cache, Db,
    testing::{TestDb, databases, sqlite},
};
use tonic::{Code, Status};
use uuid::Uuid;

pub(crate) type Client = IdentityServiceClient<Channel>;

/// One database of each engine, with the tables of identity.
pub(crate) async fn engines() -> Vec<TestDb> {
    databases(&[&eventlog::MIGRATIONS, &MIGRATIONS]).await
}

/// The event log that ingestion would publish.
pub(crate) struct Source {
    _db: TestDb,
    db: Db,
    pub(crate) log: EventLog,
    clock: Clock,
    next: std::sync::atomic::AtomicU64,
}

impl Source {
    pub(crate) async fn new() -> Self {
        let database = sqlite(&[&eventlog::MIGRATIONS]).await;
        let clock = Clock::manual(at(0));
        let log = EventLog::new(database.handle(), "events", LogOptions::default(), clock.clone(), &Metrics::new());
        Self { db: database.handle(), _db: database, log, clock, next: 1.into() }
    }

    /// Publishes events as ingestion would, each keyed by its first identifier.
    pub(crate) async fn publish(&self, tenant: &str, events: &[Event]) {
        let tenant = TenantId::try_from(tenant).unwrap();
        let records = events
            .iter()
            .map(|event| Record {
                key: event.identifiers.first().map(|first| first.value.clone()).unwrap_or_default().into(),
                payload: event.encode_to_vec().into(),
                event_time_us: 0,
                traceparent: None,
            })
            .collect();
        self.publish_records(&tenant, records).await;
    }

    pub(crate) async fn publish_records(&self, tenant: &TenantId, records: Vec<Record>) {
        let mut tx = self.db.begin().await.unwrap();
        self.log.append(&mut tx, tenant, records).await.unwrap();
        tx.commit().await.unwrap();
    }

    /// Numbers an event as ingestion does.
    pub(crate) fn event(&self, seconds: i64, identifiers: &[(&str, &str)]) -> Event {
        let number = self.next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        Event {
            event_id: Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0000 + u128::from(number)).to_string(),
            message_id: format!("m{number}"),
            source_id: "site".into(),
            event_time: Some(time(seconds)),
            identifiers: identifiers.iter().map(|(kind, value)| identifier(kind, value)).collect(),
            name: "Page Viewed".into(),
            body: Some(Body::PageViewed(PageViewed::default())),
            ..Event::default()
        }
    }
}

/// A running service.
pub(crate) struct Service {
    pub(crate) shutdown: Shutdown,
    identity: Identity,
    authority: Authority,
}

impl Service {
    pub(crate) async fn start(source: &Source, db: Db) -> Self {
        Self::start_with(source, db, Config::default()).await
    }

    pub(crate) async fn start_with(source: &Source, db: Db, config: Config) -> Self {
        let authority = Authority::new(b"a secret for tests only");
        let shutdown = Shutdown::new();
        let metrics = Metrics::new();
        let service = LogServiceServer::new(source.log.service(&Shutdown::new()));
        let routes =
            Services::new("ingestion", authority.clone(), metrics.clone(), Readiness::new()).add(service).build();
        let credential = Credential::service(&authority, "identity");
        let deps = Deps {
            db,
            clock: source.clock.clone(),
            authority: authority.clone(),
            metrics,
            shutdown: shutdown.clone(),
            readiness: Readiness::new(),
            cache: Cache::open("memory:").await.unwrap(),
            ingestion: channel::local(routes, ChannelOptions::new(credential)),
        };
        let identity = Identity::build(&config, deps).await.unwrap();
        identity.start();
        Self { shutdown, identity, authority }
    }

    pub(crate) fn client(&self, tenant: &str, scopes: &[&str]) -> Client {
        let tenant = TenantId::try_from(tenant).unwrap();
        let credential = Credential::tenant(&self.authority, tenant, "tester", scopes);
        IdentityServiceClient::new(channel::local(self.identity.routes(), ChannelOptions::new(credential)))
    }

    pub(crate) fn full_client(&self, tenant: &str) -> Client {
        self.client(tenant, &[scope::PROFILES_READ, scope::PROFILES_WRITE])
    }

    /// Waits until so many events stand in timelines.
    pub(crate) async fn caught_up(&self, tenant: &str, events: u64) -> SummarizeProfilesResponse {
        let mut client = self.full_client(tenant);
        let waiting = async {
            loop {
                let summary = client.summarize_profiles(SummarizeProfilesRequest {}).await.unwrap().into_inner();
                if summary.events >= events {
                    return summary;
                }
                assert!(!self.shutdown.token.is_cancelled(), "the service stopped");
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(120), waiting).await.expect("the follower catches up")
    }

    /// Stops in order.
    pub(crate) async fn stop(self) {
        self.shutdown.begin();
        self.shutdown.tracker.close();
        self.shutdown.tracker.wait().await;
    }
}

pub(crate) async fn by_identifier(client: &mut Client, kind: &str, value: &str) -> Result<Profile, Status> {
    let request = GetProfileRequest { key: Some(Key::Identifier(identifier(kind, value))) };
    client.get_profile(request).await.map(|response| response.into_inner().profile.unwrap())
}

pub(crate) async fn by_id(client: &mut Client, id: &str) -> Result<Profile, Status> {
    let request = GetProfileRequest { key: Some(Key::ProfileId(id.into())) };
    client.get_profile(request).await.map(|response| response.into_inner().profile.unwrap())
}

/// Reads a whole timeline, a few at a time, newest first.
pub(crate) async fn timeline(client: &mut Client, id: &str) -> Vec<Event> {
    let mut events = Vec::new();
    let mut page_token = String::new();
    loop {
        let request = ListTimelineRequest { profile_id: id.into(), page_size: 7, page_token };
        let page = client.list_timeline(request).await.unwrap().into_inner();
        events.extend(page.events);
        if page.next_page_token.is_empty() {
            return events;
        }
        page_token = page.next_page_token;
    }
}

pub(crate) fn code<T>(result: Result<T, Status>) -> Code {
    result.err().map_or(Code::Ok, |status| status.code())
}

pub(crate) fn identifier(kind: &str, value: &str) -> Identifier {
    Identifier { kind: kind.into(), value: value.into() }
}

pub(crate) fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_750_000_000 + seconds, 0).unwrap()
}

pub(crate) fn time(seconds: i64) -> prost_types::Timestamp {
    prost_types::Timestamp { seconds: at(seconds).timestamp(), nanos: 0 }
}

pub(crate) fn identified(mut event: Event, first_name: &str, city: &str) -> Event {
    event.body = Some(Body::Identified(Identified {
        first_name: first_name.into(),
        address: Some(Location { city: city.into(), ..Location::default() }),
        ..Identified::default()
    }));
    event
}

pub(crate) fn aliased(mut event: Event, kind: &str, value: &str) -> Event {
    event.body = Some(Body::Aliased(Aliased { previous: Some(identifier(kind, value)) }));
    event
}

pub(crate) fn consenting(mut event: Event, granted: bool, seconds: i64) -> Event {
    event.consents.push(Consent {
        purpose: "marketing".into(),
        channel: "email".into(),
        state: if granted { ConsentState::Granted } else { ConsentState::Denied }.into(),
        decided_time: Some(time(seconds)),
        proof: "form".into(),
    });
    event
}

pub(crate) fn in_country(mut event: Event, country: &str) -> Event {
    event.context = Some(Context {
        locale: "fr-FR".into(),
        location: Some(Location { country: country.into(), ..Location::default() }),
        ..Context::default()
    });
    event
}

pub(crate) fn trait_of<'p>(profile: &'p Profile, name: &str) -> Option<&'p str> {
    profile.traits.iter().find(|known| known.name == name).map(|known| known.value.as_str())
}

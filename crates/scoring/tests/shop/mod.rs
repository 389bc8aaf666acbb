//! A scoring service with a profile log to follow, on one engine.
#![allow(dead_code, unreachable_pub, reason = "each test file uses its part")]

use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use comptoir_scoring::{Config, Deps, MIGRATIONS, Scoring};
use eventlog::{EventLog, FollowerHandle, LogOptions, LogRecord, Record};
use kit::auth::{Authority, scope};
use kit::channel::{self, Channel, ChannelOptions, Credential};
use kit::metrics::Metrics;
use kit::server::{Readiness, Services};
use kit::shutdown::Shutdown;
use kit::{Clock, TenantId};
use prost::Message;
use proto::event::v1::{self as event, Event};
use proto::google::r#type::Money;
use proto::identity::v1::{
    Profile, ProfileErased, ProfileEvent, ProfileMerged, ProfileRecord, ProfileSplit, ProfileUpdated, Trait,
    profile_record::Body,
};
use proto::log::v1::log_service_server::LogServiceServer;
use proto::scoring::v1::scoring_service_client::ScoringServiceClient;
use proto::scoring::v1::segment_service_client::SegmentServiceClient;
use proto::scoring::v1::{
    GetScoresRequest, GetScoresResponse, ListSegmentMembersRequest, PutSegmentRequest, ScoreRecord, Segment,
    score_record,
};
use proto::r#type::v1::{Consent, ConsentState};
use store::testing::{TestDb, databases};
use store::{Cache, Db};

/// When every test begins.
pub const START: &str = "2025-06-01T12:00:00Z";

/// A day.
pub const DAY: Duration = Duration::from_secs(86_400);

/// A scoring service with what surrounds it.
pub struct Shop {
    pub db: Db,
    pub clock: Clock,
    pub tenant: TenantId,
    pub profiles: EventLog,
    pub log: EventLog,
    pub follower: FollowerHandle,
    pub scores: ScoringServiceClient<Channel>,
    pub segments: SegmentServiceClient<Channel>,
    pub authority: Authority,
    pub routes: tonic::service::Routes,
    shutdown: Shutdown,
    next_event: u128,
}

/// Returns one empty database for each engine.
pub async fn engines() -> Vec<TestDb> {
    databases(&[&MIGRATIONS, &eventlog::MIGRATIONS]).await
}

/// Returns an instant in microseconds since the Unix epoch.
pub fn at(time: &str) -> i64 {
    time.parse::<DateTime<Utc>>().unwrap().timestamp_micros()
}

pub fn timestamp(time_us: i64) -> prost_types::Timestamp {
    prost_types::Timestamp {
        seconds: time_us.div_euclid(1_000_000),
        nanos: (time_us.rem_euclid(1_000_000) * 1_000) as i32,
    }
}

impl Shop {
    pub async fn open(db: &TestDb) -> Self {
        Self::open_at(db.handle(), Clock::manual(START.parse().unwrap())).await
    }

    /// Opens a replica on the same database.
    pub async fn open_at(db: Db, clock: Clock) -> Self {
        let (shutdown, metrics, readiness) = (Shutdown::new(), Metrics::new(), Readiness::new());
        let authority = Authority::new(b"a secret for tests only");
        let profiles = EventLog::new(db.clone(), "profiles", LogOptions::default(), clock.clone(), &metrics);
        let identity = Services::new("identity", authority.clone(), Metrics::new(), Readiness::new())
            .add(
                LogServiceServer::new(profiles.service(&Shutdown::new()))
                    .max_decoding_message_size(kit::MAX_MESSAGE_BYTES),
            )
            .build();
        let service = ChannelOptions::new(Credential::service(&authority, "scoring"));
        let deps = Deps {
            db: db.clone(),
            clock: clock.clone(),
            authority: authority.clone(),
            metrics,
            shutdown: shutdown.clone(),
            readiness,
            cache: Cache::memory(),
            identity: channel::local(identity, service),
        };
        let scoring = Scoring::build(&Config::default(), deps).await.unwrap();
        let tenant: TenantId = "shop".parse().unwrap();
        let routes = scoring.routes();
        let scopes = [scope::SCORES_READ, scope::SCORES_WRITE];
        let caller = ChannelOptions::new(Credential::tenant(&authority, tenant.clone(), "marketer", &scopes));
        let channel = channel::local(routes.clone(), caller);
        let follower = scoring.start();
        Self {
            db,
            clock,
            tenant,
            profiles,
            log: scoring.log().clone(),
            follower,
            scores: ScoringServiceClient::new(channel.clone()),
            segments: SegmentServiceClient::new(channel),
            authority,
            routes,
            shutdown,
            next_event: 0,
        }
    }

    /// Stops the service in order.
    pub async fn close(self) {
        assert!(self.shutdown.drain(Duration::from_secs(20)).await);
        assert_eq!(self.shutdown.failure(), None);
    }

    /// Publishes what identity would, and waits until it is folded.
    pub async fn tell(&self, records: Vec<(&str, Body)>) {
        self.publish(records).await;
        self.folded().await;
    }

    pub async fn publish(&self, records: Vec<(&str, Body)>) {
        Self::append(&self.profiles, self.db.clone(), &self.tenant, &self.clock, records).await;
    }

    pub async fn append(profiles: &EventLog, db: Db, tenant: &TenantId, clock: &Clock, records: Vec<(&str, Body)>) {
        let mut tx = db.begin().await.unwrap();
        let records = records.into_iter().map(|(profile_id, body)| {
            let payload = ProfileRecord { profile_id: profile_id.into(), body: Some(body) }.encode_to_vec();
            Record {
                key: Bytes::copy_from_slice(profile_id.as_bytes()),
                payload: payload.into(),
                event_time_us: clock.now_us(),
                traceparent: None,
            }
        });
        profiles.append(&mut tx, tenant, records.collect()).await.unwrap();
        tx.commit().await.unwrap();
    }

    pub async fn folded(&self) {
        let ends = self.profiles.ends().await.unwrap();
        tokio::time::timeout(Duration::from_secs(60), self.follower.reached(&ends))
            .await
            .expect("the follower keeps up");
    }

    /// Returns an event of a person, with the given body and time.
    pub fn event(&mut self, time_us: i64, body: event::event::Body) -> Body {
        Self::wrapped(self.bare_event(time_us, body), false)
    }

    pub fn bare_event(&mut self, time_us: i64, body: event::event::Body) -> Event {
        self.next_event += 1;
        let location = event::Location { country: "France".into(), ..Default::default() };
        Event {
            event_id: uuid::Uuid::from_u128(self.next_event).to_string(),
            event_time: Some(timestamp(time_us)),
            context: Some(event::Context { location: Some(location), ..Default::default() }),
            body: Some(body),
            ..Default::default()
        }
    }

    pub fn wrapped(event: Event, restated: bool) -> Body {
        Body::Event(ProfileEvent { event: event.encode_to_vec().into(), restated })
    }

    /// Returns an order placed at a time, of so many euros.
    pub fn order(&mut self, time_us: i64, order_id: &str, euros: i64) -> Body {
        self.event(time_us, ordered(event::order_activity::Action::Completed, order_id, "", Some(euros)))
    }

    pub fn view(&mut self, time_us: i64) -> Body {
        let action = event::product_activity::Action::Viewed.into();
        self.event(
            time_us,
            event::event::Body::ProductActivity(event::ProductActivity { action, ..Default::default() }),
        )
    }

    pub async fn put(&mut self, segment_id: &str, expression: &str) {
        let segment = Segment {
            segment_id: segment_id.into(),
            name: segment_id.to_uppercase(),
            expression: expression.into(),
            ..Default::default()
        };
        self.segments.put_segment(PutSegmentRequest { segment: Some(segment) }).await.unwrap();
        self.judged().await;
    }

    /// Waits until everyone has been judged by the rules and cuts in force and nobody is due.
    pub async fn judged(&self) {
        let open = "SELECT COUNT(*) FROM shards JOIN benches ON benches.tenant_id = shards.tenant_id
                     WHERE shards.judged_rules < benches.rules_version OR shards.judged_cuts < benches.cuts_version";
        let due = "SELECT COUNT(*) FROM profiles WHERE due_us <= $1";
        self.until(|| async {
            let open: i64 = store::on!(self.db, pool => sqlx::query_scalar(open).fetch_one(pool).await).unwrap();
            let now_us = self.clock.now_us();
            let due: i64 =
                store::on!(self.db, pool => sqlx::query_scalar(due).bind(now_us).fetch_one(pool).await).unwrap();
            open + due == 0
        })
        .await;
    }

    /// Waits for a condition.
    pub async fn until<F: Future<Output = bool>>(&self, holds: impl Fn() -> F) {
        let waiting = async {
            while !holds().await {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), waiting).await.expect("the condition comes true");
    }

    pub async fn members(&mut self, segment_id: &str) -> Vec<String> {
        let request = ListSegmentMembersRequest { segment_id: segment_id.into(), ..Default::default() };
        let members = self.segments.list_segment_members(request).await.unwrap().into_inner().members;
        members.into_iter().map(|member| member.profile_id).collect()
    }

    pub async fn get(&mut self, profile_id: &str) -> GetScoresResponse {
        let request = GetScoresRequest { profile_id: profile_id.into() };
        self.scores.get_scores(request).await.unwrap().into_inner()
    }

    /// Returns the score log as text, by person and then in order.
    pub async fn told(&self) -> Vec<String> {
        let mut records: Vec<LogRecord> = Vec::new();
        for partition in 0..self.log.partitions() {
            records.extend(self.log.read(&self.tenant, partition, 0, 100_000).await.unwrap());
        }
        let mut told: Vec<(String, String)> = Vec::new();
        for record in records {
            let score = ScoreRecord::decode(record.record.payload.as_ref()).unwrap();
            let time = |time: &Option<prost_types::Timestamp>| {
                let time = time.unwrap();
                DateTime::from_timestamp(time.seconds, time.nanos as u32).unwrap().format("%Y-%m-%d %H:%M").to_string()
            };
            let text = match score.body.unwrap() {
                score_record::Body::SegmentEntered(entered) => {
                    let how = match (entered.backfilled, entered.restated) {
                        (false, false) => "",
                        (true, false) => " backfilled",
                        (true, true) => " restated",
                        (false, true) => " restated, which is backfilled",
                    };
                    let former = entered.former_enter_time;
                    let former = former.map(|_| format!(" not {}", time(&former))).unwrap_or_default();
                    format!("{} +{} {}{how}{former}", score.profile_id, entered.segment_id, time(&entered.enter_time))
                }
                score_record::Body::SegmentExited(exited) => {
                    format!("{} -{} {}", score.profile_id, exited.segment_id, time(&exited.exit_time))
                }
            };
            told.push((score.profile_id, text));
        }
        // Stable: what is told of one person keeps its order.
        told.sort_by(|one, other| one.0.cmp(&other.0));
        told.into_iter().map(|(_, text)| text).collect()
    }
}

/// Returns what is told of an order.
pub fn ordered(
    action: event::order_activity::Action,
    order_id: &str,
    refunded_order_id: &str,
    euros: Option<i64>,
) -> event::event::Body {
    let total = euros.map(|units| Money { currency_code: "EUR".into(), units, nanos: 0 });
    event::event::Body::OrderActivity(event::OrderActivity {
        action: action.into(),
        order_id: order_id.into(),
        refunded_order_id: refunded_order_id.into(),
        total,
        ..Default::default()
    })
}

pub fn updated(traits: &[(&str, &str)], consents: &[(&str, &str, bool)]) -> Body {
    let traits =
        traits.iter().map(|(name, value)| Trait { name: (*name).into(), value: (*value).into(), ..Default::default() });
    let consents = consents.iter().map(|(purpose, channel, yes)| Consent {
        purpose: (*purpose).into(),
        channel: (*channel).into(),
        state: if *yes { ConsentState::Granted } else { ConsentState::Denied }.into(),
        ..Default::default()
    });
    let profile = Profile { traits: traits.collect(), consents: consents.collect(), ..Default::default() };
    Body::Updated(ProfileUpdated { profile: Some(profile) })
}

pub fn merged(survivor: &str, absorbed: &[&str]) -> Body {
    Body::Merged(ProfileMerged {
        survivor_profile_id: survivor.into(),
        absorbed_profile_ids: absorbed.iter().map(|profile_id| (*profile_id).to_owned()).collect(),
        decide_time: None,
    })
}

pub fn split(profile_id: &str, new: &[&str]) -> Body {
    Body::Split(ProfileSplit {
        profile_id: profile_id.into(),
        new_profile_ids: new.iter().map(|profile_id| (*profile_id).to_owned()).collect(),
        decide_time: None,
    })
}

pub fn erased() -> Body {
    Body::Erased(ProfileErased { request_time: None })
}

//! A publisher of the profile log, and recommendation following it.

use std::time::Duration;

use chrono::{DateTime, Utc};
use comptoir_recommendation::{Config, Deps, MIGRATIONS, Recommendation};
use eventlog::{EventLog, FollowerHandle, LogOptions, Record};
use kit::{
    Clock, TenantId,
    auth::{Authority, scope},
    channel::{self, Channel, ChannelOptions, Credential},
    metrics::Metrics,
    server::{Readiness, Services},
    shutdown::Shutdown,
};
use prost::Message;
use proto::{
    event::v1::{
        CartActivity, Event, OrderActivity, ProductActivity, cart_activity, event::Body, order_activity,
        product_activity,
    },
    identity::v1::{
        Profile, ProfileErased, ProfileEvent, ProfileMerged, ProfileRecord, ProfileUpdated, profile_record,
    },
    log::v1::log_service_server::LogServiceServer,
    recommendation::v1::{
        Product, RecommendRequest, RecommendResponse, UpsertProductsRequest,
        catalogue_service_client::CatalogueServiceClient, recommendation_service_client::RecommendationServiceClient,
    },
    r#type::v1::{Consent, ConsentState, LineItem},
};
use store::{Db, testing::TestDb};
use tonic::Status;

/// Long enough for a busy machine; nothing waits this long when all is well.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) const SHOP: &str = "shop";

pub(crate) fn now() -> DateTime<Utc> {
    "2025-06-01T12:00:00Z".parse().expect("a time")
}

pub(crate) async fn databases() -> Vec<TestDb> {
    store::testing::databases(&[&eventlog::MIGRATIONS, &MIGRATIONS]).await
}

fn authority() -> Authority {
    Authority::new(b"a secret of at least thirty-two bytes")
}

/// Identity, as far as its log goes.
pub(crate) struct Publisher {
    db: TestDb,
    log: EventLog,
}

impl Publisher {
    pub(crate) async fn start() -> Self {
        let db = store::testing::sqlite(&[&eventlog::MIGRATIONS]).await;
        let log = EventLog::new(db.handle(), "profiles", LogOptions::default(), Clock::system(), &Metrics::new());
        Self { db, log }
    }

    /// Appends records of profiles, each in the partition of its profile.
    pub(crate) async fn publish(&self, tenant: &str, records: Vec<ProfileRecord>) {
        let record = |record: ProfileRecord| Record {
            key: record.profile_id.clone().into(),
            payload: record.encode_to_vec().into(),
            event_time_us: 1,
            traceparent: None,
        };
        self.append(tenant, records.into_iter().map(record).collect()).await;
    }

    pub(crate) async fn append(&self, tenant: &str, records: Vec<Record>) {
        let tenant = TenantId::try_from(tenant).expect("a tenant id");
        let mut tx = self.db.begin().await.expect("a transaction begins");
        self.log.append(&mut tx, &tenant, records).await.expect("records are appended");
        tx.commit().await.expect("a transaction commits");
    }

    fn serve(&self) -> Channel {
        let server =
            LogServiceServer::new(self.log.service(&Shutdown::new())).max_decoding_message_size(kit::MAX_MESSAGE_BYTES);
        let routes = Services::new("identity", authority(), Metrics::new(), Readiness::new()).add(server).build();
        channel::local(routes, ChannelOptions::new(Credential::service(&authority(), "recommendation")))
    }
}

/// A replica of recommendation.
pub(crate) struct Replica {
    service: Recommendation,
    shutdown: Shutdown,
    following: Option<FollowerHandle>,
}

impl Replica {
    /// Builds a replica that serves but does not follow.
    pub(crate) async fn idle(db: Db, publisher: &Publisher) -> Self {
        let shutdown = Shutdown::new();
        let deps = Deps {
            db,
            clock: Clock::manual(now()),
            authority: authority(),
            metrics: Metrics::new(),
            shutdown: shutdown.clone(),
            readiness: Readiness::new(),
            identity: publisher.serve(),
        };
        let service = Recommendation::build(&Config::default(), deps).await.expect("recommendation builds");
        Self { service, shutdown, following: None }
    }

    /// Builds a replica that follows.
    pub(crate) async fn start(db: Db, publisher: &Publisher) -> Self {
        let mut replica = Self::idle(db, publisher).await;
        replica.following = Some(replica.service.start());
        replica
    }

    /// Waits until all that was published is folded.
    pub(crate) async fn caught_up(&self, publisher: &Publisher) {
        let ends = publisher.log.ends().await.expect("the ends of the log");
        let following = self.following.as_ref().expect("a replica that follows");
        tokio::time::timeout(PATIENCE, following.reached(&ends)).await.expect("it catches up");
    }

    pub(crate) async fn stop(self) {
        self.shutdown.begin();
        assert!(self.shutdown.drain(PATIENCE).await, "it stops in time");
    }

    fn channel(&self, tenant: &str, scopes: &[&str]) -> Channel {
        let tenant = TenantId::try_from(tenant).expect("a tenant id");
        let credential = Credential::tenant(&authority(), tenant, "key-1", scopes);
        channel::local(self.service.routes(), ChannelOptions::new(credential))
    }

    pub(crate) fn catalogue(&self, tenant: &str) -> CatalogueServiceClient<Channel> {
        self.catalogue_with(tenant, &[scope::CATALOGUE_WRITE, scope::RECOMMEND_READ])
    }

    pub(crate) fn catalogue_with(&self, tenant: &str, scopes: &[&str]) -> CatalogueServiceClient<Channel> {
        CatalogueServiceClient::new(self.channel(tenant, scopes))
    }

    pub(crate) fn recommendation(&self, tenant: &str) -> RecommendationServiceClient<Channel> {
        RecommendationServiceClient::new(self.channel(tenant, &[scope::RECOMMEND_READ]))
    }

    pub(crate) async fn upsert(&self, products: Vec<Product>) {
        let request = UpsertProductsRequest { products };
        self.catalogue(SHOP).upsert_products(request).await.expect("products are put");
    }

    pub(crate) async fn try_recommend(&self, request: RecommendRequest) -> Result<RecommendResponse, Status> {
        Ok(self.recommendation(SHOP).recommend(request).await?.into_inner())
    }

    pub(crate) async fn recommend(&self, request: RecommendRequest) -> RecommendResponse {
        self.try_recommend(request).await.expect("an answer")
    }
}

pub(crate) fn product(product_id: &str, category: &str) -> Product {
    Product {
        product_id: product_id.into(),
        title: format!("The {product_id}"),
        category: category.into(),
        ..Product::default()
    }
}

pub(crate) fn ids(response: &RecommendResponse) -> Vec<&str> {
    response.items.iter().map(|item| item.product.as_ref().expect("a product").product_id.as_str()).collect()
}

pub(crate) fn lines(products: &[&str]) -> Vec<LineItem> {
    products.iter().map(|id| LineItem { product_id: id.to_string(), ..LineItem::default() }).collect()
}

pub(crate) fn ordered(order_id: &str, products: &[&str]) -> Body {
    Body::OrderActivity(OrderActivity {
        action: order_activity::Action::Completed.into(),
        order_id: order_id.into(),
        products: lines(products),
        ..OrderActivity::default()
    })
}

pub(crate) fn cancelled(order_id: &str) -> Body {
    let action = order_activity::Action::Cancelled.into();
    Body::OrderActivity(OrderActivity { action, order_id: order_id.into(), ..OrderActivity::default() })
}

/// Sends products back, by a note of its own that may name the order.
pub(crate) fn refunded(note_id: &str, of: &str, products: &[&str]) -> Body {
    Body::OrderActivity(OrderActivity {
        action: order_activity::Action::Refunded.into(),
        order_id: note_id.into(),
        refunded_order_id: of.into(),
        products: lines(products),
        ..OrderActivity::default()
    })
}

pub(crate) fn viewed(product_id: &str) -> Body {
    let action = product_activity::Action::Viewed.into();
    Body::ProductActivity(ProductActivity { action, product: lines(&[product_id]).pop(), ..ProductActivity::default() })
}

pub(crate) fn carted(product_id: &str) -> Body {
    let action = cart_activity::Action::Added.into();
    Body::CartActivity(CartActivity { action, products: lines(&[product_id]), ..CartActivity::default() })
}

/// What `profile_id` did, `minutes_ago`.
pub(crate) fn did(profile_id: &str, minutes_ago: i64, body: Body) -> ProfileRecord {
    told(profile_id, minutes_ago, body, false)
}

pub(crate) fn told(profile_id: &str, minutes_ago: i64, body: Body, restated: bool) -> ProfileRecord {
    let time = now() - chrono::Duration::minutes(minutes_ago);
    let event = Event {
        event_id: format!("{profile_id} {minutes_ago}"),
        event_time: Some(prost_types::Timestamp { seconds: time.timestamp(), nanos: 0 }),
        body: Some(body),
        ..Event::default()
    };
    let event = ProfileEvent { event: event.encode_to_vec().into(), restated };
    ProfileRecord { profile_id: profile_id.into(), body: Some(profile_record::Body::Event(event)) }
}

/// The mark of a merge, as it stands in the partition of `profile_id`.
pub(crate) fn merged(profile_id: &str, survivor: &str, absorbed: &str) -> ProfileRecord {
    let merged = ProfileMerged {
        survivor_profile_id: survivor.into(),
        absorbed_profile_ids: vec![absorbed.into()],
        decide_time: None,
    };
    ProfileRecord { profile_id: profile_id.into(), body: Some(profile_record::Body::Merged(merged)) }
}

pub(crate) fn erased(profile_id: &str) -> ProfileRecord {
    let body = profile_record::Body::Erased(ProfileErased::default());
    ProfileRecord { profile_id: profile_id.into(), body: Some(body) }
}

/// The golden record of somebody whose only answer is on the purpose `personalisation`.
pub(crate) fn answered(profile_id: &str, state: ConsentState) -> ProfileRecord {
    let consent = Consent { purpose: "personalisation".into(), state: state.into(), ..Consent::default() };
    let profile = Profile { profile_id: profile_id.into(), consents: vec![consent], ..Profile::default() };
    let body = profile_record::Body::Updated(ProfileUpdated { profile: Some(profile) });
    ProfileRecord { profile_id: profile_id.into(), body: Some(body) }
}

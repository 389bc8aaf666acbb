//! A world with one shop in it: logs to follow, neighbours to call, a mail server, a clock to move.

use std::time::Duration;

use chrono::{DateTime, Utc};
use comptoir_campaign::{Campaign, Config, Deps, Following, MIGRATIONS, sink::Sink};
use kit::{
    Clock, TenantId,
    auth::{Authority, scope},
    channel::{self, Channel, ChannelOptions, Credential},
    metrics::Metrics,
    server::Readiness,
    shutdown::Shutdown,
};
use proto::{
    campaign::v1::{
        self as wire, GetMessageRequest, ListMessagesRequest, Message, PutCampaignRequest, PutTemplateRequest, Reason,
        SetContactPolicyRequest, Template, campaign_service_client::CampaignServiceClient,
        link_service_client::LinkServiceClient, message::State, message_service_client::MessageServiceClient,
        suppression_service_client::SuppressionServiceClient, template_service_client::TemplateServiceClient,
    },
    identity::v1::ProfileRecord,
    scoring::v1::ScoreRecord,
};
use store::{Db, testing::TestDb};

use crate::neighbours::{Neighbours, Publisher};

/// Long enough for a busy machine; nothing waits this long when all is well.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) const SHOP: &str = "shop";

/// Tuesday, noon, UTC.
pub(crate) fn noon() -> DateTime<Utc> {
    "2025-06-10T12:00:00Z".parse().unwrap()
}

pub(crate) fn minutes(count: i64) -> chrono::Duration {
    chrono::Duration::minutes(count)
}

pub(crate) async fn databases() -> Vec<TestDb> {
    store::testing::databases(&[&eventlog::MIGRATIONS, &MIGRATIONS]).await
}

pub(crate) async fn sqlite() -> TestDb {
    store::testing::sqlite(&[&eventlog::MIGRATIONS, &MIGRATIONS]).await
}

pub(crate) fn authority() -> Authority {
    Authority::new(b"a secret of at least thirty-two bytes")
}

/// Everything around campaign.
pub(crate) struct World {
    pub(crate) clock: Clock,
    pub(crate) profiles: Publisher,
    pub(crate) scores: Publisher,
    pub(crate) neighbours: Neighbours,
    pub(crate) sink: Sink,
}

impl World {
    pub(crate) async fn new() -> Self {
        Self {
            clock: Clock::manual(noon()),
            profiles: Publisher::start("profiles").await,
            scores: Publisher::start("scores").await,
            neighbours: Neighbours::default(),
            sink: Sink::start().await.unwrap(),
        }
    }

    /// Publishes records of profiles.
    pub(crate) async fn tell(&self, records: Vec<ProfileRecord>) {
        self.tell_traced(records, None).await;
    }

    pub(crate) async fn tell_traced(&self, records: Vec<ProfileRecord>, traceparent: Option<&str>) {
        let keyed: Vec<_> = records.into_iter().map(|record| (record.profile_id.clone(), record)).collect();
        self.profiles.publish(SHOP, &keyed, traceparent).await;
    }

    /// Publishes records of scores.
    pub(crate) async fn score(&self, records: Vec<ScoreRecord>) {
        let keyed: Vec<_> = records.into_iter().map(|record| (record.profile_id.clone(), record)).collect();
        self.scores.publish(SHOP, &keyed, None).await;
    }

    pub(crate) fn config(&self) -> Config {
        let mut config = Config::default();
        config.auth.secret = "a secret of at least thirty-two bytes".into();
        config.smtp.host = self.sink.address().ip().to_string();
        config.smtp.port = self.sink.address().port();
        config.smtp.from_address = "shop@shop.example".into();
        config.links.public_base_url = "https://shop.example".into();
        config
    }
}

/// A replica of campaign.
pub(crate) struct Replica {
    service: Campaign,
    clock: Clock,
    shutdown: Shutdown,
    following: Following,
}

impl Replica {
    pub(crate) async fn start(db: Db, world: &World) -> Self {
        Self::start_with(db, world, world.config()).await
    }

    pub(crate) async fn start_with(db: Db, world: &World, config: Config) -> Self {
        let shutdown = Shutdown::new();
        let deps = Deps {
            db,
            clock: world.clock.clone(),
            authority: authority(),
            metrics: Metrics::new(),
            shutdown: shutdown.clone(),
            readiness: Readiness::new(),
            identity: world.profiles.channel(),
            scoring: world.scores.channel(),
            recommendation: world.neighbours.recommendation(),
            ingestion: world.neighbours.ingestion(),
        };
        let service = Campaign::build(&config, deps).await.unwrap();
        let following = service.start();
        Self { service, clock: world.clock.clone(), shutdown, following }
    }

    /// Waits until all that was published is folded.
    pub(crate) async fn folded(&self, world: &World) {
        for (following, publisher) in
            [(&self.following.profiles, &world.profiles), (&self.following.scores, &world.scores)]
        {
            let ends = publisher.log.ends().await.unwrap();
            tokio::time::timeout(PATIENCE, following.reached(&ends)).await.expect("it catches up");
        }
    }

    /// Waits until nothing is left to do at the present time.
    pub(crate) async fn settled(&self, world: &World) {
        self.folded(world).await;
        let settling = async {
            while !self.service.is_settled().await.unwrap() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(PATIENCE, settling).await.expect("it settles");
    }

    /// Moves the clock and waits until what falls due is done.
    pub(crate) async fn pass(&self, world: &World, time: chrono::Duration) {
        self.folded(world).await;
        self.clock.advance(time.to_std().unwrap());
        self.settled(world).await;
    }

    pub(crate) async fn stop(self) {
        self.shutdown.begin();
        assert!(self.shutdown.drain(PATIENCE).await, "it stops in time");
        assert_eq!(self.shutdown.failure(), None);
    }

    /// Ends it as a crash would, as far as that can be done in a process: its database is gone at once.
    pub(crate) async fn crash(self, db: &Db) {
        db.close().await;
        self.shutdown.begin();
        self.shutdown.drain(Duration::from_secs(20)).await;
    }

    pub(crate) fn channel(&self, tenant: &str, scopes: &[&str]) -> Channel {
        let tenant = TenantId::try_from(tenant).unwrap();
        let credential = Credential::tenant(&authority(), tenant, "key-1", scopes);
        channel::local(self.service.routes(), ChannelOptions::new(credential))
    }

    fn marketer(&self) -> Channel {
        self.channel(SHOP, &[scope::CAMPAIGNS_READ, scope::CAMPAIGNS_WRITE])
    }

    pub(crate) fn templates(&self) -> TemplateServiceClient<Channel> {
        TemplateServiceClient::new(self.marketer())
    }

    pub(crate) fn campaigns(&self) -> CampaignServiceClient<Channel> {
        CampaignServiceClient::new(self.marketer())
    }

    pub(crate) fn messages(&self) -> MessageServiceClient<Channel> {
        MessageServiceClient::new(self.marketer())
    }

    pub(crate) fn suppressions(&self) -> SuppressionServiceClient<Channel> {
        SuppressionServiceClient::new(self.marketer())
    }

    /// Links as the gateway asks for them.
    pub(crate) fn links(&self) -> LinkServiceClient<Channel> {
        let credential = Credential::service(&authority(), "gateway");
        LinkServiceClient::new(channel::local(self.service.routes(), ChannelOptions::new(credential)))
    }

    pub(crate) async fn put_template(&self, template: Template) {
        let request = PutTemplateRequest { template: Some(template) };
        self.templates().put_template(request).await.unwrap();
    }

    pub(crate) async fn put_campaign(&self, campaign: wire::Campaign) -> wire::Campaign {
        let request = PutCampaignRequest { campaign: Some(campaign) };
        self.campaigns().put_campaign(request).await.unwrap().into_inner().campaign.unwrap()
    }

    pub(crate) async fn set_policy(&self, policy: wire::ContactPolicy) {
        let request = SetContactPolicyRequest { policy: Some(policy) };
        self.campaigns().set_contact_policy(request).await.unwrap();
    }

    /// All messages, newest decision first.
    pub(crate) async fn all_messages(&self) -> Vec<Message> {
        let request = ListMessagesRequest { page_size: 500, ..ListMessagesRequest::default() };
        self.messages().list_messages(request).await.unwrap().into_inner().messages
    }

    /// The only message there is.
    pub(crate) async fn message(&self) -> Message {
        let messages = self.all_messages().await;
        assert_eq!(messages.len(), 1, "{messages:#?}");
        messages.into_iter().next().unwrap()
    }

    pub(crate) async fn message_of(&self, message_id: &str) -> Message {
        let request = GetMessageRequest { message_id: message_id.to_owned() };
        self.messages().get_message(request).await.unwrap().into_inner().message.unwrap()
    }

    /// What became of all messages: state, reason and how many.
    pub(crate) async fn outcomes(&self) -> Vec<(State, Reason, usize)> {
        let mut counted: std::collections::BTreeMap<(i32, i32), usize> = std::collections::BTreeMap::new();
        for message in self.all_messages().await {
            *counted.entry((message.state, message.reason)).or_default() += 1;
        }
        let named =
            |((state, reason), count)| (State::try_from(state).unwrap(), Reason::try_from(reason).unwrap(), count);
        counted.into_iter().map(named).collect()
    }
}

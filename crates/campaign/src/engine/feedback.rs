//! Telling ingestion what became of messages: events like any other.

use std::{collections::HashMap, sync::Arc, time::Duration};

use kit::{Error, Kind, TenantId, channel::Channel, channel::for_tenant, shutdown::Shutdown};
use proto::{
    event::v1::{
        Context, Event, Medium, MessageActivity, Party, Provenance,
        event::Body,
        message_activity::{Action, Actor},
    },
    ingestion::v1::{
        CollectRequest, CreateSourceRequest, ListSourcesRequest, Source,
        ingestion_service_client::IngestionServiceClient, source_service_client::SourceServiceClient, verdict::Outcome,
    },
    r#type::v1::Identifier,
};

use super::Engine;
use crate::{
    domain::{
        ids,
        message::{EMAIL_NAME, Message},
        time::timestamp,
    },
    store::{campaigns, feedback},
};

/// Name of the source that campaign's events come from.
const SOURCE: &str = "comptoir-campaign";
const BATCH: i64 = 500;
/// How often the outbox is looked at for what another replica or a former life left.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
const SOURCES_PAGE: i32 = 1_000;

/// What became of a message.
pub(crate) struct Told<'a> {
    pub(crate) action: Action,
    /// Names it among the events of the message: told twice it counts once.
    pub(crate) what: &'a str,
    pub(crate) actor: Actor,
    pub(crate) detail: &'a str,
    pub(crate) url: &'a str,
    pub(crate) user_agent: &'a str,
}

/// Returns the event that tells it.
pub(crate) fn event(tenant: &TenantId, message: &Message, address: &str, told: &Told<'_>, time_us: i64) -> Event {
    let activity = MessageActivity {
        action: told.action.into(),
        message_id: message.message_id.clone(),
        campaign_id: message.campaign_id.clone(),
        channel: EMAIL_NAME.to_owned(),
        url: told.url.to_owned(),
        detail: told.detail.to_owned(),
        actor: told.actor.into(),
    };
    let context =
        (!told.user_agent.is_empty()).then(|| Context { user_agent: told.user_agent.to_owned(), ..Context::default() });
    Event {
        message_id: ids::event_id(tenant, &message.message_id, told.what),
        event_time: Some(timestamp(time_us)),
        identifiers: vec![Identifier { kind: "email".to_owned(), value: address.to_owned() }],
        provenance: Some(Provenance {
            party: Party::First.into(),
            medium: Medium::Online.into(),
            library: concat!("comptoir-campaign/", env!("CARGO_PKG_VERSION")).to_owned(),
            bot: told.actor == Actor::Machine,
        }),
        context,
        body: Some(Body::MessageActivity(activity)),
        ..Event::default()
    }
}

impl Engine {
    /// Sends what waits to ingestion until shutdown. Any replica may send anything: ingestion keeps each event once.
    pub(crate) async fn tell(self: Arc<Self>, ingestion: Channel, shutdown: Shutdown) {
        let mut sources: HashMap<TenantId, String> = HashMap::new();
        while !shutdown.is_cancelled() {
            if let Err(error) = self.tell_all(&ingestion, &mut sources).await {
                tracing::debug!(error = &error as &dyn std::error::Error, "events about messages wait for ingestion");
                sources.clear();
            } else {
                tokio::select! {
                    () = self.wake.feedback_woken() => continue,
                    () = tokio::time::sleep(LOOK_AGAIN) => continue,
                    () = shutdown.cancelled() => return,
                }
            }
            tokio::select! {
                () = tokio::time::sleep(LOOK_AGAIN) => {}
                () = shutdown.cancelled() => return,
            }
        }
    }

    async fn tell_all(&self, ingestion: &Channel, sources: &mut HashMap<TenantId, String>) -> Result<(), Error> {
        for tenant in campaigns::tenants(&self.db).await? {
            loop {
                let waiting = feedback::next(&self.db, &tenant, BATCH).await?;
                if waiting.is_empty() {
                    break;
                }
                let source_id = match sources.get(&tenant) {
                    Some(source_id) => source_id.clone(),
                    None => {
                        let source_id = source_of(ingestion, &tenant).await?;
                        sources.insert(tenant.clone(), source_id.clone());
                        source_id
                    }
                };
                self.tell_batch(ingestion, &tenant, source_id, waiting).await?;
            }
        }
        Ok(())
    }

    async fn tell_batch(
        &self,
        ingestion: &Channel,
        tenant: &TenantId,
        source_id: String,
        waiting: Vec<(String, Event)>,
    ) -> Result<(), Error> {
        let (event_ids, events): (Vec<String>, Vec<Event>) = waiting.into_iter().unzip();
        let request = for_tenant(tenant, CollectRequest { events, source_id });
        let mut client =
            IngestionServiceClient::new(ingestion.clone()).max_decoding_message_size(kit::MAX_MESSAGE_BYTES);
        let verdicts = client.collect(request).await?.into_inner().verdicts;
        if verdicts.len() != event_ids.len() {
            return Err(Error::internal("ingestion answered another number of verdicts than it was asked for"));
        }
        for verdict in verdicts.iter().filter(|verdict| verdict.outcome() == Outcome::Quarantined) {
            // Ingestion keeps it as a dead letter, where it can be mended.
            tracing::warn!(verdict.reason = %verdict.reason, "an event about a message was not taken");
        }
        let event_ids: Vec<&str> = event_ids.iter().map(String::as_str).collect();
        let mut tx = self.db.begin().await?;
        feedback::remove(&mut tx, tenant, &event_ids).await?;
        tx.commit().await?;
        self.metrics.told(event_ids.len());
        Ok(())
    }
}

/// Returns the tenant's source for our events, creating it when there is none.
async fn source_of(ingestion: &Channel, tenant: &TenantId) -> Result<String, Error> {
    if let Some(source_id) = find_source(ingestion, tenant).await? {
        return Ok(source_id);
    }
    let request = CreateSourceRequest {
        request_id: ids::source_request_id(tenant),
        source: Some(Source {
            name: SOURCE.to_owned(),
            kind: "server".to_owned(),
            party: Party::First.into(),
            medium: Medium::Online.into(),
            ..Source::default()
        }),
        write_key: String::new(),
    };
    match SourceServiceClient::new(ingestion.clone()).create_source(for_tenant(tenant, request)).await {
        Ok(created) => Ok(created.into_inner().source.unwrap_or_default().source_id),
        Err(status) => {
            let error = Error::from(status);
            // Another replica was first.
            match error.kind {
                Kind::AlreadyExists => find_source(ingestion, tenant).await?.ok_or(error),
                _ => Err(error),
            }
        }
    }
}

async fn find_source(ingestion: &Channel, tenant: &TenantId) -> Result<Option<String>, Error> {
    let mut client = SourceServiceClient::new(ingestion.clone());
    let mut page_token = String::new();
    loop {
        let request = ListSourcesRequest { page_size: SOURCES_PAGE, page_token };
        let page = client.list_sources(for_tenant(tenant, request)).await?.into_inner();
        if let Some(source) = page.sources.into_iter().find(|source| source.name == SOURCE) {
            return Ok(Some(source.source_id));
        }
        if page.next_page_token.is_empty() {
            return Ok(None);
        }
        page_token = page.next_page_token;
    }
}

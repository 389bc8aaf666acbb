//! Preparing a message: its products, its words, its links.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use ::store::Error;
use kit::{TenantId, channel::for_tenant};
use proto::{
    campaign::v1::{Reason, gate::Verdict},
    recommendation::v1::{
        RecommendRequest, recommend_response::Item, recommendation_service_client::RecommendationServiceClient,
    },
};
use uuid::Uuid;

use super::Engine;
use crate::{
    domain::{
        backoff,
        campaign::Definition,
        contact::Contact,
        content,
        links::{Rewriter, with_pixel},
        message::{EMAIL, EMAIL_NAME, Message, State, number},
        template::{Compiled, Rendered},
        time::timestamp,
        token::{Purpose, Token},
    },
    mail::{Content, Mail, build},
    store::templates,
};

/// How long choosing products may take.
const RECOMMEND_LIMIT: Duration = Duration::from_secs(2);
/// How long a compiled template is used before it is looked up again.
const TEMPLATE_LIFE: Duration = Duration::from_secs(1);
/// Compiled templates kept in memory.
const MOST_TEMPLATES: usize = 500;
/// Products at hand that are told to recommendation.
const MOST_AT_HAND: usize = 50;

/// What came of preparing.
pub(crate) enum Prepared {
    Ready(Box<Ready>),
    /// It waits, or stays unsent: the message says which and why.
    PutOff(Box<Message>),
}

/// A message that can be handed over.
pub(crate) struct Ready {
    pub(crate) message: Message,
    pub(crate) mail: Mail,
}

/// Compiled templates.
#[derive(Default)]
pub(crate) struct Templates(Mutex<HashMap<(TenantId, String), Known>>);

struct Known {
    version: i64,
    compiled: Option<Arc<Compiled>>,
    looked: Instant,
}

impl Engine {
    /// Prepares a message. Whatever is wrong with it concerns this message alone.
    pub(super) async fn prepare(
        &self,
        tenant: &TenantId,
        campaign: Option<&Definition>,
        contact: &Contact,
        mut message: Message,
    ) -> Result<Prepared, Error> {
        message.product_ids.clear();
        let Some(campaign) = campaign else {
            return Ok(withheld(message, Reason::CampaignPaused, "campaign", "the campaign is no more"));
        };
        if campaign.is_expired(message.due_us, self.clock.now_us()) {
            return Ok(withheld(message, Reason::Expired, "campaign", "it could not leave in time"));
        }
        let Some(template) = self.template(tenant, &campaign.template_id).await? else {
            return Ok(withheld(
                message,
                Reason::RenderFailed,
                "render",
                "there is no such template, or it does not compile",
            ));
        };

        let recommended = self.recommend(tenant, campaign, &message, contact).await;
        let unsubscribe_url = self.link(tenant, &message, Purpose::Unsubscribe, 0);
        let items = recommended.as_deref().unwrap_or_default();
        let values = content::values(campaign, &message, contact, items, &unsubscribe_url);
        let rendered = match template.render(&values) {
            Ok(rendered) => rendered,
            // The template cannot do without products: they may come later.
            Err(_) if recommended.is_none() => return Ok(self.later(message, "products cannot be chosen at present")),
            Err(error) => return Ok(withheld(message, Reason::RenderFailed, "render", error.to_string())),
        };
        message.product_ids =
            items.iter().filter_map(|item| item.product.as_ref()).map(|product| product.product_id.clone()).collect();
        message.address_hash = self.keys.address_hash(tenant, EMAIL, &contact.email);

        let tracked = contact.consents("tracking_pixel", EMAIL_NAME);
        let (html, text) = self.rewrite(tenant, &mut message, &rendered, tracked);
        let content = Content {
            message_id: &message.message_id,
            campaign_id: &campaign.campaign_id,
            tenant: tenant.as_str(),
            from: &self.sender,
            to: &contact.email,
            subject: &rendered.subject,
            html,
            text,
            unsubscribe_url: &unsubscribe_url,
            date_us: self.clock.now_us(),
        };
        match build(content) {
            Ok(mail) => Ok(Prepared::Ready(Box::new(Ready { message, mail }))),
            Err(error) => Ok(withheld(message, Reason::NoAddress, "address", error.to_string())),
        }
    }

    /// Returns the products to fill in; none when they cannot be chosen at present.
    pub(crate) async fn recommend(
        &self,
        tenant: &TenantId,
        campaign: &Definition,
        message: &Message,
        contact: &Contact,
    ) -> Option<Vec<Item>> {
        let at_hand = content::products_at_hand(campaign, message, contact);
        let product_ids = at_hand.into_iter().take(MOST_AT_HAND).map(|product| product.product_id.clone()).collect();
        self.recommend_for(tenant, &message.profile_id, product_ids, campaign.product_count, message.as_of_us).await
    }

    /// Returns products for a person; none when they cannot be chosen at present.
    pub(crate) async fn recommend_for(
        &self,
        tenant: &TenantId,
        profile_id: &str,
        product_ids: Vec<String>,
        count: i32,
        as_of_us: i64,
    ) -> Option<Vec<Item>> {
        if count == 0 {
            return Some(Vec::new());
        }
        let mut request = for_tenant(
            tenant,
            RecommendRequest {
                profile_id: profile_id.to_owned(),
                product_ids,
                limit: count,
                as_of_time: Some(timestamp(as_of_us)),
                ..RecommendRequest::default()
            },
        );
        request.set_timeout(RECOMMEND_LIMIT);
        let mut client = RecommendationServiceClient::new(self.recommendation.clone())
            .max_decoding_message_size(kit::MAX_MESSAGE_BYTES);
        match client.recommend(request).await {
            Ok(answer) => Some(answer.into_inner().items),
            Err(status) => {
                tracing::debug!(rpc.code = ?status.code(), "products could not be chosen");
                None
            }
        }
    }

    /// Returns a compiled template; none when there is none or it does not compile.
    async fn template(&self, tenant: &TenantId, template_id: &str) -> Result<Option<Arc<Compiled>>, Error> {
        let key = (tenant.clone(), template_id.to_owned());
        if let Some(fresh) = self.templates.fresh(&key) {
            return Ok(fresh);
        }
        let Some(template) = templates::find(&self.db, tenant, template_id).await? else { return Ok(None) };
        Ok(self.templates.keep(key, template.version, || Compiled::new(&template).ok()))
    }

    /// Puts our own addresses in the place of links, and the pixel where the person agreed to it.
    fn rewrite(
        &self,
        tenant: &TenantId,
        message: &mut Message,
        rendered: &Rendered,
        tracked: bool,
    ) -> (String, String) {
        let own = format!("{}/u/", self.public_base_url);
        let mut rewriter = {
            let message = &*message;
            Rewriter {
                own: &own,
                replace: |index| self.link(tenant, message, Purpose::Click, index),
                links: Vec::new(),
            }
        };
        let mut html = rewriter.html(&rendered.html);
        let text = rewriter.text(&rendered.text);
        let links = rewriter.links;
        if tracked && !html.is_empty() {
            html = with_pixel(html, &self.link(tenant, message, Purpose::Open, 0));
        }
        message.links = links;
        (html, text)
    }

    /// Returns an address of ours that leads back to a message.
    pub(crate) fn link(&self, tenant: &TenantId, message: &Message, purpose: Purpose, link: u16) -> String {
        let message_id = Uuid::parse_str(&message.message_id).unwrap_or_default();
        let token = self.keys.sign(&Token { purpose, tenant: tenant.clone(), message_id, link });
        let base = &self.public_base_url;
        match purpose {
            Purpose::Click => format!("{base}/c/{token}"),
            Purpose::Open => format!("{base}/o/{token}.gif"),
            Purpose::Unsubscribe => format!("{base}/u/{token}"),
        }
    }

    fn later(&self, mut message: Message, detail: &str) -> Prepared {
        message.attempts += 1;
        message.fire_us = self.clock.now_us().saturating_add(backoff::wait_us(message.attempts));
        message.note("render", Verdict::Deferred, detail);
        Prepared::PutOff(Box::new(message))
    }
}

fn withheld(mut message: Message, reason: Reason, gate: &str, detail: impl Into<String>) -> Prepared {
    message.state = State::Withheld;
    message.reason = number(reason);
    message.note(gate, Verdict::Refused, detail);
    Prepared::PutOff(Box::new(message))
}

impl Templates {
    /// Forgets a template that was put anew.
    pub(crate) fn forget(&self, tenant: &TenantId, template_id: &str) {
        self.lock().remove(&(tenant.clone(), template_id.to_owned()));
    }

    fn fresh(&self, key: &(TenantId, String)) -> Option<Option<Arc<Compiled>>> {
        let known = self.lock();
        let found = known.get(key).filter(|found| found.looked.elapsed() < TEMPLATE_LIFE)?;
        Some(found.compiled.clone())
    }

    fn keep(
        &self,
        key: (TenantId, String),
        version: i64,
        compile: impl FnOnce() -> Option<Compiled>,
    ) -> Option<Arc<Compiled>> {
        let mut known = self.lock();
        if known.len() >= MOST_TEMPLATES {
            known.clear();
        }
        let compiled = match known.get(&key).filter(|found| found.version == version) {
            Some(found) => found.compiled.clone(),
            None => compile().map(Arc::new),
        };
        known.insert(key, Known { version, compiled: compiled.clone(), looked: Instant::now() });
        compiled
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<(TenantId, String), Known>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

//! A tenant that has something of every kind.

use anyhow::Context;
use chrono::Duration;
use comptoir::{api::Api, shop::Stage};
use comptoir_integration_tests::{Embedded, Subject, feed::post_until_taken, read, scenario};
use proto::{
    campaign::v1::{
        AbandonedBasketTrigger, AddSuppressionRequest, Campaign, Channel, ContactPolicy, PutCampaignRequest,
        PutTemplateRequest, SetContactPolicyRequest, Template, campaign::Trigger,
    },
    gateway::v1::ListApiKeysRequest,
    google::r#type::Money,
    identity::v1::{GetProfileRequest, get_profile_request::Key},
    ingestion::v1::{
        GetSourceRequest, PutTrackingPlanRequest, Source, TrackingPlan, tracking_plan::Rule,
        tracking_plan_service_client::TrackingPlanServiceClient,
    },
    recommendation::v1::{Product, UpsertProductsRequest},
    scoring::v1::{PutSegmentRequest, Segment},
    r#type::v1::Identifier,
};
use serde_json::{Value, json};

/// A word that stands in everything that is the neighbour's and in no request of anybody else.
pub(super) const SECRET: &str = "zanzibar";

/// What the neighbour has.
pub(super) struct Neighbour {
    pub(super) tenant_id: String,
    pub(super) key: String,
    pub(super) api_key_id: String,
    pub(super) source_id: String,
    pub(super) write_key_id: String,
    pub(super) dead_letter_id: String,
    pub(super) profile_id: String,
    pub(super) segment_id: String,
    pub(super) product_id: String,
    pub(super) template_id: String,
    pub(super) campaign_id: String,
    pub(super) message_id: String,
    pub(super) suppressed: String,
}

impl Neighbour {
    /// Returns one of the identifiers of the person that the neighbour knows.
    pub(super) fn identifier(&self, kind: &str) -> Value {
        let value = if kind == "email" { "alpha@shop.example" } else { "alpha-1" };
        json!({ "kind": kind, "value": value })
    }
}

/// Makes a tenant with a person, products, a segment, a campaign, a message, a dead letter and a suppression.
pub(super) async fn settle_in(subject: &Embedded, tenant_id: &str) -> anyhow::Result<Neighbour> {
    let key = subject.operator()?.create_tenant(tenant_id).await?;
    let api = subject.api(&key)?;
    put_things(&api).await?;
    let source = Source {
        name: format!("{SECRET} site"),
        kind: "site".into(),
        default_currency: "EUR".into(),
        ..Source::default()
    };
    let created = api.create_source(source).await?;
    let source_id = created.source.context("a created source")?.source_id;

    let rule = Rule { event_name: SECRET.into(), schema_json: "{}".into() };
    let plan = TrackingPlan { source_id: source_id.clone(), rules: vec![rule], ..TrackingPlan::default() };
    let request = PutTrackingPlanRequest { plan: Some(plan), ..PutTrackingPlanRequest::default() };
    TrackingPlanServiceClient::new(api.channel()).put_tracking_plan(request).await?;

    let noon = scenario::start() + Duration::hours(12);
    subject.set_intake(noon);
    subject.set_timers(noon);
    post_until_taken(&mut subject.web()?, &created.write_key, events().to_string().into()).await?;
    subject.settle().await?;
    subject.set_intake(noon + Duration::hours(2));
    subject.set_timers(noon + Duration::hours(2));
    subject.settle().await?;

    let identifier = Identifier { kind: "user_id".into(), value: "alpha-1".into() };
    let request = GetProfileRequest { key: Some(Key::Identifier(identifier)) };
    let profile = api.identity().get_profile(request).await?.into_inner().profile.context("a person")?;
    let source = api.sources().get_source(GetSourceRequest { source_id: source_id.clone() }).await?.into_inner();
    let keys = api.access().list_api_keys(ListApiKeysRequest::default()).await?.into_inner().api_keys;
    let first = |list: Vec<String>, what: &str| list.into_iter().next().with_context(|| format!("no {what}"));
    let letters = read::dead_letters(&api).await?.into_iter().map(|letter| letter.dead_letter_id);
    let messages = read::messages(&api).await?.into_iter().map(|message| message.message_id);
    let write_keys = source.source.unwrap_or_default().write_keys.into_iter().map(|key| key.write_key_id);
    Ok(Neighbour {
        tenant_id: tenant_id.into(),
        key,
        api_key_id: first(keys.into_iter().map(|key| key.api_key_id).collect(), "key")?,
        source_id,
        write_key_id: first(write_keys.collect(), "write key")?,
        dead_letter_id: first(letters.collect(), "dead letter")?,
        profile_id: profile.profile_id,
        segment_id: "insiders".into(),
        product_id: "p-1".into(),
        template_id: "basket".into(),
        campaign_id: "basket".into(),
        message_id: first(messages.collect(), "message")?,
        suppressed: "never@shop.example".into(),
    })
}

async fn put_things(api: &Api) -> Result<(), kit::Error> {
    let products = (1..=3)
        .map(|number| Product {
            product_id: format!("p-{number}"),
            title: format!("{SECRET} {number}"),
            price: Some(Money { currency_code: "EUR".into(), units: 10, nanos: 0 }),
            url: format!("https://shop.example/p/{number}"),
            ..Product::default()
        })
        .collect();
    api.catalogue().upsert_products(UpsertProductsRequest { products }).await?;
    let segment = Segment {
        segment_id: "insiders".into(),
        name: SECRET.into(),
        expression: "stats.event_count > 0".into(),
        ..Segment::default()
    };
    api.segments().put_segment(PutSegmentRequest { segment: Some(segment) }).await?;
    let template = Template {
        template_id: "basket".into(),
        subject: format!("{SECRET} for you"),
        text: "Come back\n{{ unsubscribe_url }}".into(),
        ..Template::default()
    };
    api.templates().put_template(PutTemplateRequest { template: Some(template) }).await?;
    let campaign = Campaign {
        campaign_id: "basket".into(),
        name: SECRET.into(),
        trigger: Some(Trigger::AbandonedBasket(AbandonedBasketTrigger { delay: None })),
        channel: Channel::Email.into(),
        template_id: "basket".into(),
        ..Campaign::default()
    };
    api.campaigns().put_campaign(PutCampaignRequest { campaign: Some(campaign) }).await?;
    let policy = ContactPolicy { cap_messages: 9, ..ContactPolicy::default() };
    api.campaigns().set_contact_policy(SetContactPolicyRequest { policy: Some(policy) }).await?;
    let suppression = AddSuppressionRequest {
        channel: Channel::Email.into(),
        address: "never@shop.example".into(),
        cause: SECRET.into(),
    };
    api.suppressions().add_suppression(suppression).await?;
    Ok(())
}

/// Somebody signs in, agrees to mail and fills a basket; and one event that cannot be taken.
fn events() -> Value {
    let yes = json!({"consent": {"categoryPreferences": {"marketing_email": true}}});
    json!({ "batch": [
        {
            "type": "identify", "messageId": "m-1", "userId": "alpha-1", "context": yes,
            "traits": {"email": "alpha@shop.example", "firstName": SECRET},
        },
        {
            "type": "track", "event": "Product Added", "messageId": "m-2", "userId": "alpha-1", "context": yes,
            "properties": {"cart_id": "c-1", "product_id": "p-1", "price": 10, "quantity": 1},
        },
        {
            "type": "track", "event": "Order Completed", "messageId": "m-3", "userId": "alpha-1",
            "properties": {"order_id": "o-1", "total": 10, "currency": "XQZ", "coupon": SECRET},
        },
    ]})
}

use std::collections::BTreeMap;

use kit::Error;
use proto::{
    campaign::v1::{
        AbandonedBasketTrigger, Campaign, Channel, ContactPolicy, PostPurchaseTrigger, PutCampaignRequest,
        PutTemplateRequest, SegmentEnteredTrigger, SetContactPolicyRequest, Template, campaign::Trigger,
    },
    event::v1::{Medium, Party},
    google::r#type::Money,
    ingestion::v1::Source,
    recommendation::v1::{Product, UpsertProductsRequest},
    scoring::v1::{PutSegmentRequest, Segment},
};
use simulator::{SourceKind, World};

use crate::api::Api;

/// Products that one request may carry.
const PRODUCTS_PER_REQUEST: usize = 500;

/// A merchant's set-up on the platform.
#[derive(Clone)]
pub struct Shop {
    /// The API, as the merchant.
    pub api: Api,
    /// The write key of each source, by [`SourceKind::as_str`].
    pub write_keys: BTreeMap<&'static str, String>,
}

/// Sets a tenant up for a simulated world: sources, catalogue, segments, templates, campaigns and contact policy.
pub async fn set_up(api: Api, world: &World) -> Result<Shop, Error> {
    let mut write_keys = BTreeMap::new();
    for kind in SourceKind::ALL {
        let created = api.create_source(source(kind, world)).await?;
        write_keys.insert(kind.as_str(), created.write_key);
    }
    put_catalogue(&api, world).await?;
    for (segment_id, name, expression) in SEGMENTS {
        let segment = Segment {
            segment_id: segment_id.into(),
            name: name.into(),
            expression: expression.into(),
            ..Segment::default()
        };
        api.segments().put_segment(PutSegmentRequest { segment: Some(segment) }).await?;
    }
    put_campaigns(&api, world).await?;
    Ok(Shop { api, write_keys })
}

/// Segments of the demo: id, name and rule.
const SEGMENTS: [(&str, &str, &str); 4] = [
    ("loyal", "Loyal customers", "stats.order_count >= 4"),
    (
        "slipping-away",
        "Slipping away",
        "stats.order_count >= 2 && stats.days_since_last_order >= 60 && stats.days_since_last_order < 180",
    ),
    ("champions", "Champions by RFM", r#"rfm.segment == "champions""#),
    ("window-shoppers", "Many looks, no order", "stats.order_count == 0 && stats.product_view_count >= 15"),
];

fn source(kind: SourceKind, world: &World) -> Source {
    let offline = matches!(kind, SourceKind::Till | SourceKind::Crm);
    let medium = if offline { Medium::Offline } else { Medium::Online };
    Source {
        name: kind.as_str().into(),
        kind: kind.as_str().into(),
        party: Party::First.into(),
        medium: medium.into(),
        default_currency: world.config().shop_currency.clone(),
        ..Source::default()
    }
}

async fn put_catalogue(api: &Api, world: &World) -> Result<(), Error> {
    for chunk in world.catalogue().chunks(PRODUCTS_PER_REQUEST) {
        let products = chunk
            .iter()
            .map(|product| Product {
                product_id: product.product_id.clone(),
                title: product.title.clone(),
                category: product.category.clone(),
                brand: product.brand.clone(),
                price: Some(Money {
                    currency_code: product.currency.clone(),
                    units: product.price_micros / 1_000_000,
                    nanos: i32::try_from(product.price_micros % 1_000_000 * 1_000).unwrap_or_default(),
                }),
                stock: Some(i64::from(product.stock)),
                url: product.url.clone(),
                image_url: product.image_url.clone(),
                update_time: None,
                provenance: None,
            })
            .collect();
        api.catalogue().upsert_products(UpsertProductsRequest { products }).await?;
    }
    Ok(())
}

async fn put_campaigns(api: &Api, world: &World) -> Result<(), Error> {
    for (template_id, subject, words) in [
        ("basket", "You left something on the counter", "Your basket is still here, just as you left it."),
        ("thanks", "Thank you for your order", "We hope you like it. These go well with what you chose:"),
        ("miss-you", "We have not seen you for a while", "Here is what we would show you first:"),
    ] {
        let template = Template {
            template_id: template_id.into(),
            subject: subject.into(),
            html: html(words),
            text: text(words),
            ..Template::default()
        };
        api.templates().put_template(PutTemplateRequest { template: Some(template) }).await?;
    }

    let policy = ContactPolicy {
        cap_messages: 2,
        cap_window: Some(days(7)),
        quiet_start_minute: 21 * 60,
        quiet_end_minute: 8 * 60,
        default_timezone: "Europe/Paris".into(),
    };
    api.campaigns().set_contact_policy(SetContactPolicyRequest { policy: Some(policy) }).await?;

    let hour = prost_types::Duration { seconds: 3600, nanos: 0 };
    let campaigns = [
        ("abandoned-basket", "basket", Trigger::AbandonedBasket(AbandonedBasketTrigger { delay: Some(hour) }), 0),
        ("after-purchase", "thanks", Trigger::PostPurchase(PostPurchaseTrigger { delay: Some(days(7)) }), 0),
        (
            "win-back",
            "miss-you",
            Trigger::SegmentEntered(SegmentEnteredTrigger { segment_id: "slipping-away".into(), delay: None }),
            100,
        ),
    ];
    for (campaign_id, template_id, trigger, holdout_milli) in campaigns {
        let campaign = Campaign {
            campaign_id: campaign_id.into(),
            name: format!("{campaign_id} ({})", world.config().shop_currency),
            trigger: Some(trigger),
            channel: Channel::Email.into(),
            template_id: template_id.into(),
            purpose: "marketing".into(),
            product_count: 3,
            holdout_milli,
            ..Campaign::default()
        };
        api.campaigns().put_campaign(PutCampaignRequest { campaign: Some(campaign) }).await?;
    }
    Ok(())
}

fn days(count: i64) -> prost_types::Duration {
    prost_types::Duration { seconds: count * 86_400, nanos: 0 }
}

fn html(words: &str) -> String {
    format!(
        "<!doctype html><html><body><p>Hello {{{{ traits.first_name | default(\"there\") }}}},</p><p>{words}</p>\
         <ul>{{% for product in products %}}<li><a href=\"{{{{ product.url }}}}\">{{{{ product.title }}}}</a></li>\
         {{% endfor %}}</ul><p><a href=\"{{{{ unsubscribe_url }}}}\">Unsubscribe</a></p></body></html>"
    )
}

fn text(words: &str) -> String {
    format!(
        "Hello {{{{ traits.first_name | default(\"there\") }}}},\n\n{words}\n\n{{% for product in products %}}\
         - {{{{ product.title }}}}: {{{{ product.url }}}}\n{{% endfor %}}\nUnsubscribe: {{{{ unsubscribe_url }}}}\n"
    )
}

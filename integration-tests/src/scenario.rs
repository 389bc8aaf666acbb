//! The shop that the tests live through: small, busy, and untidy.

use chrono::{DateTime, Utc};
use comptoir::shop::{self, Lived, Pace, Shop};
use kit::Error;
use proto::{
    campaign::v1::{Campaign, Channel, PutCampaignRequest, SegmentEnteredTrigger, campaign::Trigger},
    scoring::v1::{PutSegmentRequest, Segment},
};
use simulator::{Habits, PurchaseModel, World, WorldConfig};

use crate::Subject;

/// Tenant of the scenario.
pub const TENANT: &str = "atelier";

/// Returns the world: about 80 people and 60 products during 25 days, with every kind of disorder the simulator knows.
pub fn world() -> World {
    World::new(WorldConfig {
        seed: 11,
        people: 80,
        products: 60,
        start: start(),
        days: 25,
        flush_minutes: 360,
        batch_max: 60,
        purchases: PurchaseModel { alpha_days: 10.0, ..PurchaseModel::default() },
        habits: Habits {
            visits_per_month: 4.0,
            abandon: 0.4,
            marketing_email: 0.8,
            withdraw: 0.2,
            ..Habits::default()
        },
        ..WorldConfig::default()
    })
}

/// Returns the world's first instant.
pub fn start() -> DateTime<Utc> {
    DateTime::from_timestamp(1_740_960_000, 0).expect("3 March 2025 is a time")
}

/// Sets the shop up on a fresh tenant: what the demo has, and two campaigns that 25 days are long enough for.
pub async fn set_up(subject: &impl Subject, world: &World) -> Result<Shop, Error> {
    let key = subject.operator()?.create_tenant(TENANT).await?;
    let shop = shop::set_up(subject.api(&key)?, world).await?;
    for (segment_id, expression) in [
        ("buyers", "stats.order_count >= 1"),
        ("cooling", "stats.order_count >= 1 && stats.days_since_last_order >= 5 && stats.days_since_last_order < 12"),
    ] {
        let segment = Segment {
            segment_id: segment_id.into(),
            name: segment_id.into(),
            expression: expression.into(),
            ..Segment::default()
        };
        shop.api.segments().put_segment(PutSegmentRequest { segment: Some(segment) }).await?;
        let campaign = Campaign {
            campaign_id: format!("hello-{segment_id}"),
            name: format!("Hello {segment_id}"),
            trigger: Some(Trigger::SegmentEntered(SegmentEnteredTrigger {
                segment_id: segment_id.into(),
                delay: None,
            })),
            channel: Channel::Email.into(),
            template_id: "miss-you".into(),
            purpose: "marketing".into(),
            product_count: 2,
            ..Campaign::default()
        };
        shop.api.campaigns().put_campaign(PutCampaignRequest { campaign: Some(campaign) }).await?;
    }
    Ok(shop)
}

/// Lives through the world, day by day, with people who open, click and unsubscribe.
///
/// Time passes in order, so that what is decided does not depend on which service wakes first.
pub async fn live(subject: &impl Subject, shop: &Shop, world: &World) -> Result<Lived, Error> {
    shop::live(subject, shop, world, Pace::InOrder, || subject.web(), &subject.post().people, |_| {}).await
}

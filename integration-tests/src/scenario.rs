//! The shop that the tests live through: small, busy, and untidy.

use chrono::{DateTime, Utc};
use comptoir::shop::{self, Lived, Shop};
use kit::Error;
use proto::{
    campaign::v1::{Campaign, Channel, PutCampaignRequest, SegmentEnteredTrigger, campaign::Trigger},
    scoring::v1::{PutSegmentRequest, Segment},
};
use simulator::{Habits, Noise, PurchaseModel, World, WorldConfig};

use crate::{Subject, read};

/// Tenant of the scenario.
pub const TENANT: &str = "atelier";

/// Returns the world: about 80 people and 60 products during 25 days, with every kind of disorder the simulator knows.
pub fn world() -> World {
    World::new(config())
}

/// Returns the same world without orders that are told twice, for comparing two runs.
///
/// Where browser and server tell of an order under two people who turn out to be one, either may have set a message off before
/// they are found to be one. The second is withheld then, but it was there, and its record is part of the picture.
pub fn world_for_comparing() -> World {
    let config = config();
    let noise = Noise { server_copy: 0.0, ..config.noise.clone() };
    World::new(WorldConfig { noise, ..config })
}

fn config() -> WorldConfig {
    WorldConfig {
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
    }
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

/// Changes a shop for comparing two runs: what is set off falls due on a later day.
///
/// The clock jumps a day at a time. A basket's message that falls due on the very day on which time alone brings the same person
/// into a segment is decided before or after the other's, whichever service wakes first; in time that passes, never.
pub async fn make_comparable(shop: &Shop) -> Result<(), Error> {
    let delay = Some(prost_types::Duration { seconds: 26 * 3_600, nanos: 0 });
    for mut campaign in read::campaigns(&shop.api).await? {
        match &mut campaign.trigger {
            Some(Trigger::AbandonedBasket(basket)) => basket.delay = delay,
            Some(Trigger::SegmentEntered(entered)) => entered.delay = delay,
            Some(Trigger::PostPurchase(_)) | None => continue,
        }
        shop.api.campaigns().put_campaign(PutCampaignRequest { campaign: Some(campaign) }).await?;
    }
    Ok(())
}

/// Lives through the world, day by day, with people who open, click and unsubscribe.
pub async fn live(subject: &impl Subject, shop: &Shop, world: &World) -> Result<Lived, Error> {
    shop::live(subject, shop, world, || subject.web(), &subject.post().people, |_| {}).await
}

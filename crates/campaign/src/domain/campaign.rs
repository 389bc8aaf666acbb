//! What the tenant wants to say, to whom and when.

use kit::{Error, Violations};
use prost_types::Duration;
use proto::campaign::v1::{Campaign, Channel, campaign::Trigger as WireTrigger};

use super::time::{DAY_US, MINUTE_US, duration_us, timestamp};

const LONGEST_NAME: usize = 100;
const LONGEST_DELAY_US: i64 = 366 * DAY_US;
const LONGEST_EXPIRY_US: i64 = 90 * DAY_US;
const MOST_PRODUCTS: i32 = 20;
const MOST_HOLDOUT: i32 = 500;
const MARKETING: &str = "marketing";

/// A checked campaign.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Definition {
    pub(crate) campaign_id: String,
    pub(crate) name: String,
    pub(crate) trigger: Trigger,
    pub(crate) template_id: String,
    pub(crate) purpose: String,
    pub(crate) product_count: i32,
    pub(crate) holdout_milli: i32,
    pub(crate) min_interval_us: i64,
    pub(crate) expire_after_us: i64,
    pub(crate) paused: bool,
    /// Only what happened from then on sets it off.
    pub(crate) put_us: i64,
}

/// What sets a campaign off. Delays in microseconds.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Trigger {
    AbandonedBasket { delay_us: i64 },
    PostPurchase { delay_us: i64 },
    SegmentEntered { segment_id: String, delay_us: i64 },
}

impl Definition {
    /// Whether something that happened at `trigger_us` and would fall due at `due_us` still sets the campaign off: it
    /// happened since the campaign was put, and its message could still leave.
    pub(crate) fn takes(&self, trigger_us: i64, due_us: i64, now_us: i64) -> bool {
        trigger_us >= self.put_us && !self.is_expired(due_us, now_us)
    }

    /// Whether a message that fell due at `due_us` can no longer leave.
    pub(crate) fn is_expired(&self, due_us: i64, now_us: i64) -> bool {
        now_us > due_us.saturating_add(self.expire_after_us)
    }
}

/// Fills what is unset, checks the rest and returns the campaign as it is to be kept.
pub(crate) fn check(mut campaign: Campaign) -> Result<Campaign, Error> {
    let mut wrong = Violations::new();
    check_slug(&mut wrong, "campaign.campaign_id", &campaign.campaign_id);
    check_slug(&mut wrong, "campaign.template_id", &campaign.template_id);
    wrong.check(campaign.name.chars().count() <= LONGEST_NAME, "campaign.name", "must be at most 100 characters");
    wrong.check(campaign.channel() == Channel::Email, "campaign.channel", "must be CHANNEL_EMAIL");
    let products = (0..=MOST_PRODUCTS).contains(&campaign.product_count);
    wrong.check(products, "campaign.product_count", "must be 0 to 20");
    let holdout = (0..=MOST_HOLDOUT).contains(&campaign.holdout_milli);
    wrong.check(holdout, "campaign.holdout_milli", "must be 0 to 500");

    if campaign.purpose.is_empty() {
        campaign.purpose = MARKETING.to_owned();
    }
    let well_formed = campaign.purpose.len() <= 64
        && campaign.purpose.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_'));
    wrong.check(well_formed, "campaign.purpose", "must be at most 64 characters of [a-z0-9_]");

    let interval = fill(&mut campaign.min_interval, 86_400);
    wrong.check((0..=LONGEST_DELAY_US).contains(&interval), "campaign.min_interval", "must be 0 to 366 days");
    let expiry = fill(&mut campaign.expire_after, 3 * 86_400);
    let expiry_fits = (MINUTE_US..=LONGEST_EXPIRY_US).contains(&expiry);
    wrong.check(expiry_fits, "campaign.expire_after", "must be 1 minute to 90 days");
    check_trigger(&mut wrong, campaign.trigger.as_mut());
    wrong.finish()?;

    campaign.paused = false;
    campaign.update_time = None;
    Ok(campaign)
}

fn check_trigger(wrong: &mut Violations, trigger: Option<&mut WireTrigger>) {
    let (field, delay, shortest_us) = match trigger {
        None => {
            wrong.add("campaign.trigger", "must be given");
            return;
        }
        Some(WireTrigger::AbandonedBasket(basket)) => ("abandoned_basket", fill(&mut basket.delay, 3_600), MINUTE_US),
        Some(WireTrigger::PostPurchase(purchase)) => ("post_purchase", fill(&mut purchase.delay, 7 * 86_400), 0),
        Some(WireTrigger::SegmentEntered(entered)) => {
            check_slug(wrong, "campaign.segment_entered.segment_id", &entered.segment_id);
            ("segment_entered", fill(&mut entered.delay, 0), 0)
        }
    };
    let description = if shortest_us > 0 { "must be 1 minute to 366 days" } else { "must be 0 to 366 days" };
    wrong.check((shortest_us..=LONGEST_DELAY_US).contains(&delay), format!("campaign.{field}.delay"), description);
}

/// Records a violation unless `text` is 1 to 64 characters of [a-z0-9_-].
pub(crate) fn check_slug(wrong: &mut Violations, field: &str, text: &str) {
    let allowed = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-');
    let well_formed = !text.is_empty() && text.len() <= 64 && text.bytes().all(allowed);
    wrong.check(well_formed, field, "must be 1 to 64 characters of [a-z0-9_-]");
}

fn fill(duration: &mut Option<Duration>, default_seconds: i64) -> i64 {
    duration_us(duration.get_or_insert(Duration { seconds: default_seconds, nanos: 0 }))
}

/// Returns a kept campaign as it is used; none when it is not what [`check`] lets pass.
pub(crate) fn definition(campaign: &Campaign, put_us: i64, paused: bool) -> Option<Definition> {
    let micros = |duration: &Option<Duration>| duration.as_ref().map(duration_us);
    let trigger = match campaign.trigger.as_ref()? {
        WireTrigger::AbandonedBasket(basket) => Trigger::AbandonedBasket { delay_us: micros(&basket.delay)? },
        WireTrigger::PostPurchase(purchase) => Trigger::PostPurchase { delay_us: micros(&purchase.delay)? },
        WireTrigger::SegmentEntered(entered) => {
            Trigger::SegmentEntered { segment_id: entered.segment_id.clone(), delay_us: micros(&entered.delay)? }
        }
    };
    Some(Definition {
        campaign_id: campaign.campaign_id.clone(),
        name: campaign.name.clone(),
        trigger,
        template_id: campaign.template_id.clone(),
        purpose: campaign.purpose.clone(),
        product_count: campaign.product_count,
        holdout_milli: campaign.holdout_milli,
        min_interval_us: micros(&campaign.min_interval)?,
        expire_after_us: micros(&campaign.expire_after)?,
        paused,
        put_us,
    })
}

/// Returns a kept campaign as it is shown.
pub(crate) fn shown(mut campaign: Campaign, put_us: i64, paused: bool) -> Campaign {
    campaign.paused = paused;
    campaign.update_time = Some(timestamp(put_us));
    campaign
}

#[cfg(test)]
pub(crate) mod tests {
    use proto::campaign::v1::{AbandonedBasketTrigger, SegmentEnteredTrigger};

    use super::*;

    pub(crate) fn basket_campaign() -> Campaign {
        Campaign {
            campaign_id: "basket".into(),
            trigger: Some(WireTrigger::AbandonedBasket(AbandonedBasketTrigger { delay: None })),
            channel: Channel::Email.into(),
            template_id: "basket".into(),
            ..Campaign::default()
        }
    }

    #[test]
    fn what_is_unset_is_filled() {
        let kept = check(basket_campaign()).unwrap();
        let used = definition(&kept, 5, false).unwrap();

        assert_eq!(used.trigger, Trigger::AbandonedBasket { delay_us: 60 * MINUTE_US });
        assert_eq!(
            (used.purpose.as_str(), used.min_interval_us, used.expire_after_us),
            ("marketing", DAY_US, 3 * DAY_US)
        );
        assert!(used.takes(5, 10, 10) && !used.takes(4, 10, 10) && !used.takes(5, 10, 11 + 3 * DAY_US));
    }

    #[test]
    fn every_wrong_field_is_named() {
        let trigger =
            SegmentEnteredTrigger { segment_id: String::new(), delay: Some(Duration { seconds: -1, nanos: 0 }) };
        let campaign = Campaign {
            campaign_id: "No Slug".into(),
            name: "n".repeat(101),
            trigger: Some(WireTrigger::SegmentEntered(trigger)),
            channel: Channel::Unspecified.into(),
            purpose: "Marketing!".into(),
            product_count: 21,
            holdout_milli: 501,
            min_interval: Some(Duration { seconds: -1, nanos: 0 }),
            expire_after: Some(Duration { seconds: 1, nanos: 0 }),
            ..Campaign::default()
        };

        assert_eq!(check(campaign).unwrap_err().violations.len(), 11);
    }
}

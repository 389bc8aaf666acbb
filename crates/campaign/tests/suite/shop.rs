//! What people do, what the marketer says.

use chrono::{DateTime, Utc};
use prost::Message;
use prost_types::{Duration, Timestamp};
use proto::{
    campaign::v1::{
        AbandonedBasketTrigger, Campaign, Channel, ContactPolicy, PostPurchaseTrigger, SegmentEnteredTrigger, Template,
        campaign::Trigger,
    },
    event::v1::{CartActivity, Event, OrderActivity, PageViewed, cart_activity, event::Body, order_activity},
    identity::v1::{
        Profile, ProfileErased, ProfileEvent, ProfileMerged, ProfileRecord, ProfileSplit, ProfileUpdated, Trait,
        profile_record,
    },
    scoring::v1::{ScoreRecord, SegmentEntered, SegmentExited, score_record},
    r#type::v1::{Consent, ConsentState, Identifier, LineItem},
};

use crate::harness::noon;

pub(crate) fn timestamp(time: DateTime<Utc>) -> Timestamp {
    Timestamp { seconds: time.timestamp(), nanos: time.timestamp_subsec_nanos() as i32 }
}

pub(crate) fn template() -> Template {
    Template {
        template_id: "basket".into(),
        subject: "{{ traits.first_name | default('Hello') }}, your basket".into(),
        html: "<html><body><p>Dear {{ traits.first_name | default('friend') }}</p>\
               {% for p in products %}<a href=\"{{ p.url }}\">{{ p.title }}</a>{% endfor %}\
               <a href=\"{{ unsubscribe_url }}\">Unsubscribe</a></body></html>"
            .into(),
        text: "Dear {{ traits.first_name | default('friend') }}\n\
               {% for p in products %}{{ p.title }}: {{ p.url }}\n{% endfor %}{{ unsubscribe_url }}\n"
            .into(),
        ..Template::default()
    }
}

fn campaign(campaign_id: &str, trigger: Trigger) -> Campaign {
    Campaign {
        campaign_id: campaign_id.into(),
        name: "A campaign".into(),
        trigger: Some(trigger),
        channel: Channel::Email.into(),
        template_id: "basket".into(),
        product_count: 2,
        ..Campaign::default()
    }
}

/// One hour after the last change of a basket.
pub(crate) fn abandoned_basket() -> Campaign {
    campaign("basket", Trigger::AbandonedBasket(AbandonedBasketTrigger { delay: None }))
}

/// One hour after an order.
pub(crate) fn post_purchase(campaign_id: &str) -> Campaign {
    let delay = Some(Duration { seconds: 3_600, nanos: 0 });
    campaign(campaign_id, Trigger::PostPurchase(PostPurchaseTrigger { delay }))
}

/// As soon as somebody is in the segment "vip".
pub(crate) fn segment_entered() -> Campaign {
    let trigger = SegmentEnteredTrigger { segment_id: "vip".into(), delay: None };
    campaign("vip", Trigger::SegmentEntered(trigger))
}

/// A policy without cap and quiet hours.
pub(crate) fn no_limits() -> ContactPolicy {
    ContactPolicy::default()
}

pub(crate) fn consent(purpose: &str, granted: bool, time: DateTime<Utc>) -> Consent {
    let state = if granted { ConsentState::Granted } else { ConsentState::Denied };
    Consent {
        purpose: purpose.into(),
        channel: "email".into(),
        state: state.into(),
        decided_time: Some(timestamp(time)),
        proof: "a form".into(),
    }
}

pub(crate) fn email(profile_id: &str) -> String {
    format!("{profile_id}@mail.example")
}

/// Somebody with an address who agreed to marketing a day ago.
pub(crate) fn customer(profile_id: &str) -> ProfileRecord {
    updated(profile_id, &email(profile_id), vec![consent("marketing", true, noon() - chrono::Duration::days(1))])
}

pub(crate) fn updated(profile_id: &str, email: &str, consents: Vec<Consent>) -> ProfileRecord {
    let golden = |name: &str, value: &str| Trait { name: name.into(), value: value.into(), ..Trait::default() };
    let mut traits = vec![golden("first_name", "Zoé")];
    let mut identifiers = Vec::new();
    if !email.is_empty() {
        traits.push(golden("email", email));
        identifiers.push(Identifier { kind: "email".into(), value: email.into() });
    }
    let profile = Profile { profile_id: profile_id.into(), identifiers, traits, consents, ..Profile::default() };
    record(profile_id, profile_record::Body::Updated(ProfileUpdated { profile: Some(profile) }))
}

pub(crate) fn did(profile_id: &str, event_id: &str, time: DateTime<Utc>, body: Body) -> ProfileRecord {
    told(profile_id, event_id, time, body, false)
}

pub(crate) fn restated(profile_id: &str, event_id: &str, time: DateTime<Utc>, body: Body) -> ProfileRecord {
    told(profile_id, event_id, time, body, true)
}

fn told(profile_id: &str, event_id: &str, time: DateTime<Utc>, body: Body, restated: bool) -> ProfileRecord {
    let event =
        Event { event_id: event_id.into(), event_time: Some(timestamp(time)), body: Some(body), ..Event::default() };
    let event = ProfileEvent { event: event.encode_to_vec().into(), restated };
    record(profile_id, profile_record::Body::Event(event))
}

/// The mark of a merge, as it stands in the partition of `profile_id`.
pub(crate) fn merged(profile_id: &str, survivor: &str, absorbed: &str) -> ProfileRecord {
    let merged = ProfileMerged {
        survivor_profile_id: survivor.into(),
        absorbed_profile_ids: vec![absorbed.into()],
        decide_time: None,
    };
    record(profile_id, profile_record::Body::Merged(merged))
}

pub(crate) fn split(profile_id: &str, new: &str) -> ProfileRecord {
    let split = ProfileSplit { profile_id: profile_id.into(), new_profile_ids: vec![new.into()], decide_time: None };
    record(profile_id, profile_record::Body::Split(split))
}

pub(crate) fn erased(profile_id: &str) -> ProfileRecord {
    record(profile_id, profile_record::Body::Erased(ProfileErased::default()))
}

fn record(profile_id: &str, body: profile_record::Body) -> ProfileRecord {
    ProfileRecord { profile_id: profile_id.into(), body: Some(body) }
}

fn line(product_id: &str) -> LineItem {
    LineItem { product_id: product_id.into(), name: format!("The {product_id}"), quantity: 1, ..LineItem::default() }
}

pub(crate) fn carted(product_id: &str) -> Body {
    let action = cart_activity::Action::Added.into();
    Body::CartActivity(CartActivity { action, products: vec![line(product_id)], ..CartActivity::default() })
}

pub(crate) fn uncarted(product_id: &str) -> Body {
    let action = cart_activity::Action::Removed.into();
    Body::CartActivity(CartActivity { action, products: vec![line(product_id)], ..CartActivity::default() })
}

pub(crate) fn ordered(order_id: &str) -> Body {
    order(order_id, order_activity::Action::Completed)
}

pub(crate) fn cancelled(order_id: &str) -> Body {
    order(order_id, order_activity::Action::Cancelled)
}

fn order(order_id: &str, action: order_activity::Action) -> Body {
    Body::OrderActivity(OrderActivity {
        action: action.into(),
        order_id: order_id.into(),
        products: vec![line("bought")],
        ..OrderActivity::default()
    })
}

pub(crate) fn viewed() -> Body {
    Body::PageViewed(PageViewed::default())
}

pub(crate) fn entered(profile_id: &str, time: DateTime<Utc>, backfilled: bool) -> ScoreRecord {
    entered_earlier(profile_id, time, backfilled, None)
}

/// Says of a stay that was told to have begun at `former` that it began at `time`.
pub(crate) fn entered_earlier(
    profile_id: &str,
    time: DateTime<Utc>,
    backfilled: bool,
    former: Option<DateTime<Utc>>,
) -> ScoreRecord {
    let enter_time = Some(timestamp(time));
    let former_enter_time = former.map(timestamp);
    let segment_id = "vip".into();
    let entered = SegmentEntered { segment_id, enter_time, backfilled, former_enter_time, ..SegmentEntered::default() };
    ScoreRecord { profile_id: profile_id.into(), body: Some(score_record::Body::SegmentEntered(entered)) }
}

/// Says of a stay that events which were another's began it, perhaps of one that was told to have begun at `former`.
pub(crate) fn entered_by_restatement(
    profile_id: &str,
    time: DateTime<Utc>,
    former: Option<DateTime<Utc>>,
) -> ScoreRecord {
    let entered = SegmentEntered {
        segment_id: "vip".into(),
        enter_time: Some(timestamp(time)),
        backfilled: true,
        former_enter_time: former.map(timestamp),
        restated: true,
    };
    ScoreRecord { profile_id: profile_id.into(), body: Some(score_record::Body::SegmentEntered(entered)) }
}

pub(crate) fn exited(profile_id: &str, time: DateTime<Utc>) -> ScoreRecord {
    let exited = SegmentExited { segment_id: "vip".into(), exit_time: Some(timestamp(time)) };
    ScoreRecord { profile_id: profile_id.into(), body: Some(score_record::Body::SegmentExited(exited)) }
}

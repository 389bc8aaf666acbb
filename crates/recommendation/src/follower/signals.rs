//! Reading records of the profile log.

use std::collections::BTreeMap;

use eventlog::LogRecord;
use kit::time::micros;
use prost::Message;
use proto::{
    event::v1::{CartActivity, Event, OrderActivity, cart_activity, event::Body, order_activity, product_activity},
    identity::v1::{ProfileEvent, ProfileRecord, profile_record},
    r#type::v1::{Consent, ConsentState, LineItem},
};
use uuid::Uuid;

use crate::domain::{
    order::{EventKey, Line, OrderKey, Return, Telling},
    signal::{Act, Deed, Signal},
};

/// Longest product id, in characters; lines with a longer one, or none, are left out.
pub(crate) const MAX_PRODUCT_ID: usize = 256;

/// The purpose that people deny when their past is not to decide what they are shown.
const PERSONALISATION: &str = "personalisation";

/// Makes digests of order ids differ from those of anything else.
const ORDER_NAMESPACE: Uuid = Uuid::from_u128(0x6d1f_7c0a_53e2_4c8e_9a44_0d6b_f1a7_2e95);

/// Makes digests of event ids differ from those of anything else.
const EVENT_NAMESPACE: Uuid = Uuid::from_u128(0x1b9e_02d4_8f6a_4d37_b1c5_77e0_9c3d_5a18);

/// Returns what a record means here, nothing when it does not matter, or why it cannot be read.
pub(crate) fn read(record: &LogRecord) -> Result<Option<Signal>, &'static str> {
    let ProfileRecord { profile_id, body } =
        ProfileRecord::decode(record.record.payload.clone()).map_err(|_| "not a profile record")?;
    if profile_id.is_empty() {
        return Err("a profile record without profile id");
    }
    let forgotten = |profile_id| Ok(Some(Signal { profile_id, deed: Deed::Forget }));
    match body {
        Some(profile_record::Body::Event(event)) => read_event(profile_id, event, record.record.event_time_us),
        Some(profile_record::Body::Erased(_)) => Ok(Some(Signal { profile_id, deed: Deed::Erase })),
        Some(profile_record::Body::Updated(updated)) => {
            let consents = updated.profile.map(|profile| profile.consents).unwrap_or_default();
            let denies_personalisation = consents.iter().any(denies_personalisation);
            Ok(Some(Signal { profile_id, deed: Deed::Consent { denies_personalisation } }))
        }
        Some(profile_record::Body::Split(split)) if split.profile_id == profile_id => {
            Ok(Some(Signal { profile_id, deed: Deed::Restate }))
        }
        // Only in the partition of the absorbed profile, behind its records: the survivor's copy may be read before them.
        Some(profile_record::Body::Merged(merged)) if merged.absorbed_profile_ids.contains(&profile_id) => {
            forgotten(profile_id)
        }
        _ => Ok(None),
    }
}

fn read_event(profile_id: String, told: ProfileEvent, log_time_us: i64) -> Result<Option<Signal>, &'static str> {
    let event = Event::decode(told.event).map_err(|_| "not an event")?;
    // Machines are told apart for this: what they look at says nothing about people.
    if event.provenance.as_ref().is_some_and(|provenance| provenance.bot) {
        return Ok(None);
    }
    let time_us = event.event_time.as_ref().map_or(log_time_us, micros);
    let act = match event.body {
        Some(Body::ProductActivity(activity)) if activity.action() == product_activity::Action::Viewed => {
            activity.product.and_then(|line| product_ids(vec![line]).pop()).map(Act::View)
        }
        Some(Body::CartActivity(activity)) if activity.action() == cart_activity::Action::Added => added(activity),
        Some(Body::OrderActivity(activity)) => ordered(activity, time_us, &event.event_id),
        _ => None,
    };
    Ok(act.map(|act| Signal { profile_id, deed: Deed::Did { time_us, restated: told.restated, act } }))
}

fn added(activity: CartActivity) -> Option<Act> {
    let products = product_ids(activity.products);
    (!products.is_empty()).then_some(Act::Cart(products))
}

fn ordered(activity: OrderActivity, time_us: i64, event_id: &str) -> Option<Act> {
    use order_activity::Action;

    let action = activity.action();
    let undoes = matches!(action, Action::Cancelled | Action::Refunded);
    let undoes_another = undoes && !activity.refunded_order_id.is_empty();
    let order_id = if undoes_another { &activity.refunded_order_id } else { &activity.order_id };
    if order_id.is_empty() {
        return None;
    }
    let key: OrderKey = Uuid::new_v5(&ORDER_NAMESPACE, order_id.as_bytes()).into_bytes();
    match action {
        Action::Completed | Action::Updated => {
            let telling = Telling::Placed { time_us, event: event_key(event_id), lines: lines(activity.products) };
            Some(Act::Order(key, telling))
        }
        Action::Cancelled => Some(Act::Order(key, Telling::Cancelled)),
        // An amount says what was paid back, not what was sent back; without one it is all of it.
        Action::Refunded if activity.products.is_empty() => {
            activity.total.is_none().then_some(Act::Order(key, Telling::Cancelled))
        }
        Action::Refunded => {
            let has_own_id = undoes_another && !activity.order_id.is_empty();
            let return_key = match has_own_id {
                true => Uuid::new_v5(&ORDER_NAMESPACE, activity.order_id.as_bytes()).into_bytes(),
                false => event_key(event_id),
            };
            let lines = lines(activity.products);
            let returned = Return { key: return_key, time_us, lines };
            (!returned.lines.is_empty()).then_some(Act::Order(key, Telling::Returned(returned)))
        }
        Action::Unspecified => None,
    }
}

/// A no on any channel counts: what is recommended may be shown on every one.
fn denies_personalisation(consent: &Consent) -> bool {
    consent.purpose == PERSONALISATION && consent.state() == ConsentState::Denied
}

/// Returns the pieces of each product, ascending by product.
fn lines(lines: Vec<LineItem>) -> Vec<Line> {
    let mut pieces: BTreeMap<String, u32> = BTreeMap::new();
    for line in lines.into_iter().filter(|line| is_product_id(&line.product_id)) {
        let quantity = u32::try_from(line.quantity.max(1)).unwrap_or(u32::MAX);
        let sum = pieces.entry(line.product_id).or_default();
        *sum = sum.saturating_add(quantity);
    }
    pieces.into_iter().map(|(product_id, quantity)| Line { product_id, quantity }).collect()
}

fn is_product_id(product_id: &str) -> bool {
    !product_id.is_empty() && product_id.chars().count() <= MAX_PRODUCT_ID
}

/// Returns the products of lines, distinct and ascending.
fn product_ids(lines: Vec<LineItem>) -> Vec<String> {
    let mut ids: Vec<String> = lines.into_iter().map(|line| line.product_id).filter(|id| is_product_id(id)).collect();
    ids.sort_unstable();
    ids.dedup();
    ids
}

fn event_key(event_id: &str) -> EventKey {
    let id = Uuid::try_parse(event_id).unwrap_or_else(|_| Uuid::new_v5(&EVENT_NAMESPACE, event_id.as_bytes()));
    id.into_bytes()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use eventlog::Record;
    use proto::{
        event::v1::{ProductActivity, Provenance},
        google::r#type::Money,
        identity::v1::{Profile, ProfileMerged, ProfileSplit, ProfileUpdated},
    };

    use super::*;

    fn record(profile_id: &str, body: profile_record::Body) -> LogRecord {
        let payload = ProfileRecord { profile_id: profile_id.into(), body: Some(body) }.encode_to_vec();
        LogRecord {
            tenant: "shop".parse().unwrap(),
            partition: 0,
            offset: 0,
            append_time_us: 0,
            record: Record {
                key: Bytes::from(profile_id.to_owned()),
                payload: payload.into(),
                event_time_us: 7,
                traceparent: None,
            },
        }
    }

    fn event(body: Body, bot: bool) -> LogRecord {
        let provenance = Some(Provenance { bot, ..Provenance::default() });
        let event = Event { provenance, body: Some(body), ..Event::default() };
        let told = ProfileEvent { event: event.encode_to_vec().into(), restated: false };
        record("ann", profile_record::Body::Event(told))
    }

    fn line(product_id: &str) -> LineItem {
        LineItem { product_id: product_id.into(), ..LineItem::default() }
    }

    fn act(record: &LogRecord) -> Option<Act> {
        match read(record).unwrap()?.deed {
            Deed::Did { act, .. } => Some(act),
            _ => None,
        }
    }

    #[test]
    fn people_count_and_machines_do_not() {
        let viewed = |bot| {
            let action = product_activity::Action::Viewed.into();
            let activity = ProductActivity { action, product: Some(line("a")), ..ProductActivity::default() };
            event(Body::ProductActivity(activity), bot)
        };

        assert_eq!(act(&viewed(false)), Some(Act::View("a".into())));
        assert_eq!(read(&viewed(true)), Ok(None));
    }

    #[test]
    fn the_products_of_an_order_are_distinct_and_have_ids() {
        let activity = OrderActivity {
            action: order_activity::Action::Completed.into(),
            order_id: "1".into(),
            products: vec![line("b"), line(""), line("a"), line("b"), line(&"x".repeat(257))],
            ..OrderActivity::default()
        };

        let Some(Act::Order(_, Telling::Placed { lines, time_us, .. })) =
            act(&event(Body::OrderActivity(activity), false))
        else {
            panic!("not an order")
        };

        let pieces = |product: &str, quantity| Line { product_id: product.to_owned(), quantity };
        assert_eq!((lines, time_us), (vec![pieces("a", 1), pieces("b", 2)], 7));
    }

    #[test]
    fn a_refund_names_pieces_or_the_whole_order_or_nothing_of_use() {
        let refund = |order_id: &str, of: &str, products: Vec<LineItem>, total: Option<Money>| {
            let activity = OrderActivity {
                action: order_activity::Action::Refunded.into(),
                order_id: order_id.into(),
                refunded_order_id: of.into(),
                products,
                total,
                ..OrderActivity::default()
            };
            act(&event(Body::OrderActivity(activity), false))
        };
        let key_of = |act: Option<Act>| match act {
            Some(Act::Order(key, _)) => key,
            other => panic!("not an order: {other:?}"),
        };

        let whole = refund("1", "", Vec::new(), None);
        let (note, linked) = (refund("C1", "", vec![line("a")], None), refund("C1", "1", vec![line("a")], None));

        assert!(matches!(&whole, Some(Act::Order(_, Telling::Cancelled))));
        assert_eq!(key_of(whole), key_of(linked.clone()));
        assert_ne!(key_of(note), key_of(linked.clone()));
        let Some(Act::Order(_, Telling::Returned(returned))) = linked else { panic!("not a return") };
        assert_eq!(returned.lines, [Line { product_id: "a".into(), quantity: 1 }]);
        assert_eq!(refund("1", "", Vec::new(), Some(Money::default())), None, "an amount names no product");
    }

    #[test]
    fn a_no_to_personalisation_on_any_channel_is_a_no() {
        let told = |purpose: &str, state: ConsentState| {
            let consent = |purpose: &str, channel: &str, state: ConsentState| Consent {
                purpose: purpose.into(),
                channel: channel.into(),
                state: state.into(),
                ..Consent::default()
            };
            let yes = consent("personalisation", "", ConsentState::Granted);
            let profile = Profile { consents: vec![yes, consent(purpose, "email", state)], ..Profile::default() };
            let updated = ProfileUpdated { profile: Some(profile) };
            read(&record("ann", profile_record::Body::Updated(updated))).unwrap().unwrap().deed
        };

        let denies = told("personalisation", ConsentState::Denied);
        assert_eq!(denies, Deed::Consent { denies_personalisation: true });
        for (purpose, state) in [("personalisation", ConsentState::Granted), ("marketing", ConsentState::Denied)] {
            assert_eq!(told(purpose, state), Deed::Consent { denies_personalisation: false });
        }
    }

    #[test]
    fn a_merge_forgets_the_absorbed_in_their_own_partition_only() {
        let merged = || {
            let absorbed_profile_ids = vec!["bob".to_owned()];
            profile_record::Body::Merged(ProfileMerged {
                survivor_profile_id: "ann".into(),
                absorbed_profile_ids,
                decide_time: None,
            })
        };
        let split = ProfileSplit { profile_id: "ann".into(), ..ProfileSplit::default() };

        assert_eq!(read(&record("ann", merged())), Ok(None));
        assert_eq!(read(&record("bob", merged())).unwrap().unwrap().deed, Deed::Forget);
        assert_eq!(read(&record("ann", profile_record::Body::Split(split))).unwrap().unwrap().deed, Deed::Restate);
    }

    #[test]
    fn what_cannot_be_read_is_told() {
        let mut unreadable = record("ann", profile_record::Body::Erased(Default::default()));
        unreadable.record.payload = Bytes::from_static(&[0xff, 0x01]);
        let told = ProfileEvent { event: Bytes::from_static(&[0x0a, 0x09]), restated: false };

        assert_eq!(read(&unreadable), Err("not a profile record"));
        assert_eq!(read(&record("ann", profile_record::Body::Event(told))), Err("not an event"));
    }
}

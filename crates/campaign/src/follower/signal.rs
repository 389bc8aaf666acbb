//! The records of the profile log as far as they concern campaign.

use eventlog::LogRecord;
use prost::Message;
use proto::event::v1::{
    CartActivity, CheckoutActivity, Event, OrderActivity, cart_activity, event::Body, order_activity,
};
use proto::identity::v1::{Profile, ProfileEvent, ProfileRecord, profile_record};
use proto::r#type::v1::LineItem;

use super::scan::body_number;
use crate::domain::{
    contact::{BasketChange, MOST_PRODUCTS, Product},
    time::micros_or_zero,
};

const CART: u64 = 26;
const CHECKOUT: u64 = 27;
const ORDER: u64 = 28;

/// Longest identifier that is kept.
const LONGEST_ID: usize = 256;
/// Longest name or address of a product that is kept.
const LONGEST_TEXT: usize = 512;

/// A record that concerns campaign.
#[derive(Debug, PartialEq)]
pub(crate) struct Signal {
    pub(crate) profile_id: String,
    pub(crate) body: What,
    pub(crate) traceparent: String,
}

/// What a record tells.
#[derive(Debug, PartialEq)]
pub(crate) enum What {
    Updated(Box<Profile>),
    Basket { change: BasketChange, restated: bool },
    Ordered { order_id: String, time_us: i64, products: Vec<Product>, restated: bool },
    Cancelled { order_id: String, time_us: i64 },
    Merged { survivor_id: String, absorbed_ids: Vec<String> },
    Split { new_ids: Vec<String> },
    Erased,
}

/// Reads a record; none when it does not concern campaign. The error says why it cannot be read.
pub(crate) fn read(record: &LogRecord) -> Result<Option<Signal>, &'static str> {
    let told = ProfileRecord::decode(record.record.payload.clone()).map_err(|_| "not a profile record")?;
    if told.profile_id.is_empty() {
        return Err("a profile record without a profile");
    }
    let body = match told.body {
        None => return Ok(None),
        Some(profile_record::Body::Event(event)) => match read_event(event)? {
            None => return Ok(None),
            Some(what) => what,
        },
        Some(profile_record::Body::Updated(updated)) => What::Updated(Box::new(updated.profile.unwrap_or_default())),
        Some(profile_record::Body::Merged(merged)) => {
            What::Merged { survivor_id: merged.survivor_profile_id, absorbed_ids: merged.absorbed_profile_ids }
        }
        Some(profile_record::Body::Split(split)) => What::Split { new_ids: split.new_profile_ids },
        Some(profile_record::Body::Erased(_)) => What::Erased,
    };
    let traceparent = record.record.traceparent.clone().unwrap_or_default();
    Ok(Some(Signal { profile_id: told.profile_id, body, traceparent }))
}

fn read_event(told: ProfileEvent) -> Result<Option<What>, &'static str> {
    if !matches!(body_number(&told.event), Some(CART | CHECKOUT | ORDER)) {
        return Ok(None);
    }
    let event = Event::decode(told.event).map_err(|_| "not an event")?;
    let time_us = micros_or_zero(event.event_time.as_ref());
    let restated = told.restated;
    let change = |removed, products: &[LineItem]| {
        let change = BasketChange { time_us, event_id: event.event_id.clone(), removed, products: kept(products) };
        Some(What::Basket { change, restated })
    };
    Ok(match &event.body {
        Some(Body::CartActivity(cart)) => read_cart(cart).and_then(|removed| change(removed, &cart.products)),
        Some(Body::CheckoutActivity(CheckoutActivity { products, .. })) => change(false, products),
        Some(Body::OrderActivity(order)) => read_order(order, time_us, restated),
        _ => None,
    })
}

/// Whether products came out; none when the basket did not change.
fn read_cart(cart: &CartActivity) -> Option<bool> {
    match cart.action() {
        cart_activity::Action::Added => Some(false),
        cart_activity::Action::Removed => Some(true),
        cart_activity::Action::Viewed | cart_activity::Action::Shared | cart_activity::Action::Unspecified => None,
    }
}

fn read_order(order: &OrderActivity, time_us: i64, restated: bool) -> Option<What> {
    let own = cut(&order.order_id, LONGEST_ID);
    let netted =
        if order.refunded_order_id.is_empty() { own.clone() } else { cut(&order.refunded_order_id, LONGEST_ID) };
    if own.is_empty() {
        return None;
    }
    match order.action() {
        order_activity::Action::Completed => {
            Some(What::Ordered { order_id: own, time_us, products: kept(&order.products), restated })
        }
        order_activity::Action::Cancelled => Some(What::Cancelled { order_id: netted, time_us }),
        // Without a total the whole order goes back.
        order_activity::Action::Refunded if order.total.is_none() => {
            Some(What::Cancelled { order_id: netted, time_us })
        }
        order_activity::Action::Refunded | order_activity::Action::Updated | order_activity::Action::Unspecified => {
            None
        }
    }
}

fn kept(products: &[LineItem]) -> Vec<Product> {
    let named =
        products.iter().filter(|product| !product.product_id.is_empty() && product.product_id.len() <= LONGEST_ID);
    let short = |text: &str| if text.len() <= LONGEST_TEXT { text.to_owned() } else { String::new() };
    named
        .take(MOST_PRODUCTS)
        .map(|product| Product {
            product_id: product.product_id.clone(),
            name: short(&product.name),
            url: short(&product.url),
            image_url: short(&product.image_url),
        })
        .collect()
}

fn cut(text: &str, longest: usize) -> String {
    text.chars().take(longest).collect()
}

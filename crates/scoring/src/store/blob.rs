//! Stored forms of what is kept as bytes. Fields may be added; numbers are never used again.

use std::collections::BTreeMap;

use prost::Message;
use store::Error;

use super::damaged;
use crate::domain::event::Amount;
use crate::domain::order::{Latest, Order, Refund, Returned, Sale};
use crate::domain::rfm::Cuts;
use crate::domain::state::{Membership, Span, State, Stats, Value};

#[derive(Clone, PartialEq, Message)]
struct StoredState {
    #[prost(uint64, tag = "1")]
    order_count: u64,
    #[prost(message, optional, tag = "2")]
    orders: Option<StoredSpan>,
    #[prost(message, repeated, tag = "3")]
    values: Vec<StoredValue>,
    #[prost(uint64, tag = "4")]
    event_count: u64,
    #[prost(message, optional, tag = "5")]
    events: Option<StoredSpan>,
    #[prost(uint64, tag = "6")]
    product_view_count: u64,
    #[prost(uint64, tag = "7")]
    cart_add_count: u64,
    #[prost(btree_map = "string, string", tag = "8")]
    traits: BTreeMap<String, String>,
    #[prost(btree_map = "string, bool", tag = "9")]
    consents: BTreeMap<String, bool>,
    #[prost(message, repeated, tag = "10")]
    memberships: Vec<StoredMembership>,
    #[prost(int64, tag = "11")]
    rules_version: i64,
    #[prost(int64, tag = "12")]
    cuts_version: i64,
    #[prost(int64, optional, tag = "13")]
    due_us: Option<i64>,
    #[prost(bool, tag = "14")]
    restating: bool,
}

#[derive(Clone, Copy, PartialEq, Message)]
struct StoredSpan {
    #[prost(int64, tag = "1")]
    first_us: i64,
    #[prost(int64, tag = "2")]
    last_us: i64,
}

#[derive(Clone, PartialEq, Message)]
struct StoredValue {
    #[prost(string, tag = "1")]
    currency: String,
    #[prost(uint64, tag = "2")]
    order_count: u64,
    #[prost(sint64, tag = "3")]
    net_micros: i64,
    #[prost(sint64, tag = "4")]
    refunded_micros: i64,
}

#[derive(Clone, PartialEq, Message)]
struct StoredMembership {
    #[prost(string, tag = "1")]
    segment_id: String,
    #[prost(int64, tag = "2")]
    created_version: i64,
    #[prost(int64, tag = "3")]
    enter_us: i64,
}

#[derive(Clone, PartialEq, Message)]
struct StoredOrder {
    #[prost(message, optional, tag = "1")]
    sale: Option<StoredSale>,
    #[prost(message, repeated, tag = "2")]
    refunds: Vec<StoredRefund>,
}

#[derive(Clone, PartialEq, Message)]
struct StoredSale {
    #[prost(int64, optional, tag = "1")]
    completed_us: Option<i64>,
    #[prost(int64, optional, tag = "2")]
    updated_us: Option<i64>,
    #[prost(message, optional, tag = "3")]
    value: Option<StoredTelling>,
    #[prost(message, optional, tag = "4")]
    country: Option<StoredTelling>,
}

#[derive(Clone, PartialEq, Message)]
struct StoredRefund {
    #[prost(string, tag = "1")]
    refund_id: String,
    #[prost(message, optional, tag = "2")]
    refunded: Option<StoredTelling>,
    #[prost(message, optional, tag = "3")]
    cancelled: Option<StoredTelling>,
}

/// What one event told: an amount, a country, or both.
#[derive(Clone, PartialEq, Message)]
struct StoredTelling {
    #[prost(sfixed64, tag = "1")]
    time_us: i64,
    #[prost(fixed64, tag = "2")]
    event_id_high: u64,
    #[prost(fixed64, tag = "3")]
    event_id_low: u64,
    #[prost(sint64, optional, tag = "4")]
    micros: Option<i64>,
    #[prost(string, tag = "5")]
    currency: String,
    #[prost(string, tag = "6")]
    country: String,
}

#[derive(Clone, PartialEq, Message)]
struct StoredCuts {
    #[prost(uint64, tag = "1")]
    buyer_count: u64,
    #[prost(string, tag = "2")]
    currency: String,
    #[prost(sint64, repeated, tag = "3")]
    times: Vec<i64>,
    #[prost(double, repeated, tag = "4")]
    numbers: Vec<f64>,
}

/// Packs a person's state without the orders, which have rows of their own.
pub(super) fn pack_state(state: &State) -> Vec<u8> {
    let span = |span: Option<Span>| span.map(|span| StoredSpan { first_us: span.first_us, last_us: span.last_us });
    let values = state.stats.values.iter().map(|(currency, value)| StoredValue {
        currency: currency.clone(),
        order_count: value.order_count,
        net_micros: value.net_micros,
        refunded_micros: value.refunded_micros,
    });
    let memberships = state.memberships.iter().map(|membership| StoredMembership {
        segment_id: membership.segment_id.clone(),
        created_version: membership.created_version,
        enter_us: membership.enter_us,
    });
    let stored = StoredState {
        order_count: state.stats.order_count,
        orders: span(state.stats.orders_us),
        values: values.collect(),
        event_count: state.stats.event_count,
        events: span(state.stats.events_us),
        product_view_count: state.stats.product_view_count,
        cart_add_count: state.stats.cart_add_count,
        traits: state.traits.clone(),
        consents: state.consents.clone(),
        memberships: memberships.collect(),
        rules_version: state.rules_version,
        cuts_version: state.cuts_version,
        due_us: state.due_us,
        restating: state.restating,
    };
    stored.encode_to_vec()
}

/// Unpacks a person's state; its orders count as not loaded.
pub(super) fn unpack_state(bytes: &[u8]) -> Result<State, Error> {
    let stored = StoredState::decode(bytes).map_err(|_| damaged("state of a person"))?;
    let span = |span: Option<StoredSpan>| span.map(|span| Span { first_us: span.first_us, last_us: span.last_us });
    let values = stored.values.into_iter().map(|value| {
        let StoredValue { currency, order_count, net_micros, refunded_micros } = value;
        (currency, Value { order_count, net_micros, refunded_micros })
    });
    let memberships = stored.memberships.into_iter().map(|membership| Membership {
        segment_id: membership.segment_id,
        created_version: membership.created_version,
        enter_us: membership.enter_us,
    });
    Ok(State {
        stats: Stats {
            order_count: stored.order_count,
            orders_us: span(stored.orders),
            values: values.collect(),
            event_count: stored.event_count,
            events_us: span(stored.events),
            product_view_count: stored.product_view_count,
            cart_add_count: stored.cart_add_count,
        },
        // Nobody without a record of an order has rows to load.
        orders: None,
        traits: stored.traits,
        consents: stored.consents,
        memberships: memberships.collect(),
        rules_version: stored.rules_version,
        cuts_version: stored.cuts_version,
        due_us: stored.due_us,
        restating: stored.restating,
    })
}

/// Packs what was told of an order.
pub(super) fn pack_order(order: &Order) -> Vec<u8> {
    let amount = |latest: &Latest<Amount>| telling(latest, Some(&latest.value), "");
    let country = |latest: &Latest<String>| telling(latest, None, &latest.value);
    let returned = |latest: &Latest<Returned>| telling(latest, latest.value.amount.as_ref(), &latest.value.country);
    let sale = order.sale.as_ref().map(|sale| StoredSale {
        completed_us: sale.completed_us,
        updated_us: sale.updated_us,
        value: sale.value.as_ref().map(amount),
        country: sale.country.as_ref().map(country),
    });
    let refunds = order.refunds.iter().map(|(refund_id, refund)| StoredRefund {
        refund_id: refund_id.clone(),
        refunded: refund.refunded.as_ref().map(returned),
        cancelled: refund.cancelled.as_ref().map(returned),
    });
    StoredOrder { sale, refunds: refunds.collect() }.encode_to_vec()
}

/// Unpacks what was told of an order.
pub(super) fn unpack_order(bytes: &[u8]) -> Result<Order, Error> {
    let stored = StoredOrder::decode(bytes).map_err(|_| damaged("order"))?;
    let amount = |telling: StoredTelling| latest(telling, |telling| told_amount(telling).unwrap_or_default());
    let country = |telling: StoredTelling| latest(telling, |telling| telling.country.clone());
    let returned = |telling: StoredTelling| {
        latest(telling, |telling| Returned { amount: told_amount(telling), country: telling.country.clone() })
    };
    let sale = stored.sale.map(|sale| Sale {
        completed_us: sale.completed_us,
        updated_us: sale.updated_us,
        value: sale.value.map(amount),
        country: sale.country.map(country),
    });
    let refunds = stored.refunds.into_iter().map(|refund| {
        let told = Refund { refunded: refund.refunded.map(returned), cancelled: refund.cancelled.map(returned) };
        (refund.refund_id, told)
    });
    Ok(Order { sale, refunds: refunds.collect() })
}

/// Packs cuts.
pub(super) fn pack_cuts(cuts: &Cuts) -> Vec<u8> {
    let (times, numbers) = cuts.to_numbers();
    StoredCuts { buyer_count: cuts.buyer_count, currency: cuts.currency.clone(), times, numbers }.encode_to_vec()
}

/// Unpacks cuts.
pub(super) fn unpack_cuts(bytes: &[u8]) -> Result<Cuts, Error> {
    let stored = StoredCuts::decode(bytes).map_err(|_| damaged("cuts"))?;
    Cuts::from_numbers(stored.buyer_count, stored.currency, &stored.times, &stored.numbers)
        .ok_or_else(|| damaged("cuts"))
}

fn telling<T>(latest: &Latest<T>, amount: Option<&Amount>, country: &str) -> StoredTelling {
    StoredTelling {
        time_us: latest.time_us,
        event_id_high: (latest.event_id >> 64) as u64,
        event_id_low: latest.event_id as u64,
        micros: amount.map(|amount| amount.micros),
        currency: amount.map(|amount| amount.currency.clone()).unwrap_or_default(),
        country: country.to_owned(),
    }
}

fn latest<T>(telling: StoredTelling, value: impl Fn(&StoredTelling) -> T) -> Latest<T> {
    let event_id = u128::from(telling.event_id_high) << 64 | u128::from(telling.event_id_low);
    Latest { time_us: telling.time_us, event_id, value: value(&telling) }
}

fn told_amount(telling: &StoredTelling) -> Option<Amount> {
    telling.micros.map(|micros| Amount { micros, currency: telling.currency.clone() })
}

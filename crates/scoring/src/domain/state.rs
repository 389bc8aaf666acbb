//! What is kept of one person, and how an event changes it.

use std::collections::{BTreeMap, BTreeSet};

use super::event::{Event, OrderTold, What};
use super::order::{Contribution, Order};

/// Which inputs of rules something touches or reads; a set of the constants below.
pub(crate) type Inputs = u16;

/// Order count, times and values.
pub(crate) const ORDERS: Inputs = 1;
/// Event count and times.
pub(crate) const EVENTS: Inputs = 1 << 1;
/// Product views.
pub(crate) const VIEWS: Inputs = 1 << 2;
/// Products put into the basket.
pub(crate) const CARTS: Inputs = 1 << 3;
/// The golden record.
pub(crate) const TRAITS: Inputs = 1 << 4;
/// Consents.
pub(crate) const CONSENTS: Inputs = 1 << 5;
/// RFM scores: they change with the person's orders and with the tenant's cuts.
pub(crate) const RFM: Inputs = 1 << 6;
/// The tenant's main currency.
pub(crate) const CURRENCY: Inputs = 1 << 7;

/// What a person did so far. Counts of events are plain: the log delivers each event once.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Stats {
    /// Orders that count.
    pub(crate) order_count: u64,
    /// First and last order that counts, in microseconds since the Unix epoch.
    pub(crate) orders_us: Option<Span>,
    /// Money, by currency.
    pub(crate) values: BTreeMap<String, Value>,
    /// Events of any kind.
    pub(crate) event_count: u64,
    /// First and last event, in microseconds since the Unix epoch.
    pub(crate) events_us: Option<Span>,
    /// Product pages viewed.
    pub(crate) product_view_count: u64,
    /// Products put into the basket.
    pub(crate) cart_add_count: u64,
}

/// A first and a last instant, in microseconds since the Unix epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    /// The first.
    pub(crate) first_us: i64,
    /// The last.
    pub(crate) last_us: i64,
}

/// Money of one currency. Sums wrap, so that adding and taking away always cancel out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Value {
    /// Orders told in it that count.
    pub(crate) order_count: u64,
    /// Value less refunds, in micros.
    pub(crate) net_micros: i64,
    /// Value refunded or cancelled, in micros.
    pub(crate) refunded_micros: i64,
}

/// Being in a segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Membership {
    /// Which segment.
    pub(crate) segment_id: String,
    /// Version at which the segment was created: tells it from an earlier one with the same id.
    pub(crate) created_version: i64,
    /// Since when, in microseconds since the Unix epoch.
    pub(crate) enter_us: i64,
}

/// What is kept of one person.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct State {
    /// What the person did.
    pub(crate) stats: Stats,
    /// What was told of each order, by order id; none while it is not loaded.
    pub(crate) orders: Option<BTreeMap<String, Order>>,
    /// The golden record, by trait.
    pub(crate) traits: BTreeMap<String, String>,
    /// Answers, by purpose or `purpose:channel`.
    pub(crate) consents: BTreeMap<String, bool>,
    /// Segments the person is in, by segment id.
    pub(crate) memberships: Vec<Membership>,
    /// Version of the rules by which the person was last judged.
    pub(crate) rules_version: i64,
    /// Version of the RFM cuts by which the person was last judged.
    pub(crate) cuts_version: i64,
    /// When time alone may next change a membership, in microseconds since the Unix epoch.
    pub(crate) due_us: Option<i64>,
    /// True from a merge or split on until the person does something new.
    pub(crate) restating: bool,
}

impl State {
    /// Returns the state of somebody of whom nothing is known.
    pub(crate) fn new() -> Self {
        Self { orders: Some(BTreeMap::new()), ..Self::default() }
    }

    /// Takes in one event; returns which inputs changed. Adds the id of the order whose record changed to `touched`.
    ///
    /// The orders must be loaded when the event tells of one.
    pub(crate) fn fold(&mut self, event: &Event, touched: &mut BTreeSet<String>) -> Inputs {
        self.stats.event_count += 1;
        widen(&mut self.stats.events_us, event.time_us);
        match &event.what {
            What::Order(told) if !told.order_id.is_empty() => {
                EVENTS | self.fold_order(event.time_us, event.id, told, touched)
            }
            What::Order(_) | What::Other => EVENTS,
            What::ProductViewed => {
                self.stats.product_view_count += 1;
                EVENTS | VIEWS
            }
            What::CartAdded(products) => {
                self.stats.cart_add_count += products;
                EVENTS | CARTS
            }
        }
    }

    fn fold_order(&mut self, time_us: i64, id: u128, told: &OrderTold, touched: &mut BTreeSet<String>) -> Inputs {
        let orders = self.orders.get_or_insert_default();
        let order = orders.entry(told.subject().to_owned()).or_default();
        let before = order.contribution();
        if !order.tell(time_us, id, told) {
            return 0;
        }
        touched.insert(told.subject().to_owned());
        let after = order.contribution();
        if before == after {
            return 0;
        }
        self.stats.replace(&before, &after, orders);
        ORDERS | RFM
    }

    /// Returns when the order that an event tells of was placed, as far as is known and if it counts.
    pub(crate) fn placed_us(&self, event: &Event) -> Option<i64> {
        let What::Order(told) = &event.what else { return None };
        self.orders.as_ref()?.get(told.subject())?.contribution().counted_us
    }

    /// Returns the membership in `segment_id`, if there is one.
    pub(crate) fn membership(&self, segment_id: &str) -> Option<usize> {
        self.memberships.iter().position(|membership| membership.segment_id == segment_id)
    }
}

impl Stats {
    /// Takes the old contribution of one order away and adds the new one. `orders` already holds the new one.
    fn replace(&mut self, before: &Contribution, after: &Contribution, orders: &BTreeMap<String, Order>) {
        self.subtract_values(before);
        for sum in &after.sums {
            let value = self.values.entry(sum.currency.clone()).or_default();
            value.order_count += u64::from(sum.counts);
            value.net_micros = value.net_micros.wrapping_add(sum.net_micros);
            value.refunded_micros = value.refunded_micros.wrapping_add(sum.refunded_micros);
        }
        // What was told counts even when it comes to nothing; what is no longer told does not.
        self.values.retain(|_, value| *value != Value::default());

        self.order_count += u64::from(after.counted_us.is_some());
        self.order_count -= u64::from(before.counted_us.is_some());
        let was_extreme = before
            .counted_us
            .is_some_and(|old_us| self.orders_us.is_some_and(|span| old_us <= span.first_us || old_us >= span.last_us));
        if was_extreme && before.counted_us != after.counted_us {
            self.orders_us = None;
            for order_us in orders.values().filter_map(|order| order.contribution().counted_us) {
                widen(&mut self.orders_us, order_us);
            }
        } else if let Some(order_us) = after.counted_us {
            widen(&mut self.orders_us, order_us);
        }
    }

    /// Takes the last of the orders that count away; `last_us` is when the one before it was placed.
    pub(crate) fn take_last(&mut self, order: &Contribution, last_us: Option<i64>) {
        self.subtract_values(order);
        self.values.retain(|_, value| *value != Value::default());
        self.order_count -= u64::from(order.counted_us.is_some());
        self.orders_us = self.orders_us.zip(last_us).map(|(span, last_us)| Span { last_us, ..span });
    }

    fn subtract_values(&mut self, order: &Contribution) {
        for sum in &order.sums {
            let value = self.values.entry(sum.currency.clone()).or_default();
            value.order_count -= u64::from(sum.counts);
            value.net_micros = value.net_micros.wrapping_sub(sum.net_micros);
            value.refunded_micros = value.refunded_micros.wrapping_sub(sum.refunded_micros);
        }
    }

    /// Returns the person's most frequent currency; of equally frequent ones the first by code. Empty when unknown.
    pub(crate) fn main_currency(&self) -> &str {
        let mut best: Option<(&str, u64)> = None;
        for (currency, value) in self.values.iter().filter(|(currency, _)| !currency.is_empty()) {
            if best.is_none_or(|(_, order_count)| value.order_count > order_count) {
                best = Some((currency, value.order_count));
            }
        }
        best.map_or("", |(currency, _)| currency)
    }

    /// Returns the value less refunds in `currency`, in micros.
    pub(crate) fn net_micros(&self, currency: &str) -> i64 {
        self.values.get(currency).map_or(0, |value| value.net_micros)
    }

    /// Returns the value refunded in `currency`, in micros.
    pub(crate) fn refunded_micros(&self, currency: &str) -> i64 {
        self.values.get(currency).map_or(0, |value| value.refunded_micros)
    }
}

fn widen(span: &mut Option<Span>, time_us: i64) {
    *span = Some(match *span {
        None => Span { first_us: time_us, last_us: time_us },
        Some(span) => Span { first_us: span.first_us.min(time_us), last_us: span.last_us.max(time_us) },
    });
}

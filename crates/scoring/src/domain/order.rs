//! One order with all that was told of it.
//!
//! An [`Order`] is a join-semilattice: telling it the same thing twice, or in another order, changes nothing, and two
//! halves can be merged. What it is worth is computed from what was told, so a refund may come before its order.

use std::collections::BTreeMap;

use super::event::{Amount, OrderAction, OrderTold};

/// A value with the event that told it; the latest event wins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Latest<T> {
    /// Time of the event, in microseconds since the Unix epoch.
    pub(crate) time_us: i64,
    /// Id of the event; the greater wins at the same time.
    pub(crate) event_id: u128,
    /// What it told.
    pub(crate) value: T,
}

impl<T> Latest<T> {
    /// Keeps the later of `slot` and `told`; returns whether `slot` changed.
    fn keep(slot: &mut Option<Self>, told: Self) -> bool {
        let is_later =
            slot.as_ref().is_none_or(|known| (known.time_us, known.event_id) < (told.time_us, told.event_id));
        if is_later {
            *slot = Some(told);
        }
        is_later
    }
}

/// All that was told of one order and of its refunds.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Order {
    /// The sale; none when only refunds were told.
    pub(crate) sale: Option<Sale>,
    /// Refunds and cancellations, by their own id.
    pub(crate) refunds: BTreeMap<String, Refund>,
}

/// What was told of a sale. Each field is decided on its own, so that it never matters which telling came first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Sale {
    /// Earliest time at which it was told as placed.
    pub(crate) completed_us: Option<i64>,
    /// Earliest time at which it was told as changed; stands in when nobody told that it was placed.
    pub(crate) updated_us: Option<i64>,
    /// The value, by the latest telling that had one.
    pub(crate) value: Option<Latest<Amount>>,
    /// The country, by the latest telling that had one.
    pub(crate) country: Option<Latest<String>>,
}

/// What was told of one refund or cancellation; of each, the latest telling counts.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Refund {
    /// Told as a refund: the amount, or none for the whole order.
    pub(crate) refunded: Option<Latest<Returned>>,
    /// Told as a cancellation.
    pub(crate) cancelled: Option<Latest<Returned>>,
}

/// What went back.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Returned {
    /// How much, never negative; none when it was not told.
    pub(crate) amount: Option<Amount>,
    /// Country; empty when it was not told.
    pub(crate) country: String,
}

/// What an order adds to the statistics of its customer and its country.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Contribution {
    /// When the order was placed, if it counts: not when it was cancelled whole, not when only refunds are known.
    pub(crate) counted_us: Option<i64>,
    /// Sums, one entry for each currency and country.
    pub(crate) sums: Vec<Sum>,
}

/// Money of one currency in one country.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Sum {
    /// ISO 4217 code; empty when unknown.
    pub(crate) currency: String,
    /// Country; empty when unknown.
    pub(crate) country: String,
    /// Whether the order counts here: true in exactly one sum of an order that counts.
    pub(crate) counts: bool,
    /// Value less refunds, in micros.
    pub(crate) net_micros: i64,
    /// Value refunded or cancelled, in micros.
    pub(crate) refunded_micros: i64,
}

impl Order {
    /// Takes in what one event tells; returns whether anything changed.
    pub(crate) fn tell(&mut self, time_us: i64, event_id: u128, told: &OrderTold) -> bool {
        let latest_returned = || {
            let amount = told.value.clone().map(|value| Amount { micros: value.micros.saturating_abs(), ..value });
            Latest { time_us, event_id, value: Returned { amount, country: told.country.clone() } }
        };
        match told.action {
            OrderAction::Completed | OrderAction::Updated => self.tell_sale(time_us, event_id, told),
            OrderAction::Refunded => {
                Latest::keep(&mut self.refunds.entry(told.order_id.clone()).or_default().refunded, latest_returned())
            }
            OrderAction::Cancelled => {
                Latest::keep(&mut self.refunds.entry(told.order_id.clone()).or_default().cancelled, latest_returned())
            }
        }
    }

    fn tell_sale(&mut self, time_us: i64, event_id: u128, told: &OrderTold) -> bool {
        let mut changed = self.sale.is_none();
        let sale = self.sale.get_or_insert_default();
        let earliest =
            if told.action == OrderAction::Completed { &mut sale.completed_us } else { &mut sale.updated_us };
        if earliest.is_none_or(|known_us| time_us < known_us) {
            *earliest = Some(time_us);
            changed = true;
        }
        if let Some(value) = &told.value {
            changed |= Latest::keep(&mut sale.value, Latest { time_us, event_id, value: value.clone() });
        }
        if !told.country.is_empty() {
            changed |= Latest::keep(&mut sale.country, Latest { time_us, event_id, value: told.country.clone() });
        }
        changed
    }

    /// Takes in all that `other`, told of the same order elsewhere, knows.
    pub(crate) fn merge(&mut self, other: Self) {
        if let Some(sale) = other.sale {
            let mine = self.sale.get_or_insert_default();
            mine.completed_us = earlier(mine.completed_us, sale.completed_us);
            mine.updated_us = earlier(mine.updated_us, sale.updated_us);
            if let Some(value) = sale.value {
                Latest::keep(&mut mine.value, value);
            }
            if let Some(country) = sale.country {
                Latest::keep(&mut mine.country, country);
            }
        }
        for (refund_id, refund) in other.refunds {
            let mine = self.refunds.entry(refund_id).or_default();
            if let Some(refunded) = refund.refunded {
                Latest::keep(&mut mine.refunded, refunded);
            }
            if let Some(cancelled) = refund.cancelled {
                Latest::keep(&mut mine.cancelled, cancelled);
            }
        }
    }

    /// Returns what the order adds to statistics.
    pub(crate) fn contribution(&self) -> Contribution {
        match &self.sale {
            Some(sale) => self.contribution_of_sale(sale),
            None => self.contribution_of_refunds(),
        }
    }

    fn contribution_of_sale(&self, sale: &Sale) -> Contribution {
        let value = sale.value.as_ref().map(|latest| latest.value.clone()).unwrap_or_default();
        let country = match &sale.country {
            Some(country) => country.value.clone(),
            None => self.country_of_refunds(),
        };
        let is_cancelled_whole = self.refunds.values().any(Refund::is_whole);
        let mut sum = Sum { currency: value.currency, country, ..Sum::default() };
        if is_cancelled_whole {
            sum.refunded_micros = value.micros;
            return Contribution { counted_us: None, sums: vec![sum] };
        }

        sum.counts = true;
        sum.net_micros = value.micros;
        let mut sums = vec![sum];
        for refund in self.refunds.values() {
            let Some(amount) = refund.refunded.as_ref().and_then(|latest| latest.value.amount.as_ref()) else {
                continue;
            };
            let (order_currency, country) = (sums[0].currency.clone(), sums[0].country.clone());
            let currency = if amount.currency.is_empty() { order_currency } else { amount.currency.clone() };
            subtract(&mut sums, currency, country, amount.micros);
        }
        Contribution { counted_us: sale.completed_us.or(sale.updated_us), sums }
    }

    /// Refunds whose order is unknown subtract what they tell.
    fn contribution_of_refunds(&self) -> Contribution {
        let mut sums = Vec::new();
        for returned in self.refunds.values().filter_map(Refund::latest) {
            if let Some(amount) = &returned.amount {
                subtract(&mut sums, amount.currency.clone(), returned.country.clone(), amount.micros);
            }
        }
        Contribution { counted_us: None, sums }
    }

    fn country_of_refunds(&self) -> String {
        let countries = self.refunds.values().filter_map(Refund::latest).map(|returned| &returned.country);
        countries.filter(|country| !country.is_empty()).min().cloned().unwrap_or_default()
    }
}

impl Refund {
    /// Whether it takes the whole order back.
    fn is_whole(&self) -> bool {
        let is_refunded_whole = self.refunded.as_ref().is_some_and(|latest| latest.value.amount.is_none());
        self.cancelled.is_some() || is_refunded_whole
    }

    fn latest(&self) -> Option<&Returned> {
        let tellings = [&self.refunded, &self.cancelled];
        let latest = tellings.into_iter().flatten().max_by_key(|latest| (latest.time_us, latest.event_id));
        latest.map(|latest| &latest.value)
    }
}

fn subtract(sums: &mut Vec<Sum>, currency: String, country: String, micros: i64) {
    let place = sums.iter().position(|sum| sum.currency == currency && sum.country == country);
    let place = place.unwrap_or_else(|| {
        sums.push(Sum { currency, country, ..Sum::default() });
        sums.len() - 1
    });
    sums[place].net_micros = sums[place].net_micros.wrapping_sub(micros);
    sums[place].refunded_micros = sums[place].refunded_micros.wrapping_add(micros);
}

fn earlier(one: Option<i64>, other: Option<i64>) -> Option<i64> {
    one.into_iter().chain(other).min()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(action: OrderAction, order_id: &str, refunded: &str, micros: Option<i64>) -> OrderTold {
        OrderTold {
            action,
            order_id: order_id.into(),
            refunded_order_id: refunded.into(),
            value: micros.map(|micros| Amount { micros, currency: "EUR".into() }),
            country: "France".into(),
        }
    }

    fn order(tellings: &[(i64, OrderTold)]) -> Order {
        let mut order = Order::default();
        for (position, (time_us, told)) in tellings.iter().enumerate() {
            order.tell(*time_us, position as u128, told);
        }
        order
    }

    fn net(order: &Order) -> (Option<i64>, i64, i64) {
        let contribution = order.contribution();
        let net_micros = contribution.sums.iter().map(|sum| sum.net_micros).sum();
        let refunded_micros = contribution.sums.iter().map(|sum| sum.refunded_micros).sum();
        (contribution.counted_us, net_micros, refunded_micros)
    }

    #[test]
    fn an_order_told_twice_counts_once_with_the_latest_value() {
        let by_client = told(OrderAction::Completed, "o1", "", Some(100));
        let by_server = told(OrderAction::Completed, "o1", "", Some(120));

        let order = order(&[(20, by_server), (10, by_client)]);

        assert_eq!(net(&order), (Some(10), 120, 0));
    }

    #[test]
    fn an_update_replaces_the_value_and_keeps_the_time() {
        let placed = told(OrderAction::Completed, "o1", "", Some(100));
        let changed = told(OrderAction::Updated, "o1", "", Some(80));
        let noted = told(OrderAction::Updated, "o1", "", None);

        let order = order(&[(10, placed), (20, changed), (30, noted)]);

        assert_eq!(net(&order), (Some(10), 80, 0));
    }

    #[test]
    fn a_partial_refund_nets_and_a_refund_of_the_whole_takes_the_order_back() {
        let placed = || told(OrderAction::Completed, "o1", "", Some(100));
        let partial = order(&[(10, placed()), (20, told(OrderAction::Refunded, "o1", "", Some(30)))]);
        let whole = order(&[(10, placed()), (20, told(OrderAction::Refunded, "o1", "", None))]);
        let cancelled = order(&[(10, placed()), (20, told(OrderAction::Cancelled, "c1", "o1", Some(100)))]);

        assert_eq!(net(&partial), (Some(10), 70, 30));
        assert_eq!(net(&whole), (None, 0, 100));
        assert_eq!(net(&cancelled), (None, 0, 100));
    }

    #[test]
    fn a_refund_with_an_id_of_its_own_and_no_known_order_subtracts() {
        let cancelled = order(&[(20, told(OrderAction::Cancelled, "C489449", "", Some(-30)))]);
        let unknown = order(&[(20, told(OrderAction::Refunded, "r1", "o9", None))]);

        assert_eq!(net(&cancelled), (None, -30, 30));
        assert_eq!(net(&unknown), (None, 0, 0));
    }

    #[test]
    fn refunds_with_ids_of_their_own_add_up_and_repeats_do_not() {
        let placed = told(OrderAction::Completed, "o1", "", Some(100));
        let first = told(OrderAction::Refunded, "r1", "o1", Some(10));
        let second = told(OrderAction::Refunded, "r2", "o1", Some(20));

        let order = order(&[(30, second), (20, first.clone()), (10, placed), (20, first)]);

        assert_eq!(net(&order), (Some(10), 70, 30));
    }
}

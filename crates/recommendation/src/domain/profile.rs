//! What is known of one person.

use super::{
    MINUTE_US,
    order::{Line, Order, OrderKey, Telling},
};

/// Views and cart additions that are kept, newest first by event time, of each kind.
pub(crate) const KEPT_GLANCES: usize = 40;

/// Orders that are kept, newest first by event time.
pub(crate) const KEPT_ORDERS: usize = 300;

/// Views further apart than this are not "together".
pub(crate) const TOGETHER_US: i64 = 30 * MINUTE_US;

/// Most views that one view is paired with, nearest in time first.
pub(crate) const MAX_PAIRED_VIEWS: usize = 8;

/// A product that was looked at, or put into a basket, at a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Glance {
    /// When, by event time.
    pub(crate) time_us: i64,
    /// The product.
    pub(crate) product_id: String,
}

/// The newest glances, newest first; at one instant by product id.
///
/// A set: the same glance twice is one. Which are kept depends only on which there were.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Glances(Vec<Glance>);

impl Glances {
    pub(crate) fn from_newest_first(glances: Vec<Glance>) -> Self {
        Self(glances)
    }

    pub(crate) fn newest_first(&self) -> &[Glance] {
        &self.0
    }

    /// Adds a glance; false when it was there already or is too old to be kept.
    pub(crate) fn add(&mut self, time_us: i64, product_id: &str) -> bool {
        let found = self
            .0
            .binary_search_by(|kept| time_us.cmp(&kept.time_us).then_with(|| kept.product_id.as_str().cmp(product_id)));
        let Err(position) = found else { return false };
        if position >= KEPT_GLANCES {
            return false;
        }
        self.0.insert(position, Glance { time_us, product_id: product_id.to_owned() });
        self.0.truncate(KEPT_GLANCES);
        true
    }

    fn contains(&self, time_us: i64, product_id: &str) -> bool {
        self.0.iter().any(|kept| kept.time_us == time_us && kept.product_id == product_id)
    }

    /// Returns the products of the glances at other products within half an hour, nearest in time first.
    fn near(&self, time_us: i64, product_id: &str) -> Vec<&str> {
        let mut near: Vec<(u64, &str)> = self
            .0
            .iter()
            .map(|kept| (kept.time_us.abs_diff(time_us), kept.product_id.as_str()))
            .filter(|&(apart_us, other)| apart_us <= TOGETHER_US as u64 && other != product_id)
            .collect();
        near.sort_unstable();
        near.into_iter().take(MAX_PAIRED_VIEWS).map(|(_, other)| other).collect()
    }
}

/// What is known of one person. Built from events alone, so deleting it and folding the events again restores it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Profile {
    /// Products looked at.
    pub(crate) views: Glances,
    /// Products put into a basket.
    pub(crate) carts: Glances,
    /// Orders, ascending by key.
    pub(crate) orders: Vec<(OrderKey, Order)>,
    /// The person forbids that what they did decides what they are shown.
    pub(crate) denies_personalisation: bool,
}

impl Profile {
    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Notes a view; returns the products that were viewed together with it.
    ///
    /// Each pair of views is found once, when the later-arriving of the two comes in. So pairs do not depend on
    /// arrival as long as a person has at most 9 views within half an hour of each other and no view comes in later
    /// than 40 newer ones; beyond that, the pairs left out are those furthest apart, and depend on arrival.
    pub(crate) fn view(&mut self, time_us: i64, product_id: &str) -> Vec<String> {
        if self.views.contains(time_us, product_id) {
            return Vec::new();
        }
        let together = self.views.near(time_us, product_id).into_iter().map(str::to_owned).collect();
        self.views.add(time_us, product_id);
        together
    }

    /// Takes in what an event says of one of the person's orders.
    pub(crate) fn tell(&mut self, key: OrderKey, telling: Telling) {
        let position = match self.orders.binary_search_by_key(&key, |&(kept, _)| kept) {
            Ok(position) => position,
            Err(position) => {
                self.orders.insert(position, (key, Order::default()));
                position
            }
        };
        self.orders[position].1.tell(telling);
        if self.orders.len() > KEPT_ORDERS {
            self.forget_oldest_order();
        }
    }

    /// Returns each product that the person has, with how many orders brought it and the time of the last; ascending by
    /// product.
    ///
    /// A return that names no order takes from what was bought before it; with the last piece the product counts as never
    /// bought.
    pub(crate) fn bought(&self) -> Vec<Bought<'_>> {
        let mut moves: Vec<(&str, i64, i64)> = Vec::new();
        for (_, order) in &self.orders {
            if let Some((time_us, kept)) = order.counted() {
                moves.extend(kept.into_iter().map(|(product_id, pieces)| (product_id, time_us, i64::from(pieces))));
            }
            for returned in order.loose_returns() {
                let back = |line: &'_ Line| -i64::from(line.quantity);
                let lines = returned.lines.iter();
                moves.extend(lines.map(|line| (line.product_id.as_str(), returned.time_us, back(line))));
            }
        }
        // At one instant what was bought comes before what was sent back.
        moves.sort_unstable_by_key(|&(product_id, time_us, pieces)| (product_id, time_us, -pieces));
        moves.chunk_by(|left, right| left.0 == right.0).filter_map(still_there).collect()
    }

    fn forget_oldest_order(&mut self) {
        let age = |(key, order): &(OrderKey, Order)| (order.first_us.unwrap_or(i64::MIN), *key);
        let oldest = (0..self.orders.len()).min_by_key(|&position| age(&self.orders[position]));
        if let Some(oldest) = oldest {
            self.orders.remove(oldest);
        }
    }
}

/// Follows one product through purchases and returns, oldest first; none when nothing of it is left.
fn still_there<'p>(moves: &[(&'p str, i64, i64)]) -> Option<Bought<'p>> {
    let mut pieces = 0i64;
    let mut bought: Option<Bought<'p>> = None;
    for &(product_id, time_us, moved) in moves {
        pieces = pieces.saturating_add(moved).max(0);
        if pieces == 0 {
            bought = None;
        } else if moved > 0 {
            let orders = bought.as_ref().map_or(0, |bought| bought.orders) + 1;
            bought = Some(Bought { product_id, orders, last_us: time_us });
        }
    }
    bought
}

/// A product that a person bought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Bought<'p> {
    /// The product.
    pub(crate) product_id: &'p str,
    /// Orders that contain it.
    pub(crate) orders: u32,
    /// When the last one was placed.
    pub(crate) last_us: i64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::order::testing;

    fn placed(time_us: i64, products: &[&str]) -> Telling {
        testing::placed(time_us, 0, products)
    }

    #[test]
    fn what_was_sent_back_is_not_bought_whatever_order_it_came_from() {
        let mut profile = Profile::default();
        profile.tell([1; 16], placed(10, &["a", "b", "c"]));
        profile.tell([2; 16], placed(20, &["c"]));
        profile.tell([1; 16], testing::returned(30, 1, &["a"]));
        profile.tell([9; 16], testing::returned(30, 2, &["b", "c"]));
        profile.tell([8; 16], testing::returned(5, 3, &["c"]));

        let bought = profile.bought();

        assert_eq!(bought, [Bought { product_id: "c", orders: 2, last_us: 20 }]);
        profile.tell([3; 16], placed(40, &["b"]));
        assert_eq!(profile.bought()[0], Bought { product_id: "b", orders: 1, last_us: 40 });
    }

    #[test]
    fn views_within_half_an_hour_are_together() {
        let mut profile = Profile::default();

        assert!(profile.view(0, "a").is_empty());
        assert_eq!(profile.view(20 * MINUTE_US, "b"), ["a"]);
        assert_eq!(profile.view(40 * MINUTE_US, "c"), ["b"]);
        assert_eq!(profile.view(10 * MINUTE_US, "late"), ["a", "b", "c"]);
        assert!(profile.view(40 * MINUTE_US, "c").is_empty(), "the same view again");
    }

    #[test]
    fn an_order_told_twice_counts_once() {
        let mut profile = Profile::default();

        profile.tell([1; 16], placed(10, &["a", "b"]));
        profile.tell([1; 16], placed(10, &["a", "b"]));
        profile.tell([2; 16], placed(30, &["b"]));

        let bought = profile.bought();
        assert_eq!(bought.len(), 2);
        assert_eq!(bought[1], Bought { product_id: "b", orders: 2, last_us: 30 });
    }

    #[test]
    fn the_newest_glances_and_orders_are_kept() {
        let mut profile = Profile::default();

        for number in (0..400u16).rev() {
            profile.carts.add(i64::from(number), "a");
            let mut key = [0; 16];
            key[..2].copy_from_slice(&number.to_be_bytes());
            profile.tell(key, placed(i64::from(number), &["a"]));
        }

        assert_eq!(profile.carts.newest_first().len(), KEPT_GLANCES);
        assert_eq!(profile.carts.newest_first()[0].time_us, 399);
        assert_eq!(profile.orders.len(), KEPT_ORDERS);
        assert_eq!(profile.orders[0].1.first_us, Some(100));
    }
}

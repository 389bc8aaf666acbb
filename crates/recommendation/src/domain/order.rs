//! An order, however often and in whatever sequence it is told.

/// Digest of an order's id: names the order without keeping what the shop called it.
pub(crate) type OrderKey = [u8; 16];

/// Digest of an event's id, or the id itself where it is a UUID. Parts events of the same instant.
pub(crate) type EventKey = [u8; 16];

/// What one event says of an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Telling {
    /// It was placed or changed; these are its products, distinct and ascending.
    Placed {
        /// When, by event time.
        time_us: i64,
        /// Which event says so.
        event: EventKey,
        /// Products in it; empty when the event does not list them.
        products: Vec<String>,
    },
    /// It was called off as a whole.
    Cancelled,
}

/// What is known of an order: a function of the set of its tellings, whatever their sequence.
///
/// It happened when it was first told of; it holds the products that the newest telling lists; cancelled, it never
/// happened. Goods sent back (a refund) leave it as it is: they were wanted together all the same.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Order {
    /// Earliest event time at which it was placed; `None` when only its cancellation is known.
    pub(crate) first_us: Option<i64>,
    /// Which telling gave the products.
    pub(crate) told: Option<(i64, EventKey)>,
    /// Its products, distinct and ascending.
    pub(crate) products: Vec<String>,
    /// Called off.
    pub(crate) cancelled: bool,
    /// The buyer was erased: the counts stay, the products are forgotten, and nothing changes any more.
    pub(crate) sealed: bool,
}

impl Order {
    /// Takes in what an event says. Hearing it again changes nothing.
    pub(crate) fn tell(&mut self, telling: Telling) {
        if self.sealed {
            return;
        }
        match telling {
            Telling::Cancelled => self.cancelled = true,
            Telling::Placed { time_us, event, products } => {
                self.first_us = Some(self.first_us.map_or(time_us, |first_us| first_us.min(time_us)));
                let is_newest = self.told.is_none_or(|told| told < (time_us, event));
                if is_newest && !products.is_empty() {
                    self.told = Some((time_us, event));
                    self.products = products;
                }
            }
        }
    }

    /// Returns when it happened and what it holds, if it counts.
    pub(crate) fn counted(&self) -> Option<(i64, &[String])> {
        if self.cancelled || self.sealed || self.products.is_empty() {
            return None;
        }
        self.first_us.map(|first_us| (first_us, self.products.as_slice()))
    }

    /// Forgets what was bought; what was counted stays counted, once.
    pub(crate) fn seal(&mut self) {
        *self = Self { sealed: true, ..Self::default() };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn placed(time_us: i64, event: u8, products: &[&str]) -> Telling {
        let products = products.iter().map(|product| product.to_string()).collect();
        Telling::Placed { time_us, event: [event; 16], products }
    }

    fn told(tellings: &[Telling]) -> Order {
        let mut order = Order::default();
        for telling in tellings {
            order.tell(telling.clone());
        }
        order
    }

    #[test]
    fn an_order_is_the_same_in_whatever_sequence_it_is_told() {
        let tellings = [placed(10, 1, &["a", "b"]), placed(20, 2, &["a", "c"]), placed(30, 3, &[])];
        let forward = told(&tellings);
        let backward = told(&[tellings[2].clone(), tellings[1].clone(), tellings[0].clone()]);

        assert_eq!(forward, backward);
        assert_eq!(forward.counted(), Some((10, ["a".to_string(), "c".to_string()].as_slice())));
    }

    #[test]
    fn a_cancelled_order_never_counts_even_when_told_later() {
        assert_eq!(told(&[Telling::Cancelled, placed(10, 1, &["a"])]).counted(), None);
        assert_eq!(told(&[placed(10, 1, &["a"]), Telling::Cancelled]).counted(), None);
    }

    #[test]
    fn a_sealed_order_hears_nothing_more() {
        let mut order = told(&[placed(10, 1, &["a"])]);

        order.seal();
        order.tell(placed(20, 2, &["b"]));

        assert_eq!(order, Order { sealed: true, ..Order::default() });
    }
}

//! An order, however often and in whatever sequence it is told.

/// Digest of an order's id: names the order without keeping what the shop called it.
pub(crate) type OrderKey = [u8; 16];

/// Digest of an event's id, or the id itself where it is a UUID. Parts events of the same instant.
pub(crate) type EventKey = [u8; 16];

/// Returns of one order that are kept: those with the lowest keys, so that which they are depends on no sequence.
const KEPT_RETURNS: usize = 50;

/// Pieces of a product.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Line {
    /// The product.
    pub(crate) product_id: String,
    /// Pieces, at least one.
    pub(crate) quantity: u32,
}

/// What one event says of an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Telling {
    /// It was placed or changed.
    Placed {
        /// When, by event time.
        time_us: i64,
        /// Which event says so.
        event: EventKey,
        /// Products in it, distinct and ascending; empty when the event does not list them.
        lines: Vec<Line>,
    },
    /// Pieces were sent back.
    Returned(Return),
    /// It was called off, or sent back, as a whole.
    Cancelled,
}

/// Pieces that were sent back together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Return {
    /// Names the return: told twice, it is one.
    pub(crate) key: EventKey,
    /// When, by event time.
    pub(crate) time_us: i64,
    /// What, distinct and ascending.
    pub(crate) lines: Vec<Line>,
}

/// What is known of an order: a function of the set of its tellings, whatever their sequence.
///
/// It happened when it was first told of; it holds the products that the newest telling lists, less the pieces that were
/// sent back; cancelled, it never happened.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Order {
    /// Earliest event time at which it was placed; `None` when only its cancellation or returns are known.
    pub(crate) first_us: Option<i64>,
    /// Which telling gave the lines.
    pub(crate) told: Option<(i64, EventKey)>,
    /// Its products, distinct and ascending.
    pub(crate) lines: Vec<Line>,
    /// What was sent back, ascending by key.
    pub(crate) returns: Vec<Return>,
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
            Telling::Returned(returned) => self.take_back(returned),
            Telling::Placed { time_us, event, lines } => {
                self.first_us = Some(self.first_us.map_or(time_us, |first_us| first_us.min(time_us)));
                let is_newest = self.told.is_none_or(|told| told < (time_us, event));
                if is_newest && !lines.is_empty() {
                    self.told = Some((time_us, event));
                    self.lines = lines;
                }
            }
        }
    }

    /// Returns when it happened and what was kept of it, ascending, if it counts.
    pub(crate) fn counted(&self) -> Option<(i64, Vec<(&str, u32)>)> {
        if self.cancelled || self.sealed {
            return None;
        }
        let kept = |line: &Line| line.quantity.saturating_sub(self.returned(&line.product_id));
        let lines = self.lines.iter().map(|line| (line.product_id.as_str(), kept(line)));
        let lines: Vec<(&str, u32)> = lines.filter(|&(_, quantity)| quantity > 0).collect();
        self.first_us.filter(|_| !lines.is_empty()).map(|first_us| (first_us, lines))
    }

    /// Returns what was sent back from nobody knows which order: the return names no order, or one that was never told.
    pub(crate) fn loose_returns(&self) -> &[Return] {
        if self.first_us.is_none() && !self.cancelled { &self.returns } else { &[] }
    }

    /// Forgets what was bought; what was counted stays counted, once.
    pub(crate) fn seal(&mut self) {
        *self = Self { sealed: true, ..Self::default() };
    }

    fn take_back(&mut self, returned: Return) {
        match self.returns.binary_search_by_key(&returned.key, |known| known.key) {
            Ok(position) => {
                let known = &mut self.returns[position];
                // The same return told differently: the later telling holds, and of two at one instant the larger.
                if (known.time_us, &known.lines) < (returned.time_us, &returned.lines) {
                    *known = returned;
                }
            }
            Err(position) => self.returns.insert(position, returned),
        }
        self.returns.truncate(KEPT_RETURNS);
    }

    fn returned(&self, product_id: &str) -> u32 {
        self.returns.iter().fold(0, |pieces, returned| {
            let found = returned.lines.binary_search_by(|line| line.product_id.as_str().cmp(product_id));
            pieces.saturating_add(found.map_or(0, |position| returned.lines[position].quantity))
        })
    }
}

#[cfg(test)]
pub(crate) mod testing {
    use super::*;

    /// Returns one piece of each product.
    pub(crate) fn lines(products: &[&str]) -> Vec<Line> {
        products.iter().map(|product| Line { product_id: product.to_string(), quantity: 1 }).collect()
    }

    /// Returns a telling of an order of one piece of each product.
    pub(crate) fn placed(time_us: i64, event: u8, products: &[&str]) -> Telling {
        Telling::Placed { time_us, event: [event; 16], lines: lines(products) }
    }

    /// Returns a telling of a return of one piece of each product.
    pub(crate) fn returned(time_us: i64, key: u8, products: &[&str]) -> Telling {
        Telling::Returned(Return { key: [key; 16], time_us, lines: lines(products) })
    }
}

#[cfg(test)]
mod tests {
    use super::{
        testing::{placed, returned},
        *,
    };

    fn told(tellings: &[Telling]) -> Order {
        let mut order = Order::default();
        for telling in tellings {
            order.tell(telling.clone());
        }
        order
    }

    #[test]
    fn an_order_is_the_same_in_whatever_sequence_it_is_told() {
        let tellings = [
            placed(10, 1, &["a", "b", "d"]),
            placed(20, 2, &["a", "c", "d"]),
            placed(30, 3, &[]),
            returned(40, 9, &["d"]),
            returned(50, 8, &["b"]),
        ];
        let forward = told(&tellings);
        let backward: Vec<Telling> = tellings.iter().rev().cloned().collect();

        assert_eq!(forward, told(&backward));
        assert_eq!(forward.counted(), Some((10, vec![("a", 1), ("c", 1)])));
    }

    #[test]
    fn a_product_is_kept_until_its_last_piece_is_sent_back() {
        let three = Line { product_id: "a".into(), quantity: 3 };
        let order = Telling::Placed { time_us: 1, event: [1; 16], lines: vec![three] };

        let one_back = told(&[order.clone(), returned(2, 1, &["a"]), returned(2, 1, &["a"])]);
        let all_back = told(&[returned(2, 1, &["a"]), order, returned(3, 2, &["a"]), returned(4, 3, &["a"])]);

        assert_eq!(one_back.counted(), Some((1, vec![("a", 2)])));
        assert_eq!(all_back.counted(), None);
        assert!(all_back.loose_returns().is_empty());
        assert_eq!(told(&[returned(2, 1, &["a"])]).loose_returns().len(), 1);
    }

    #[test]
    fn the_returns_of_an_order_are_bounded() {
        let mut order = Order::default();
        for key in (0..=255).rev() {
            order.tell(returned(1, key, &["a"]));
        }

        assert_eq!(order.returns.len(), KEPT_RETURNS);
        assert_eq!(order.returns[0].key, [0; 16]);
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
        order.tell(returned(20, 2, &["a"]));

        assert_eq!(order, Order { sealed: true, ..Order::default() });
    }
}

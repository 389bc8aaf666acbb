//! Baskets: when they count as abandoned, and what lay in them.

use std::ops::Range;

use super::contact::{BasketChange, Contact, Product};

/// Returns the changes that end a run: no other change follows before their delay is over. These set off messages.
///
/// A pure function of the changes and their own times, so that it does not matter in which order they were told.
pub(crate) fn run_ends(changes: &[BasketChange], delay_us: i64) -> impl Iterator<Item = &BasketChange> {
    changes.iter().enumerate().filter_map(move |(index, change)| {
        let due_us = change.time_us.saturating_add(delay_us);
        let moved = changes.get(index + 1).is_some_and(|next| next.time_us < due_us);
        (!moved).then_some(change)
    })
}

/// Whether the change of this id ends a run.
pub(crate) fn ends_run(changes: &[BasketChange], event_id: &str, delay_us: i64) -> bool {
    run_ends(changes, delay_us).any(|change| change.event_id == event_id)
}

/// Returns the change before `index`, when it ended a run until the change at `index` came.
pub(crate) fn formerly_ending(changes: &[BasketChange], index: usize, delay_us: i64) -> Option<&BasketChange> {
    let before = changes.get(index.checked_sub(1)?)?;
    let moved = changes[index].time_us < before.time_us.saturating_add(delay_us);
    moved.then_some(before)
}

/// Returns what lay in the basket at `as_of_us`, in the order it went in: what went in since the last order and did not
/// come out.
pub(crate) fn content(contact: &Contact, as_of_us: i64) -> Vec<&Product> {
    let ordered_us =
        contact.orders.iter().map(|order| order.time_us).filter(|&time_us| time_us <= as_of_us).max().unwrap_or(0);
    let mut content: Vec<&Product> = Vec::new();
    for change in &contact.basket[span(&contact.basket, ordered_us, as_of_us)] {
        for product in &change.products {
            let known = content.iter().position(|known| known.product_id == product.product_id);
            match (change.removed, known) {
                (true, Some(index)) => {
                    content.remove(index);
                }
                (false, Some(index)) => content[index] = product,
                (false, None) => content.push(product),
                (true, None) => {}
            }
        }
    }
    content
}

/// The changes after `after_us` and by `until_us`.
fn span(changes: &[BasketChange], after_us: i64, until_us: i64) -> Range<usize> {
    let start = changes.partition_point(|change| change.time_us <= after_us);
    let end = changes.partition_point(|change| change.time_us <= until_us);
    start..end.max(start)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(time_us: i64, product: &str, removed: bool) -> BasketChange {
        let product = Product { product_id: product.into(), ..Product::default() };
        BasketChange { time_us, event_id: format!("e{time_us}"), removed, products: vec![product] }
    }

    fn contact(changes: &[BasketChange]) -> Contact {
        let mut contact = Contact::default();
        for change in changes {
            contact.change_basket(change.clone());
        }
        contact
    }

    #[test]
    fn a_change_within_the_delay_moves_the_end_and_one_after_it_begins_anew() {
        let changes = [change(10, "a", false), change(15, "b", false), change(40, "c", false)];
        for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0]] {
            let contact = contact(&order.map(|index: usize| changes[index].clone()));
            let ends: Vec<i64> = run_ends(&contact.basket, 20).map(|change| change.time_us).collect();
            assert_eq!(ends, [15, 40]);
        }
        assert_eq!(formerly_ending(&changes, 1, 20).unwrap().time_us, 10);
        assert_eq!(formerly_ending(&changes, 2, 20), None);
    }

    #[test]
    fn the_content_is_what_went_in_since_the_last_order_and_did_not_come_out() {
        let mut contact =
            contact(&[change(10, "a", false), change(20, "b", false), change(25, "c", false), change(30, "b", true)]);
        let ids = |contact: &Contact, at| content(contact, at).iter().map(|p| p.product_id.clone()).collect::<Vec<_>>();

        assert_eq!(ids(&contact, 27), ["a", "b", "c"]);
        assert_eq!(ids(&contact, 30), ["a", "c"]);
        contact.place_order("o", 22, Vec::new());
        assert_eq!(ids(&contact, 30), ["c"]);
    }
}

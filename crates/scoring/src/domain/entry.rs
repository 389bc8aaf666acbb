//! Which order brought somebody into a segment.
//!
//! Orders are told late, by browser and server, and again after a merge. Where orders alone decide, a stay begins with the
//! order that decided by the times at which orders were placed, whichever was told last.

use std::collections::BTreeMap;

use super::event::Event;
use super::judge::{Bench, How, Segment, Transition};
use super::order::{Contribution, Order};
use super::state::State;

/// Orders beyond which it is not asked which one decided: a merge asks once for each.
const MOST_ORDERS: usize = 1_000;

/// An order of which an event tells that it was placed then.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Placed {
    /// When, in microseconds since the Unix epoch.
    pub(crate) at_us: i64,
    /// When it was believed to have been placed until now.
    pub(crate) former_us: Option<i64>,
}

impl Placed {
    /// Returns what an event that was folded tells of the time of an order; `former_us` is what was known before. None when
    /// it is not this event that decides when the order was placed.
    pub(crate) fn read(state: &State, event: &Event, former_us: Option<i64>) -> Option<Self> {
        let at_us = state.placed_us(event).filter(|at_us| *at_us == event.time_us && former_us != Some(*at_us))?;
        Some(Self { at_us, former_us })
    }

    /// Whether an order that was placed later is known.
    pub(crate) fn is_late(&self, state: &State) -> bool {
        state.stats.orders_us.is_some_and(|orders| self.at_us < orders.last_us)
    }
}

impl Bench<'_> {
    /// Returns when the order was placed since which somebody has been in a segment that they are in now; none when that
    /// cannot be told, because more than orders decides, or not even the first did.
    pub(crate) fn entry_us(&self, state: &State, segment: &Segment, now_us: i64) -> Option<i64> {
        let orders = state.orders.as_ref().filter(|orders| orders.len() <= MOST_ORDERS)?;
        if !segment.rule.is_by_orders() {
            return None;
        }
        let contributions = orders.values().map(Order::contribution);
        let mut counted: Vec<(i64, Contribution)> =
            contributions.filter_map(|contribution| Some((contribution.counted_us?, contribution))).collect();
        counted.sort_by_key(|(placed_us, _)| *placed_us);

        let mut before = State { stats: state.stats.clone(), ..State::default() };
        let mut entry_us = None;
        while segment.rule.matches(&self.view(&before, now_us)) {
            let (placed_us, contribution) = counted.pop()?;
            entry_us = Some(placed_us);
            before.stats.take_last(&contribution, counted.last().map(|(placed_us, _)| *placed_us));
        }
        entry_us
    }

    /// Draws back the stays that began earlier than was told, now that it is known when an order was placed.
    pub(crate) fn redate(&self, state: &mut State, placed: &Placed, now_us: i64, how: How) -> Vec<Transition> {
        let mut redated = Vec::new();
        for place in 0..state.memberships.len() {
            let membership = &state.memberships[place];
            let former_us = membership.enter_us;
            let segment = self.rules.segments.iter().find(|segment| segment.segment_id == membership.segment_id);
            let Some(segment) = segment.filter(|_| placed.at_us < former_us) else { continue };
            let enter_us = match segment.rule.is_by_orders() {
                true if began_with_an_order(state, former_us, placed) => self.entry_us(state, segment, now_us),
                // What began the stay happened earlier: so did the stay begin.
                false if placed.former_us == Some(former_us) => Some(placed.at_us),
                _ => None,
            };
            let Some(enter_us) = enter_us.filter(|enter_us| *enter_us < former_us) else { continue };
            redated.push(Transition::Redated { segment_id: membership.segment_id.clone(), enter_us, former_us, how });
            state.memberships[place].enter_us = enter_us;
        }
        redated
    }
}

/// Whether a stay was told to begin with an order, and not when its rule was made.
fn began_with_an_order(state: &State, enter_us: i64, placed: &Placed) -> bool {
    let mut orders = state.orders.iter().flat_map(BTreeMap::values);
    placed.former_us == Some(enter_us) || orders.any(|order| order.contribution().counted_us == Some(enter_us))
}

#[cfg(test)]
#[path = "entry_tests.rs"]
mod tests;

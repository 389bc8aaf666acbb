use std::collections::BTreeSet;
use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::domain::DAY_US;
use crate::domain::event::{Amount, OrderAction, OrderTold, What};
use crate::domain::judge::{Cause, JudgingCuts, RuleSet};
use crate::domain::rule::Rule;

const NOW_US: i64 = 20_000 * DAY_US;

fn placed(order: u8, time_us: i64) -> Event {
    let told = OrderTold {
        action: OrderAction::Completed,
        order_id: format!("o{order}"),
        refunded_order_id: String::new(),
        value: Some(Amount { micros: i64::from(order) * 10_000_000, currency: "EUR".into() }),
        country: String::new(),
    };
    Event { time_us, id: u128::from(order), what: What::Order(told) }
}

/// Folds events as the engine does, some of them restated; returns the last that was told of the stay.
fn told(expression: &str, events: &[(Event, bool)]) -> Option<i64> {
    let rule = Rule::compile(expression).unwrap();
    let segment = Segment { segment_id: "s".into(), created_version: 1, version: 1, rule };
    let (rules, cuts) = (RuleSet { version: 1, segments: vec![Arc::new(segment)] }, JudgingCuts::default());
    let bench = Bench { rules: &rules, cuts: &cuts };
    let mut state = State { rules_version: 1, ..State::new() };
    let mut transitions = Vec::new();
    for (event, restated) in events {
        let known_us = state.placed_us(event);
        let changed = state.fold(event, &mut BTreeSet::new());
        let placed = Placed::read(&state, event, known_us);
        let is_late_order = placed.is_some_and(|placed| placed.is_late(&state));
        if let Some(placed) = placed {
            transitions.extend(bench.redate(&mut state, &placed, NOW_US, How::told(*restated)));
        }
        let cause = Cause { at_us: event.time_us, how: How::told(*restated), is_late_order };
        bench.judge_changed(&mut state, changed, NOW_US, cause, &mut transitions);
    }
    let stay = match transitions.last()? {
        Transition::Entered { enter_us, .. } | Transition::Redated { enter_us, .. } => *enter_us,
        Transition::Exited { .. } => return None,
    };
    assert_eq!(state.memberships[0].enter_us, stay, "what is kept is what was told");
    Some(stay)
}

#[test]
fn a_late_order_draws_a_stay_back_to_the_one_that_decided() {
    let (first, second, third) = ((placed(1, 10), false), (placed(2, 20), false), (placed(3, 30), true));

    let stay = told("stats.order_count >= 2", &[third, second, first]);

    assert_eq!(stay, Some(20));
}

#[test]
fn a_rule_that_not_only_orders_decide_keeps_the_time_of_what_was_told() {
    let rule = "stats.order_count >= 1 && stats.event_count >= 2";

    let stay = told(rule, &[(placed(2, 20), false), (placed(1, 10), false)]);

    assert_eq!(stay, Some(10));
}

proptest! {
    #[test]
    fn a_stay_begins_with_the_same_order_however_they_are_told(
        (events, shuffled) in prop::collection::vec((1_u8..5, 1_i64..40, any::<bool>()), 1..9).prop_flat_map(|told| {
            // No two orders at the same instant: of those either may have decided.
            let events =
                told.into_iter().map(|(order, time, restated)| (placed(order, 8 * time + i64::from(order)), restated));
            let events: Vec<_> = events.collect();
            (Just(events.clone()), Just(events).prop_shuffle())
        }),
        least in 1_u8..4,
    ) {
        for rule in [format!("stats.order_count >= {least}"), format!("stats.net_values['EUR'] >= {least}5.0")] {
            prop_assert_eq!(told(&rule, &events), told(&rule, &shuffled));
        }
    }
}

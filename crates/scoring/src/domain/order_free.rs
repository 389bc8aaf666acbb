//! The algebra that everything rests on: what is known depends on what was told, never on when it arrived.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::event::{Amount, Event, OrderAction, OrderTold, What};
use super::order::Order;
use super::state::{State, Stats};

fn action() -> impl Strategy<Value = OrderAction> {
    prop_oneof![
        3 => Just(OrderAction::Completed),
        1 => Just(OrderAction::Updated),
        1 => Just(OrderAction::Refunded),
        1 => Just(OrderAction::Cancelled),
    ]
}

fn told() -> impl Strategy<Value = OrderTold> {
    let value =
        prop::option::weighted(0.8, (-50_i64..500, prop_oneof![4 => Just("EUR"), 1 => Just("GBP"), 1 => Just("")]));
    (action(), 0_u8..5, 0_u8..8, value, prop_oneof!["FR", "DE", ""]).prop_map(
        |(action, order, refunded, value, country)| OrderTold {
            action,
            order_id: format!("o{order}"),
            refunded_order_id: if refunded < 5 { format!("o{refunded}") } else { String::new() },
            value: value.map(|(micros, currency)| Amount { micros, currency: currency.to_owned() }),
            country,
        },
    )
}

fn what() -> impl Strategy<Value = What> {
    prop_oneof![
        6 => told().prop_map(What::Order),
        1 => Just(What::ProductViewed),
        1 => (1_u64..4).prop_map(What::CartAdded),
        1 => Just(What::Other),
    ]
}

/// Events with ids of their own, many of them at the same instant.
fn events() -> impl Strategy<Value = Vec<Event>> {
    let event = (0_i64..6, what());
    prop::collection::vec(event, 0..25).prop_map(|events| {
        let numbered = events.into_iter().enumerate();
        numbered.map(|(id, (time_us, what))| Event { time_us, id: id as u128, what }).collect()
    })
}

fn folded<'e>(events: impl IntoIterator<Item = &'e Event>) -> State {
    let mut state = State::new();
    for event in events {
        state.fold(event, &mut BTreeSet::new());
    }
    state
}

/// Statistics of orders computed at once from what is known of each.
fn recomputed(state: &State) -> Stats {
    let mut stats = Stats { ..state.stats.clone() };
    let contributions: Vec<_> = state.orders.iter().flatten().map(|(_, order)| order.contribution()).collect();
    let times: Vec<i64> = contributions.iter().filter_map(|contribution| contribution.counted_us).collect();
    stats.order_count = times.len() as u64;
    stats.orders_us = times
        .iter()
        .min()
        .zip(times.iter().max())
        .map(|(first, last)| super::state::Span { first_us: *first, last_us: *last });
    stats.values.clear();
    for sum in contributions.iter().flat_map(|contribution| &contribution.sums) {
        let value = stats.values.entry(sum.currency.clone()).or_default();
        value.order_count += u64::from(sum.counts);
        value.net_micros += sum.net_micros;
        value.refunded_micros += sum.refunded_micros;
    }
    stats.values.retain(|_, value| *value != super::state::Value::default());
    stats
}

proptest! {
    #[test]
    fn the_order_of_arrival_does_not_matter((events, shuffled) in events().prop_flat_map(|events| {
        let shuffled = Just(events.clone()).prop_shuffle();
        (Just(events), shuffled)
    })) {
        prop_assert_eq!(folded(&events), folded(&shuffled));
    }

    #[test]
    fn running_statistics_equal_those_computed_from_the_orders(events in events()) {
        let state = folded(&events);

        prop_assert_eq!(&state.stats, &recomputed(&state));
    }

    #[test]
    fn telling_an_order_again_changes_nothing(events in events()) {
        let once = folded(&events);
        let twice = folded(events.iter().chain(&events));

        prop_assert_eq!(&once.orders, &twice.orders);
        prop_assert_eq!(&once.stats.values, &twice.stats.values);
        prop_assert_eq!(once.stats.orders_us, twice.stats.orders_us);
    }

    #[test]
    fn a_merge_by_restatement_equals_having_known_one_person_all_along(events in events(), split in any::<u32>()) {
        let is_of_absorbed = |event: &&Event| split >> (event.id % 32) & 1 == 1;
        let mut survivor = folded(events.iter().filter(|event| !is_of_absorbed(event)));

        for event in events.iter().filter(is_of_absorbed) {
            survivor.fold(event, &mut BTreeSet::new());
        }

        prop_assert_eq!(survivor, folded(&events));
    }

    #[test]
    fn an_order_told_to_two_people_merges_into_one(events in events(), split in any::<u32>()) {
        let mut halves = [Order::default(), Order::default()];
        let mut whole = Order::default();
        for event in &events {
            if let What::Order(told) = &event.what {
                halves[(split >> (event.id % 32) & 1) as usize].tell(event.time_us, event.id, told);
                whole.tell(event.time_us, event.id, told);
            }
        }

        let [mut one, other] = halves;
        one.merge(other);

        prop_assert_eq!(one, whole);
    }
}

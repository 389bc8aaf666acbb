//! Worlds are the same when drawn again, whatever the cut, and are of the size and the laws they promise.

use std::time::Instant;

use chrono::Duration;
use comptoir_simulator::{Day, Delivery, Relation, SourceKind, World, WorldConfig};
use proptest::prelude::{ProptestConfig, proptest};
use serde_json::Value;

fn small(seed: u64) -> WorldConfig {
    WorldConfig { seed, people: 60, days: 90, ..WorldConfig::default() }
}

fn bytes(days: impl Iterator<Item = Day>) -> String {
    let deliveries: Vec<Delivery> = days.flat_map(|day| day.deliveries).collect();
    serde_json::to_string(&deliveries).expect("deliveries are plain JSON")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn one_seed_gives_one_world_however_it_is_cut(seed: u64, days in 1u32..40, flush_minutes in 0u32..1_500, batch_max in 1usize..60) {
        let config = WorldConfig { flush_minutes, batch_max, ..small(seed) };
        let world = World::new(config.clone());

        let whole = bytes(world.days());

        assert_eq!(bytes(World::new(config).days()), whole);
        assert_eq!(bytes(world.spans(days)), whole);
        let sizes: Vec<usize> = world.days().flat_map(|day| day.deliveries).map(|delivery| delivery.events).collect();
        assert!(sizes.iter().all(|&size| size <= batch_max));
        assert_eq!(sizes.iter().sum::<usize>() as u64, world.delivered_events());
    }
}

#[test]
fn different_seeds_give_different_worlds() {
    assert_ne!(bytes(World::new(small(1)).days()), bytes(World::new(small(2)).days()));
}

#[test]
fn the_first_people_do_the_same_in_a_larger_world() {
    let few = World::new(WorldConfig { people: 50, ..small(3) });
    let many = World::new(WorldConfig { people: 80, ..small(3) });

    let totals = |world: &World| -> Vec<(usize, i64)> {
        world
            .orders()
            .iter()
            .filter(|order| order.person < 49)
            .map(|order| (order.person, order.total_micros()))
            .collect()
    };

    assert_eq!(totals(&few), totals(&many));
    assert!(!totals(&few).is_empty());
}

#[test]
fn deliveries_come_in_order_of_arrival_inside_their_day() {
    let world = World::new(small(4));
    let mut last = world.config().start;

    for (number, day) in world.days().enumerate() {
        let midnight = world.config().start + Duration::days(number as i64);
        assert_eq!(day.date, midnight.date_naive());
        for delivery in day.deliveries {
            assert!(delivery.received_at >= last.max(midnight));
            assert!(delivery.received_at < midnight + Duration::days(1));
            last = delivery.received_at;
        }
    }
}

#[test]
fn the_default_world_fits_a_demo() {
    let started = Instant::now();
    let world = World::new(WorldConfig::default());
    let drawn = started.elapsed();
    let rendered: usize = world.days().map(|day| day.deliveries.len()).sum();
    let written = started.elapsed() - drawn;
    let (mut bodies, mut size, mut largest) = (0, 0, 0);
    let mut by_source = std::collections::BTreeMap::<SourceKind, usize>::new();
    for delivery in world.days().flat_map(|day| day.deliveries) {
        *by_source.entry(delivery.source).or_default() += delivery.events;
        bodies += 1;
        let length = delivery.body.to_string().len();
        size += length;
        largest = largest.max(length);
    }
    let truth = world.truth();

    println!("drawn in {drawn:?}, {rendered} bodies made in {written:?}");
    println!("{bodies} bodies of {size} bytes, largest {largest}, {by_source:?}");
    println!("{} bytes an event", size as u64 / world.delivered_events());
    println!("{}", serde_json::to_string_pretty(&Value::Object(summary(&world))).expect("plain JSON"));

    assert!((60_000..=100_000).contains(&truth.events), "{} events", truth.events);
    assert!((2_000..=8_000).contains(&truth.orders), "{} orders", truth.orders);
    assert!(truth.people_seen > 1_800);
    assert!(SourceKind::ALL.iter().all(|source| by_source.contains_key(source)));
    assert!(largest < 475_000, "{largest} bytes in one body");
}

fn summary(world: &World) -> serde_json::Map<String, Value> {
    let Ok(Value::Object(mut summary)) = serde_json::to_value(world.truth()) else {
        panic!("the truth is an object");
    };
    summary.insert("groups".into(), world.truth().groups.len().into());
    summary.insert("shared".into(), world.truth().shared.len().into());
    summary
}

#[test]
fn people_have_the_moments_of_the_purchase_model() {
    let world = World::new(WorldConfig { people: 20_000, days: 60, ..WorldConfig::default() });
    let model = &world.config().purchases;
    let buyers: Vec<_> = world.people().iter().filter(|person| person.first_purchase.is_some()).collect();
    let mean = |value: &dyn Fn(&comptoir_simulator::Person) -> f64| {
        buyers.iter().map(|person| value(person)).sum::<f64>() / buyers.len() as f64
    };

    let rate = mean(&|person| person.purchase_rate) / (model.r / model.alpha_days);
    let dropout = mean(&|person| person.dropout) / (model.a / (model.a + model.b));
    let value = mean(&|person| person.mean_value_micros as f64 / 1e6) / (model.p * model.gamma / (model.q - 1.0));

    assert!((rate - 1.0).abs() < 0.05, "{rate}");
    assert!((dropout - 1.0).abs() < 0.05, "{dropout}");
    assert!((value - 1.0).abs() < 0.05, "{value}");
}

#[test]
fn relations_keep_their_shares_and_their_promises() {
    let world = World::new(WorldConfig::default());
    let visitors = world.people().iter().filter(|person| person.relation == Relation::Visitor);

    let habits = &world.config().habits;
    let share = visitors.clone().count() as f64 / world.people().len() as f64;
    assert!((share - habits.visitors).abs() < 0.04, "{share}");
    for person in visitors {
        assert!(person.email.is_none() && person.user_id.is_none() && person.first_purchase.is_none());
    }
    let families = world.people().iter().filter(|person| person.family.is_some()).count();
    assert!(families > 200, "{families} people live with others");
}

#[test]
fn reactions_are_repeatable_and_weary_people_open_less() {
    let world = World::new(small(5));
    let person = world.people().iter().find(|person| person.email.is_some()).expect("somebody has an address");
    let email = person.email.as_deref().expect("just found");
    let time = world.config().start + Duration::hours(9);
    let opened = |recent: u32| {
        (0..2_000).filter(|number| world.react(email, time, &format!("m{number}"), recent).opens.is_some()).count()
    };

    let reaction = world.react(email, time, "m1", 0);

    assert_eq!(reaction, world.react(&person.person_id, time, "m1", 0));
    assert!(opened(0) > 2 * opened(12), "{} then {}", opened(0), opened(12));
    for number in 0..2_000 {
        let reaction = world.react(email, time, &format!("m{number}"), 0);
        let follows_opening = reaction.clicks.is_none_or(|click| reaction.opens.is_some_and(|open| open < click));
        assert!(follows_opening, "{reaction:?}");
    }
    assert_eq!(world.react("nobody@courrier.example", time, "m1", 0), comptoir_simulator::Reaction::default());
}

#[test]
fn a_configuration_that_cannot_be_is_refused_with_every_reason() {
    let config = WorldConfig { days: 0, markets: Vec::new(), ..WorldConfig::default() };

    let reasons = config.check().expect_err("nothing holds");

    assert!(reasons.contains("days") && reasons.contains("markets"), "{reasons}");
}

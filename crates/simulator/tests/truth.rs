//! The truth a world tells, against a recount that reads nothing but the delivered JSON and who owns which identifier.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use comptoir_simulator::{IdentifierKind, Noise, SourceKind, World, WorldConfig};
use serde_json::Value;

fn world() -> World {
    World::new(WorldConfig { seed: 42, people: 700, flush_minutes: 0, ..WorldConfig::default() })
}

/// Every delivered event with its source and time of arrival (milliseconds), duplicates included.
fn deliveries(world: &World) -> Vec<(SourceKind, i64, Value)> {
    let mut events = Vec::new();
    for delivery in world.days().flat_map(|day| day.deliveries) {
        let Value::Array(batch) = delivery.body["batch"].clone() else {
            panic!("a body without a batch");
        };
        assert_eq!(batch.len(), delivery.events);
        let received = delivery.received_at.timestamp_millis();
        events.extend(batch.into_iter().map(|event| (delivery.source, received, event)));
    }
    events
}

/// The first copy of every event, by message id.
fn distinct(events: &[(SourceKind, i64, Value)]) -> BTreeMap<&str, &(SourceKind, i64, Value)> {
    let mut first = BTreeMap::new();
    for delivered in events {
        first.entry(text(&delivered.2["messageId"]).expect("a message id")).or_insert(delivered);
    }
    first
}

fn text(value: &Value) -> Option<&str> {
    value.as_str()
}

/// Amounts come as numbers or as text; cents are exact in both.
fn micros(value: &Value) -> i64 {
    let number = value.as_f64().or_else(|| value.as_str()?.parse().ok()).expect("an amount");
    (number * 100.0).round() as i64 * 10_000
}

const GARBAGE: [&str; 4] = ["undefined", "null", "test@test.com", "0600000000"];

/// The identifiers an event carries, as a careful reader would clean them, and whether one was garbage or untidy.
fn read_identifiers(event: &Value) -> (Vec<(IdentifierKind, String)>, bool, bool) {
    let (mut found, mut garbage, mut untidy) = (Vec::new(), false, false);
    let external = event["context"]["externalIds"].as_array().into_iter().flatten();
    let raw = [
        (IdentifierKind::UserId, &event["userId"]),
        (IdentifierKind::AnonymousId, &event["anonymousId"]),
        (IdentifierKind::Email, &event["traits"]["email"]),
        (IdentifierKind::Email, &event["context"]["traits"]["email"]),
        (IdentifierKind::Phone, &event["traits"]["phone"]),
    ];
    let cards =
        external.filter(|card| card["type"] == "loyalty_card").map(|card| (IdentifierKind::LoyaltyCard, &card["id"]));
    for (kind, value) in raw.into_iter().chain(cards) {
        let Some(sent) = text(value) else { continue };
        if GARBAGE.contains(&sent) {
            garbage = true;
            continue;
        }
        let clean = match kind {
            IdentifierKind::Email => sent.trim().to_lowercase(),
            IdentifierKind::Phone => {
                let digits = sent.replace(' ', "");
                digits.strip_prefix('0').map_or(digits.clone(), |national| format!("+33{national}"))
            }
            _ => sent.to_owned(),
        };
        untidy |= clean != sent;
        found.push((kind, clean));
    }
    (found, garbage, untidy)
}

/// Who owns each value, from the list of people and orders.
fn owners(world: &World) -> HashMap<String, BTreeSet<usize>> {
    let mut owners: HashMap<String, BTreeSet<usize>> = HashMap::new();
    for (number, person) in world.people().iter().enumerate() {
        let names = [&person.user_id, &person.email, &person.phone, &person.loyalty_card];
        let devices = person.devices.iter().map(|device| &device.anonymous_id);
        for value in names.into_iter().flatten().chain(devices) {
            owners.entry(value.clone()).or_default().insert(number);
        }
    }
    for order in world.orders() {
        owners.entry(format!("receipt-{}", order.order_id)).or_default().insert(order.person);
    }
    owners
}

#[test]
fn groups_are_what_union_find_over_the_stream_gives() {
    let world = world();
    let events = deliveries(&world);
    let owners = owners(&world);
    let mut places: HashMap<(IdentifierKind, String), usize> = HashMap::new();
    let mut parents: Vec<usize> = Vec::new();
    fn root(parents: &[usize], mut place: usize) -> usize {
        while parents[place] != place {
            place = parents[place];
        }
        place
    }

    for (_, _, event) in &events {
        let (identifiers, _, _) = read_identifiers(event);
        let mut first = None;
        for identifier in identifiers {
            if owners.get(&identifier.1).is_none_or(|people| people.len() != 1) {
                continue;
            }
            let place = *places.entry(identifier).or_insert_with(|| {
                parents.push(parents.len());
                parents.len() - 1
            });
            let here = root(&parents, place);
            let there = root(&parents, *first.get_or_insert(place));
            parents[here.max(there)] = here.min(there);
        }
    }
    let mut recounted: HashMap<usize, BTreeSet<(IdentifierKind, String)>> = HashMap::new();
    for (identifier, &place) in &places {
        recounted.entry(root(&parents, place)).or_default().insert(identifier.clone());
    }
    let recounted: BTreeSet<_> = recounted.into_values().collect();

    let told: BTreeSet<_> = world
        .truth()
        .groups
        .iter()
        .map(|group| group.identifiers.iter().map(|one| (one.kind, one.value.clone())).collect::<BTreeSet<_>>())
        .collect();
    assert_eq!(told.len(), world.truth().groups.len());
    assert_eq!(told, recounted);
    for group in &world.truth().groups {
        for identifier in &group.identifiers {
            assert_eq!(owners[&identifier.value], BTreeSet::from([group.person]));
        }
    }
    let known: HashSet<usize> = world.truth().groups.iter().map(|group| group.person).collect();
    assert!(known.len() as u64 <= world.truth().people_seen);
    assert!(known.len() as u64 * 100 >= world.truth().people_seen * 97);
}

#[test]
fn orders_money_and_carts_equal_a_recount() {
    let world = world();
    let events = deliveries(&world);
    let mut orders: BTreeMap<String, (String, i64)> = BTreeMap::new();
    let mut announced: BTreeMap<String, u32> = BTreeMap::new();
    let mut refunds: BTreeMap<String, (String, i64)> = BTreeMap::new();
    let (mut filled, mut ordered, mut reviews) = (BTreeSet::new(), BTreeSet::new(), 0);

    for (_, _, event) in distinct(&events).into_values() {
        let properties = &event["properties"];
        let order_id = || text(&properties["order_id"]).expect("an order id").to_owned();
        let money = || (text(&properties["currency"]).expect("a currency").to_owned(), micros(&properties["total"]));
        match text(&event["event"]) {
            Some("Order Completed") => {
                assert_eq!(orders.entry(order_id()).or_insert_with(money), &money());
                *announced.entry(order_id()).or_default() += 1;
                ordered.extend(text(&properties["checkout_id"]).map(str::to_owned));
                let lines = properties["products"].as_array().expect("lines");
                let sum: i64 =
                    lines.iter().map(|line| micros(&line["price"]) * (micros(&line["quantity"]) / 1_000_000)).sum();
                let extras = micros(&properties["shipping"]) - micros(&properties["discount"]);
                assert_eq!(sum + extras, money().1);
            }
            Some("Order Refunded") => assert!(refunds.insert(order_id(), money()).is_none()),
            Some("Product Added") => {
                filled.insert(text(&properties["cart_id"]).expect("a cart").to_owned());
            }
            Some("Product Reviewed") => reviews += 1,
            _ => {}
        }
    }

    let sums = |amounts: &BTreeMap<String, (String, i64)>| {
        let mut sums: BTreeMap<String, i64> = BTreeMap::new();
        for (currency, amount) in amounts.values() {
            *sums.entry(currency.clone()).or_default() += amount;
        }
        sums
    };
    let truth = world.truth();
    assert_eq!(truth.orders, orders.len() as u64);
    assert_eq!(truth.revenue_micros, sums(&orders));
    assert_eq!(truth.refunds, refunds.len() as u64);
    assert_eq!(truth.refunded_micros, sums(&refunds));
    assert!(refunds.iter().all(|(order, refund)| orders[order].1 >= refund.1));
    assert_eq!(truth.orders_sent_twice, announced.values().filter(|&&times| times == 2).count() as u64);
    assert!(announced.values().all(|&times| times <= 2));
    assert_eq!(truth.carts_abandoned, filled.difference(&ordered).count() as u64);
    assert_eq!(truth.reviews, reviews);
    assert!(truth.orders > 500 && truth.carts_abandoned > 100 && truth.refunds > 20 && truth.reviews > 20);
}

#[test]
fn noise_equals_a_recount_and_keeps_to_the_configured_rates() {
    let world = world();
    let events = deliveries(&world);
    let first = distinct(&events);
    let noise = &world.config().noise;
    let (mut garbage, mut untidy, mut late, mut strings) = (0, 0, 0, 0);

    for (_, received, event) in first.values() {
        let (_, is_garbage, is_untidy) = read_identifiers(event);
        garbage += u64::from(is_garbage);
        untidy += u64::from(is_untidy);
        let time: chrono::DateTime<chrono::Utc> =
            text(&event["timestamp"]).and_then(|time| time.parse().ok()).expect("a time");
        assert!(time.timestamp_millis() <= *received);
        assert!(time >= world.config().start && time < world.config().end());
        late += u64::from(received - time.timestamp_millis() >= 3_600_000);
        strings += u64::from(event["properties"]["price"].is_string());
    }

    let truth = world.truth();
    assert_eq!(truth.events, first.len() as u64);
    assert_eq!(truth.duplicates, (events.len() - first.len()) as u64);
    assert_eq!(world.delivered_events(), events.len() as u64);
    assert_eq!((truth.garbage_identifiers, truth.untidy_identifiers), (garbage, untidy));
    assert_eq!(truth.late, late);
    let share = |count: u64| count as f64 / truth.events as f64;
    assert!((share(truth.duplicates) / noise.duplicate - 1.0).abs() < 0.2, "{}", share(truth.duplicates));
    assert!((share(truth.late) / noise.late - 1.0).abs() < 0.25, "{}", share(truth.late));
    assert!((share(truth.shuffled) / noise.shuffled - 1.0).abs() < 0.2, "{}", share(truth.shuffled));
    let online = world.orders().iter().filter(|order| order.source != SourceKind::Till).count();
    let copied = truth.orders_sent_twice as f64 / online as f64;
    assert!((copied / noise.server_copy - 1.0).abs() < 0.15, "{copied}");
    assert!(garbage > 20 && untidy > 20 && strings > 100, "{garbage} {untidy} {strings}");
}

#[test]
fn a_world_without_noise_arrives_once_in_order_and_clean() {
    let config = WorldConfig { people: 200, noise: Noise::none(), flush_minutes: 0, ..WorldConfig::default() };
    let world = World::new(config);

    let truth = world.truth();

    let mishaps = [truth.duplicates, truth.late, truth.shuffled, truth.garbage_identifiers, truth.untidy_identifiers];
    assert_eq!(mishaps, [0; 5]);
    assert_eq!(truth.orders_sent_twice, 0);
    for delivery in world.days().flat_map(|day| day.deliveries) {
        let batch = delivery.body["batch"].as_array().expect("a batch");
        assert!(batch.is_sorted_by_key(|event| text(&event["timestamp"]).expect("a time").to_owned()));
    }
}

#[test]
fn no_two_people_share_an_identifier_that_is_not_marked_shared() {
    let world = World::new(WorldConfig { people: 3_000, days: 30, ..WorldConfig::default() });

    let shared: BTreeSet<String> =
        owners(&world).into_iter().filter(|(_, people)| people.len() > 1).map(|(value, _)| value).collect();

    assert!(!shared.is_empty());
    for value in &shared {
        assert!(world.truth().shared.contains(value), "{value} belongs to several people");
    }
    for kiosk in world.kiosks() {
        assert!(world.truth().shared.contains(&kiosk.anonymous_id));
    }
}

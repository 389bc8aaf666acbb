//! The laws of the domain, checked against a slow and simple reference over generated events.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use proptest::prelude::*;
use uuid::Uuid;

use super::{
    canon::canon,
    component::{Place, Sighted},
    graph::{Graph, Sighting},
    identifier::{Ident, Reading},
    person::{Answer, Told},
    policy::Policy,
    restate::Reseated,
};

/// The service without stores: folds batches of events and moves them as the follower does.
#[derive(Default)]
struct Shop {
    graph: Graph,
    policy: Policy,
    timelines: BTreeMap<Uuid, Vec<Sighting>>,
    minted: u128,
}

/// What must not depend on order: for each person, the identifiers, the golden record, the consents and the events.
type People = BTreeSet<(BTreeSet<String>, Vec<(String, String)>, Vec<(String, bool)>, BTreeSet<Uuid>)>;

impl Shop {
    fn fold(&mut self, batch: &[Sighting]) {
        for event in batch {
            self.graph.observe(event);
        }
        self.settle(false);
        for event in batch {
            let Some(seat) = self.graph.route(&event.useful, &self.policy.rules) else { continue };
            self.graph.person_mut(seat).fold(&event.sighted, &event.told, &event.answers);
            let id = self.mint_in(seat);
            self.timelines.entry(id).or_default().push(event.clone());
        }
        self.graph.saved(usize::MAX);
    }

    fn settle(&mut self, reroute: bool) {
        let settlement = self.graph.settle(&self.policy, reroute);
        let spread: Vec<Uuid> = settlement.spreads.iter().filter_map(|spread| spread.person.id).collect();
        for merge in &settlement.merges {
            for id in merge.absorbed.iter().filter_map(|person| person.id).filter(|id| !spread.contains(id)) {
                let moved = self.timelines.remove(&id).unwrap_or_default();
                self.timelines.entry(merge.survivor).or_default().extend(moved);
            }
        }
        let old: Vec<Vec<Sighting>> = spread.iter().map(|id| self.timelines.remove(id).unwrap_or_default()).collect();
        for (spread, events) in settlement.spreads.iter().zip(old) {
            let minted = &mut self.minted;
            let mut mint = || next_id(minted);
            match self.graph.reseat(spread, &events, &self.policy, &mut mint) {
                Reseated::Untouched => {
                    self.timelines.entry(spread.person.id.unwrap()).or_default().extend(events);
                }
                Reseated::Moved(seats) => {
                    for (event, seat) in events.into_iter().zip(seats) {
                        let id = self.mint_in(seat);
                        self.timelines.entry(id).or_default().push(event);
                    }
                }
            }
        }
    }

    fn mint_in(&mut self, seat: super::graph::Seat) -> Uuid {
        let minted = &mut self.minted;
        self.graph.profile_in(seat, &mut || next_id(minted))
    }

    fn people(&self) -> People {
        let mut people = People::new();
        for component in self.graph.components().values() {
            for (cluster, person) in component.people.iter().enumerate() {
                let idents = component.members(cluster).map(|node| format!("{}:{}", node.kind, node.value)).collect();
                let traits =
                    person.traits.iter().map(|known| (known.name.to_string(), known.value.to_string())).collect();
                let consents =
                    person.consents.iter().map(|answer| (answer.purpose.to_string(), answer.granted)).collect();
                let events: BTreeSet<Uuid> = person
                    .id
                    .and_then(|id| self.timelines.get(&id))
                    .into_iter()
                    .flatten()
                    .map(|event| event.sighted.event_id)
                    .collect();
                people.insert((idents, traits, consents, events));
            }
        }
        people
    }

    fn block(&mut self, ident: &Ident, blocked: bool) {
        if blocked {
            self.policy.overrides.insert(ident.key, true);
            self.graph.touch(ident.key);
        } else {
            self.policy.overrides.remove(&ident.key);
            self.graph.reopen(ident.key);
        }
        self.settle(!blocked);
        self.graph.saved(usize::MAX);
    }

    fn separate(&mut self, first: &Ident, second: &Ident, apart: bool) {
        if apart {
            self.policy.separations.add(first.key, second.key);
        } else {
            self.policy.separations.remove(first.key, second.key);
        }
        self.graph.touch(first.key);
        self.graph.touch(second.key);
        self.settle(false);
        self.graph.saved(usize::MAX);
    }

    /// Limits hold, separations hold, and computing again changes nothing.
    fn check(&self) {
        for component in self.graph.components().values() {
            if component.cut.any() {
                assert_eq!(component.nodes.iter().filter(|node| node.place == Place::Inside).count(), 1);
                continue;
            }
            let again = canon(&component.nodes, &component.edges, &self.policy.rules, &self.policy.separations);
            assert_eq!(again.part_count, 1, "a component is connected");
            for (index, one) in component.nodes.iter().enumerate() {
                for (other_index, other) in component.nodes.iter().enumerate() {
                    let both_inside = one.place == Place::Inside && other.place == Place::Inside;
                    if both_inside {
                        let together = again.clusters[index] == again.clusters[other_index];
                        assert_eq!(one.cluster == other.cluster, together);
                    }
                }
            }
            for cluster in 0..component.people.len() {
                let mut kinds: BTreeMap<&str, u32> = BTreeMap::new();
                for node in component.members(cluster) {
                    *kinds.entry(&node.kind).or_default() += 1;
                }
                assert!(kinds.iter().all(|(kind, count)| *count <= self.policy.rules.kind(kind).limit));
            }
        }
    }
}

fn next_id(minted: &mut u128) -> Uuid {
    *minted += 1;
    Uuid::from_u128(*minted)
}

/// Who is one person, and whose each event is, computed from all events at once with sets.
fn reference(events: &[Sighting], policy: &Policy) -> BTreeMap<Uuid, BTreeSet<String>> {
    let rules = &policy.rules;
    let mut pairs: BTreeMap<(u128, u128), (i64, bool)> = BTreeMap::new();
    let mut idents: BTreeMap<u128, Ident> = BTreeMap::new();
    for event in events {
        for one in &event.useful {
            idents.insert(one.key, one.clone());
            for other in event.useful.iter().filter(|other| one.key < other.key) {
                let declared = event.declared == Some(one.key) || event.declared == Some(other.key);
                let pair = pairs.entry((one.key, other.key)).or_insert((i64::MAX, false));
                *pair = (pair.0.min(event.sighted.time_us), pair.1 | declared);
            }
        }
    }
    let is_cut = |key: &u128| {
        let own = &idents[key];
        let others = pairs.keys().filter_map(|(one, other)| match (one == key, other == key) {
            (true, _) => Some(other),
            (_, true) => Some(one),
            _ => None,
        });
        let mut by_kind: BTreeMap<&str, u32> = BTreeMap::new();
        for other in others.map(|other| &idents[other]).filter(|other| other.kind != own.kind) {
            *by_kind.entry(&other.kind).or_default() += u32::from(rules.kind(&other.kind).strong);
        }
        policy.is_blocked(*key) || by_kind.values().any(|count| *count > rules.kind(&own.kind).shared_above)
    };
    let cut: BTreeSet<u128> = idents.keys().copied().filter(|key| is_cut(key)).collect();
    let mut order: Vec<_> =
        pairs.iter().filter(|((one, other), _)| !cut.contains(one) && !cut.contains(other)).collect();
    order.sort_by_key(|((one, other), (time, declared))| {
        let strength = [one, other].map(|key| rules.kind(&idents[key].kind).strength);
        (!declared, u8::MAX - strength[0].min(strength[1]), u8::MAX - strength[0].max(strength[1]), *time, *one, *other)
    });
    let mut people: Vec<BTreeSet<u128>> = idents.keys().map(|key| BTreeSet::from([*key])).collect();
    for ((one, other), _) in order {
        let first = people.iter().position(|person| person.contains(one)).unwrap();
        let second = people.iter().position(|person| person.contains(other)).unwrap();
        let union: BTreeSet<u128> = people[first].union(&people[second]).copied().collect();
        let mut kinds: BTreeMap<&str, u32> = BTreeMap::new();
        for key in &union {
            *kinds.entry(&idents[key].kind).or_default() += 1;
        }
        if first != second && kinds.iter().all(|(kind, count)| *count <= rules.kind(kind).limit) {
            people[first] = union;
            people.remove(second);
        }
    }
    let name = |key: &u128| format!("{}:{}", idents[key].kind, idents[key].value);
    let strongest = |event: &Sighting| {
        let weight = |ident: &&Ident| (cut.contains(&ident.key), u8::MAX - rules.kind(&ident.kind).strength, ident.key);
        event.useful.iter().min_by_key(weight).map(|ident| ident.key)
    };
    events
        .iter()
        .filter_map(|event| {
            let person = people.iter().find(|person| person.contains(&strongest(event).unwrap()))?;
            Some((event.sighted.event_id, person.iter().map(name).collect()))
        })
        .collect()
}

fn by_event(people: &People) -> BTreeMap<Uuid, BTreeSet<String>> {
    people.iter().flat_map(|(idents, _, _, events)| events.iter().map(move |event| (*event, idents.clone()))).collect()
}

fn ident(kind: &str, value: &str) -> Ident {
    match Policy::default().read(kind, value) {
        Reading::Useful(ident) => ident,
        other => panic!("{other:?}"),
    }
}

/// What is drawn of an event: identifiers, time, whether the first is declared, city, consent.
type Drawn = (Vec<Ident>, i64, bool, u8, Option<bool>);

prop_compose! {
    /// An event of a small crowded world, in which people, devices and addresses mix.
    fn any_event()(
        user in prop::option::weighted(0.4, 0..6_u8),
        email in prop::option::weighted(0.3, 0..6_u8),
        phone in prop::option::weighted(0.15, 0..3_u8),
        device in prop::option::weighted(0.7, 0..7_u8),
        time in 0..12_i64,
        alias in prop::bool::weighted(0.1),
        city in 0..3_u8,
        consent in prop::option::weighted(0.3, any::<bool>()),
    ) -> Drawn {
        let mut useful = Vec::new();
        useful.extend(user.map(|number| ident("user_id", &format!("u{number}"))));
        useful.extend(email.map(|number| ident("email", &format!("e{number}@shop.fr"))));
        useful.extend(phone.map(|number| ident("phone", &format!("+3369876540{number}"))));
        useful.extend(device.map(|number| ident("anonymous_id", &format!("d{number}"))));
        if useful.is_empty() {
            useful.push(ident("anonymous_id", "d0"));
        }
        (useful, time, alias, city, consent)
    }
}

fn any_events() -> impl Strategy<Value = Vec<Sighting>> {
    prop::collection::vec(any_event(), 1..40).prop_map(|events| {
        let number = |(index, (useful, time, alias, city, consent)): (usize, Drawn)| Sighting {
            sighted: Sighted { time_us: time, event_id: Uuid::from_u128(index as u128), source: Arc::from("site") },
            declared: useful.first().map(|ident| ident.key).filter(|_| alias),
            useful,
            worthless: Vec::new(),
            told: vec![Told { name: "city".into(), value: format!("city {city}").into(), said: city == 0 }],
            answers: consent
                .map(|granted| Answer {
                    purpose: "marketing".into(),
                    channel: "".into(),
                    granted,
                    decided_us: time,
                    proof: "".into(),
                })
                .into_iter()
                .collect(),
        };
        events.into_iter().enumerate().map(number).collect()
    })
}

fn folded(events: &[Sighting], batch: usize) -> Shop {
    let mut shop = Shop::default();
    for batch in events.chunks(batch.max(1)) {
        shop.fold(batch);
    }
    shop
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_500))]

    #[test]
    fn people_depend_on_the_events_and_not_on_their_order_or_their_batches(
        (events, shuffled) in any_events().prop_flat_map(|events| (Just(events.clone()), Just(events).prop_shuffle())),
        batch in 1..12_usize,
    ) {
        let at_once = folded(&events, events.len());
        let in_pieces = folded(&shuffled, batch);

        at_once.check();
        in_pieces.check();
        prop_assert_eq!(at_once.people(), in_pieces.people());
        prop_assert_eq!(by_event(&at_once.people()), reference(&events, &Policy::default()));
    }

    #[test]
    fn an_event_told_twice_changes_neither_people_nor_golden_records(events in any_events(), again in any::<prop::sample::Index>()) {
        let mut doubled = events.clone();
        doubled.insert(0, events[again.index(events.len())].clone());

        prop_assert_eq!(folded(&events, 5).people(), folded(&doubled, 3).people());
    }

    #[test]
    fn separating_and_joining_again_gives_the_people_of_before(events in any_events(), later in any_events(), pick in any::<(prop::sample::Index, prop::sample::Index)>()) {
        let mut shop = folded(&events, 4);
        let idents: Vec<Ident> = events.iter().flat_map(|event| event.useful.clone()).collect();
        let (first, second) = (pick.0.get(&idents), pick.1.get(&idents));
        if first.key == second.key {
            return Ok(());
        }

        let later: Vec<Sighting> = later.into_iter().enumerate().map(|(index, mut event)| {
            event.sighted.event_id = Uuid::from_u128(1_000 + index as u128);
            event
        }).collect();
        shop.separate(first, second, true);
        shop.check();
        prop_assert_ne!(shop.graph.seat_of(first.key), shop.graph.seat_of(second.key));
        for batch in later.chunks(3) {
            shop.fold(batch);
        }
        prop_assert_ne!(shop.graph.seat_of(first.key), shop.graph.seat_of(second.key));
        shop.separate(first, second, false);

        let all: Vec<Sighting> = events.into_iter().chain(later).collect();
        prop_assert_eq!(shop.people(), folded(&all, 7).people());
    }

    #[test]
    fn blocking_and_freeing_gives_the_people_of_before(events in any_events(), later in any_events(), pick in any::<prop::sample::Index>()) {
        let idents: Vec<Ident> = events.iter().flat_map(|event| event.useful.clone()).collect();
        let blocked = pick.get(&idents);
        let later: Vec<Sighting> = later.into_iter().enumerate().map(|(index, mut event)| {
            event.sighted.event_id = Uuid::from_u128(1_000 + index as u128);
            event
        }).collect();
        let all: Vec<Sighting> = events.iter().cloned().chain(later.iter().cloned()).collect();

        let mut shop = folded(&events, 4);
        shop.block(blocked, true);
        shop.check();
        for batch in later.chunks(3) {
            shop.fold(batch);
        }
        prop_assert_eq!(by_event(&shop.people()), reference(&all, &shop.policy));
        shop.block(blocked, false);

        shop.check();
        prop_assert_eq!(shop.people(), folded(&all, 7).people());
    }
}

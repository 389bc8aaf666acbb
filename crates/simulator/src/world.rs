//! The world: everything drawn at once, handed out day by day.

use std::collections::HashMap;

use chrono::{DateTime, Duration, NaiveDate, Utc};
use serde::Serialize;
use serde_json::{Value, json};

use crate::catalogue::{Catalogue, Product};
use crate::config::WorldConfig;
use crate::dice::Dice;
use crate::life::{Stage, live};
use crate::person::{Device, Person, draw_device, populate};
use crate::post::{Bag, Parcel, pack, post};
use crate::render::{Scene, rfc3339};
use crate::signal::{Journal, Order, SourceKind};
use crate::truth::{Truth, establish};

/// A shop, its customers and all that happens between them during the configured days.
pub struct World {
    config: WorldConfig,
    catalogue: Catalogue,
    people: Vec<Person>,
    kiosks: Vec<Device>,
    journal: Journal,
    parcels: Vec<Parcel>,
    truth: Truth,
    by_name: HashMap<String, usize>,
}

/// One HTTP body for `/v1/batch`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Delivery {
    /// Which of the shop's systems sends it.
    pub source: SourceKind,
    /// When it reaches the collector.
    pub received_at: DateTime<Utc>,
    /// `{"batch": […], "sentAt": …}` in the Segment specification.
    pub body: Value,
    /// How many events the batch holds.
    pub events: usize,
}

/// The deliveries of one day, or of several.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Day {
    /// The first day, UTC when the world starts at midnight UTC.
    pub date: NaiveDate,
    /// In order of arrival.
    pub deliveries: Vec<Delivery>,
}

impl World {
    /// Draws a world. The work and the memory are proportional to the people and the days: 2,000 people and a year, about
    /// 80,000 events, take well under a second.
    ///
    /// # Panics
    ///
    /// When [`WorldConfig::check`] refuses the configuration; call it first on one that a person has written.
    pub fn new(config: WorldConfig) -> Self {
        if let Err(broken) = config.check() {
            panic!("no world can be drawn: {broken}");
        }
        let catalogue = Catalogue::stock(config.seed, config.products, &config.shop_currency);
        let people = populate(&config);
        let kiosks: Vec<Device> = (0..config.habits.kiosks.min(255))
            .map(|number| draw_device(&mut Dice::new(config.seed, "kiosk", u64::from(number)), &config, true))
            .collect();
        let mut journal = Journal::default();
        let stage = Stage { config: &config, catalogue: &catalogue, people: &people, kiosks: &kiosks };
        for number in 0..config.people {
            live(stage, number, &mut journal);
        }
        number_orders(&mut journal);
        let (parcels, mishaps) = post(&config, &journal);
        let truth = establish(&people, &kiosks, &journal, mishaps);
        let by_name = index_names(&people);
        Self { config, catalogue, people, kiosks, journal, parcels, truth, by_name }
    }

    /// The configuration the world was drawn from.
    pub fn config(&self) -> &WorldConfig {
        &self.config
    }

    /// The range.
    pub fn catalogue(&self) -> &[Product] {
        &self.catalogue.products
    }

    /// The people as they truly are.
    pub fn people(&self) -> &[Person] {
        &self.people
    }

    /// The tablets in the shops.
    pub fn kiosks(&self) -> &[Device] {
        &self.kiosks
    }

    /// The orders as they were truly placed, in no particular order.
    pub fn orders(&self) -> &[Order] {
        &self.journal.orders
    }

    /// What a perfect system would find at the end.
    pub fn truth(&self) -> &Truth {
        &self.truth
    }

    /// The person with this true id, user id or clean e-mail address.
    pub fn person(&self, name: &str) -> Option<&Person> {
        self.by_name.get(name).map(|&number| &self.people[number])
    }

    /// How many events all deliveries hold together, duplicates included.
    pub fn delivered_events(&self) -> u64 {
        self.truth.events + self.truth.duplicates
    }

    /// The world day by day, days without a delivery included.
    pub fn days(&self) -> impl Iterator<Item = Day> + '_ {
        self.spans(1)
    }

    /// The world in spans of so many days (at least one). The deliveries, one after the other, are the same for every
    /// length.
    pub fn spans(&self, days: u32) -> impl Iterator<Item = Day> + '_ {
        let step = days.max(1) as usize;
        (0..self.config.days).step_by(step).map(move |first| self.span(first, step as u32))
    }

    fn span(&self, first: u32, days: u32) -> Day {
        let from = self.config.start + Duration::days(i64::from(first));
        let to = from + Duration::days(i64::from(days));
        let place = |time: DateTime<Utc>| {
            let millis = time.timestamp_millis();
            self.parcels.partition_point(|parcel| parcel.received < millis)
        };
        let bags = pack(&self.config, &self.parcels[place(from)..place(to)]);
        Day { date: from.date_naive(), deliveries: bags.iter().map(|bag| self.write(bag)).collect() }
    }

    fn write(&self, bag: &Bag) -> Delivery {
        let scene = Scene {
            seed: self.config.seed,
            catalogue: &self.catalogue,
            people: &self.people,
            kiosks: &self.kiosks,
            orders: &self.journal.orders,
            carts: &self.journal.carts,
        };
        let batch: Vec<Value> = bag
            .letters
            .iter()
            .map(|&(visit, signal)| scene.event(&self.journal.visits[visit as usize].signals[signal as usize]))
            .collect();
        Delivery {
            source: bag.source,
            received_at: DateTime::from_timestamp_millis(bag.received).expect("the world's times are valid"),
            events: batch.len(),
            body: json!({"batch": batch, "sentAt": rfc3339(bag.received - 50)}),
        }
    }
}

/// Numbers the orders in the order in which they were placed, as a shop does.
fn number_orders(journal: &mut Journal) {
    let mut by_time: Vec<usize> = (0..journal.orders.len()).collect();
    by_time.sort_by_key(|&index| (journal.orders[index].time, index));
    for (number, index) in by_time.into_iter().enumerate() {
        let order = &mut journal.orders[index];
        let letter = if order.source == SourceKind::Till { 'T' } else { 'W' };
        order.order_id = format!("{letter}{}", 100_001 + number);
    }
}

fn index_names(people: &[Person]) -> HashMap<String, usize> {
    let mut by_name = HashMap::new();
    for (number, person) in people.iter().enumerate() {
        by_name.insert(person.person_id.clone(), number);
        for name in [&person.user_id, &person.email].into_iter().flatten() {
            by_name.insert(name.clone(), number);
        }
    }
    by_name
}

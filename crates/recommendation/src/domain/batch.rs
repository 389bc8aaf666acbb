//! Folding what people did into items, profiles and orders.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use super::{
    book::ItemBook,
    day_of,
    history::Tally,
    item::Item,
    order::{Order, OrderKey, Telling},
    profile::Profile,
    signal::{Act, Deed, Signal},
};

/// Baskets with more different products count for popularity but make no pairs: they are a reseller's or a test's,
/// and their pairs would grow with the square of the basket.
pub(crate) const MAX_PAIRED_BASKET: usize = 60;

/// One batch of signals on its way into the state.
///
/// What it makes of a set of signals does not depend on their sequence (each profile's merges and erasures aside),
/// up to the bounds that [`super::neighbours`], [`super::history`] and [`super::profile`] name. A restated event
/// counts for its person and never again for the products; so co-views across two profiles that were not yet one
/// when the views came in are not counted.
pub(crate) struct Batch<'b> {
    book: &'b ItemBook,
    new_ids: Vec<Arc<str>>,
    new_numbers: HashMap<Arc<str>, u32>,
    items: BTreeMap<u32, Item>,
    profiles: HashMap<String, Profile>,
    touched_profiles: BTreeSet<String>,
    orders: HashMap<OrderKey, Order>,
    touched_orders: BTreeSet<OrderKey>,
    baskets: u64,
}

/// What a batch has changed, in a fixed order.
pub(crate) struct Changes {
    /// Items by number.
    pub(crate) items: Vec<(u32, Arc<Item>)>,
    /// Profiles that changed; an empty one is to be deleted.
    pub(crate) profiles: Vec<(String, Profile)>,
    /// Profiles that were only looked at.
    pub(crate) unchanged_profiles: Vec<(String, Profile)>,
    /// Orders that changed.
    pub(crate) orders: Vec<(OrderKey, Order)>,
    /// Orders counted, ever.
    pub(crate) baskets: u64,
}

/// Returns the profiles whose state a batch needs, each once.
pub(crate) fn profiles_needed(signals: &[Signal]) -> Vec<&str> {
    let mut needed: Vec<&str> = signals.iter().map(|signal| signal.profile_id.as_str()).collect();
    needed.sort_unstable();
    needed.dedup();
    needed
}

/// Returns the orders whose state a batch needs, each once.
pub(crate) fn orders_needed(signals: &[Signal]) -> Vec<OrderKey> {
    let mut needed: Vec<OrderKey> = signals
        .iter()
        .filter_map(|signal| match &signal.deed {
            Deed::Did { restated: false, act: Act::Order(key, _), .. } => Some(*key),
            _ => None,
        })
        .collect();
    needed.sort_unstable();
    needed.dedup();
    needed
}

impl<'b> Batch<'b> {
    /// Begins a batch on `book`, with the stored profiles and orders that [`profiles_needed`] and [`orders_needed`]
    /// ask for.
    pub(crate) fn new(
        book: &'b ItemBook,
        profiles: HashMap<String, Profile>,
        orders: HashMap<OrderKey, Order>,
    ) -> Self {
        Self {
            book,
            new_ids: Vec::new(),
            new_numbers: HashMap::new(),
            items: BTreeMap::new(),
            profiles,
            touched_profiles: BTreeSet::new(),
            orders,
            touched_orders: BTreeSet::new(),
            baskets: book.baskets,
        }
    }

    /// Folds one signal.
    pub(crate) fn fold(&mut self, signal: Signal) {
        let Signal { profile_id, deed } = signal;
        match deed {
            Deed::Forget => *self.profile(profile_id) = Profile::default(),
            Deed::Restate => {
                let profile = self.profile(profile_id);
                *profile = Profile { denies_personalisation: profile.denies_personalisation, ..Profile::default() };
            }
            Deed::Consent { denies_personalisation } => self.consent(profile_id, denies_personalisation),
            Deed::Erase => self.erase(profile_id),
            Deed::Did { time_us, restated, act } => match act {
                Act::View(product_id) => self.view(profile_id, time_us, restated, &product_id),
                Act::Cart(products) => self.cart(profile_id, time_us, restated, &products),
                Act::Order(key, telling) => self.order(profile_id, restated, key, telling),
            },
        }
    }

    /// Returns what has changed, as `version`.
    pub(crate) fn finish(mut self, version: i64) -> Changes {
        let (book, new_ids) = (self.book, &self.new_ids);
        let product_id = |number: u32| -> &str {
            match (number as usize).checked_sub(book.len()) {
                Some(new) => &new_ids[new],
                None => &book.item(number).product_id,
            }
        };
        let mut items = Vec::with_capacity(self.items.len());
        for (number, mut item) in self.items {
            item.version = version;
            item.bought.cut(product_id);
            item.viewed.cut(product_id);
            items.push((number, Arc::new(item)));
        }
        let profiles = take(self.touched_profiles, &mut self.profiles);
        let orders = take(self.touched_orders, &mut self.orders);
        let unchanged_profiles = self.profiles.into_iter().collect();
        Changes { items, profiles, unchanged_profiles, orders, baskets: self.baskets }
    }

    /// Notes whether the person forbids the use of their past. Said again and again, so only a change is written.
    fn consent(&mut self, profile_id: String, denies: bool) {
        let denied = self.profiles.get(&profile_id).is_some_and(|profile| profile.denies_personalisation);
        if denied != denies {
            self.profile(profile_id).denies_personalisation = denies;
        }
    }

    fn view(&mut self, profile_id: String, time_us: i64, restated: bool, product_id: &str) {
        let together = self.profile(profile_id).view(time_us, product_id);
        if restated {
            return;
        }
        let number = self.number_of(product_id);
        let item = self.item(number);
        item.views += 1;
        item.history.count(day_of(time_us), Tally::View);
        for other in together {
            let other = self.number_of(&other);
            self.item(number).viewed.count(other);
            self.item(other).viewed.count(number);
        }
    }

    fn cart(&mut self, profile_id: String, time_us: i64, restated: bool, products: &[String]) {
        let profile = self.profile(profile_id);
        for product_id in products {
            profile.carts.add(time_us, product_id);
        }
        if restated {
            return;
        }
        for product_id in products {
            let number = self.number_of(product_id);
            self.item(number).history.count(day_of(time_us), Tally::Cart);
        }
    }

    fn order(&mut self, profile_id: String, restated: bool, key: OrderKey, telling: Telling) {
        self.profile(profile_id).tell(key, telling.clone());
        if restated {
            return;
        }
        self.touched_orders.insert(key);
        let mut order = self.orders.remove(&key).unwrap_or_default();
        let before = order.clone();
        order.tell(telling);
        if before.counted() != order.counted() {
            self.take_back(&before);
            self.count(&order);
        }
        self.orders.insert(key, order);
    }

    fn count(&mut self, order: &Order) {
        let Some((time_us, products)) = order.counted() else { return };
        let numbers: Vec<u32> = products.iter().map(|(product_id, _)| self.number_of(product_id)).collect();
        self.baskets += 1;
        for &number in &numbers {
            let pairs = numbers.len() <= MAX_PAIRED_BASKET;
            let item = self.item(number);
            item.orders += 1;
            item.history.count(day_of(time_us), Tally::Purchase);
            if pairs {
                numbers.iter().filter(|&&other| other != number).for_each(|&other| item.bought.count(other));
            }
        }
    }

    fn take_back(&mut self, order: &Order) {
        let Some((time_us, products)) = order.counted() else { return };
        let numbers: Vec<u32> = products.iter().map(|(product_id, _)| self.number_of(product_id)).collect();
        self.baskets = self.baskets.saturating_sub(1);
        for &number in &numbers {
            let pairs = numbers.len() <= MAX_PAIRED_BASKET;
            let item = self.item(number);
            item.orders = item.orders.saturating_sub(1);
            item.history.uncount(day_of(time_us), Tally::Purchase);
            if pairs {
                numbers.iter().filter(|&&other| other != number).for_each(|&other| item.bought.uncount(other));
            }
        }
    }

    /// Deletes the person, and what the kept orders would tell of them. Counts name nobody and stay.
    fn erase(&mut self, profile_id: String) {
        let erased = std::mem::take(self.profile(profile_id));
        for (key, _) in erased.orders {
            self.orders.entry(key).or_default().seal();
            self.touched_orders.insert(key);
        }
    }

    /// Returns the profile to change it.
    fn profile(&mut self, profile_id: String) -> &mut Profile {
        if !self.touched_profiles.contains(&profile_id) {
            self.touched_profiles.insert(profile_id.clone());
        }
        self.profiles.entry(profile_id).or_default()
    }

    /// Returns the item to change it.
    fn item(&mut self, number: u32) -> &mut Item {
        let (book, new_ids) = (self.book, &self.new_ids);
        self.items.entry(number).or_insert_with(|| match (number as usize).checked_sub(book.len()) {
            Some(new) => Item::new(new_ids[new].clone()),
            None => book.item(number).as_ref().clone(),
        })
    }

    fn number_of(&mut self, product_id: &str) -> u32 {
        let known = self.book.number_of(product_id).or_else(|| self.new_numbers.get(product_id).copied());
        if let Some(number) = known {
            return number;
        }
        let number = u32::try_from(self.book.len() + self.new_ids.len()).expect("fewer than 2^32 products");
        let product_id: Arc<str> = product_id.into();
        self.new_ids.push(product_id.clone());
        self.new_numbers.insert(product_id, number);
        number
    }
}

fn take<K: std::hash::Hash + Eq, V: Default>(keys: BTreeSet<K>, from: &mut HashMap<K, V>) -> Vec<(K, V)> {
    let taken = |key: K| {
        let value = from.remove(&key).unwrap_or_default();
        (key, value)
    };
    keys.into_iter().map(taken).collect()
}

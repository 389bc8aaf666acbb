//! What folding makes of a set of signals does not depend on their sequence.

use std::collections::{BTreeMap, HashMap};

use proptest::prelude::*;

use super::{
    DAY_US, MINUTE_US,
    batch::{Batch, MAX_PAIRED_BASKET},
    book::ItemBook,
    order::{
        Line, Order, OrderKey, Return, Telling,
        testing::{placed, returned},
    },
    profile::Profile,
    signal::{Act, Deed, Signal},
};

/// A shop's whole state.
#[derive(Default)]
struct State {
    book: ItemBook,
    profiles: HashMap<String, Profile>,
    orders: HashMap<OrderKey, Order>,
}

impl State {
    /// Folds signals in batches of `size`.
    fn folded(signals: &[Signal], size: usize) -> Self {
        let mut state = Self::default();
        for signals in signals.chunks(size) {
            state.fold(signals);
        }
        state
    }

    fn fold(&mut self, signals: &[Signal]) {
        let mut batch = Batch::new(&self.book, self.profiles.clone(), self.orders.clone());
        signals.iter().for_each(|signal| batch.fold(signal.clone()));
        let version = self.book.version + 1;
        let changes = batch.finish(version);
        self.book.version = version;
        self.book.baskets = changes.baskets;
        changes.items.into_iter().for_each(|(number, item)| self.book.put(number, item));
        self.profiles.extend(changes.profiles);
        self.orders.extend(changes.orders);
        self.profiles.retain(|_, profile| !profile.is_empty());
    }

    /// Returns the items by product id, with neighbours by product id: numbers depend on the sequence, and may. So may
    /// items of which nothing is left, such as those of a cancelled order.
    fn items(&self) -> BTreeMap<String, String> {
        let id = |number: u32| self.book.item(number).product_id.to_string();
        let named = |pairs: &[(u32, u32)]| -> BTreeMap<String, u32> {
            pairs.iter().map(|&(number, count)| (id(number), count)).collect()
        };
        (0..self.book.len() as u32)
            .filter(|&number| !self.book.item(number).history.days().is_empty())
            .map(|number| {
                let item = self.book.item(number);
                let (bought, viewed) = (named(item.bought.pairs()), named(item.viewed.pairs()));
                let facts = (item.orders, item.views, &item.history, bought, viewed);
                (id(number), format!("{facts:?}"))
            })
            .collect()
    }

    fn counts(&self, product: &str, other: &str) -> (u64, u32, u32) {
        let (Some(product), Some(other)) = (self.book.number_of(product), self.book.number_of(other)) else {
            return (0, 0, 0);
        };
        let item = self.book.item(product);
        (item.orders, item.bought.count_of(other), item.viewed.count_of(other))
    }
}

fn did(profile_id: &str, time_us: i64, restated: bool, act: Act) -> Signal {
    Signal { profile_id: profile_id.to_owned(), deed: Deed::Did { time_us, restated, act } }
}

fn order(profile_id: &str, order: u8, time_us: i64, restated: bool, products: &[&str]) -> Signal {
    did(profile_id, time_us, restated, Act::Order([order; 16], placed(time_us, order, products)))
}

fn forget(profile_id: &str) -> Signal {
    Signal { profile_id: profile_id.to_owned(), deed: Deed::Forget }
}

#[test]
fn an_order_told_under_two_profiles_counts_once() {
    let state = State::folded(&[order("ann", 1, 10, false, &["a", "b"]), order("bob", 1, 12, false, &["a", "b"])], 1);

    assert_eq!(state.counts("a", "b"), (1, 1, 0));
    assert_eq!(state.book.baskets, 1);
}

#[test]
fn a_changed_or_cancelled_order_changes_what_it_counted() {
    let changed = [order("ann", 1, 10, false, &["a", "b"]), order("ann", 1, 20, false, &["a", "c"])];
    let cancelled = did("ann", 30, false, Act::Order([1; 16], Telling::Cancelled));

    let mut state = State::folded(&changed, 1);
    assert_eq!((state.counts("a", "b"), state.counts("a", "c")), ((1, 0, 0), (1, 1, 0)));

    state.fold(&[cancelled]);
    assert_eq!((state.counts("a", "c"), state.book.baskets), ((0, 0, 0), 0));
}

#[test]
fn what_is_sent_back_is_taken_out_of_pairs_and_popularity() {
    let mut state = State::folded(&[order("ann", 1, 10, false, &["a", "b", "c"])], 1);

    state.fold(&[did("ann", 20, false, Act::Order([1; 16], returned(20, 7, &["c"])))]);

    assert_eq!((state.counts("a", "b"), state.counts("a", "c")), ((1, 1, 0), (1, 0, 0)));
    assert_eq!((state.counts("c", "a"), state.book.baskets), ((0, 0, 0), 1));
    assert!(state.profiles["ann"].bought().iter().all(|bought| bought.product_id != "c"));

    state.fold(&[did("ann", 30, false, Act::Order([1; 16], returned(30, 8, &["a", "b"])))]);
    assert_eq!((state.counts("a", "b"), state.book.baskets), ((0, 0, 0), 0));
}

#[test]
fn a_denial_stays_through_restatement_and_goes_with_the_person() {
    let consent =
        |denies_personalisation| Signal { profile_id: "ann".into(), deed: Deed::Consent { denies_personalisation } };
    let restate = Signal { profile_id: "ann".into(), deed: Deed::Restate };

    let mut state = State::folded(&[order("ann", 1, 10, false, &["a"]), consent(true), restate], 1);
    assert_eq!(state.profiles["ann"], Profile { denies_personalisation: true, ..Profile::default() });

    state.fold(&[consent(false)]);
    assert!(!state.profiles.contains_key("ann"));
    state.fold(&[consent(true), forget("ann")]);
    assert!(!state.profiles.contains_key("ann"));
}

#[test]
fn a_merge_moves_the_person_and_counts_nothing_again() {
    let before = [order("bob", 1, 10, false, &["a", "b"]), did("bob", 20, false, Act::View("a".into()))];
    let merge = [forget("bob"), order("ann", 1, 10, true, &["a", "b"]), did("ann", 20, true, Act::View("a".into()))];

    let mut state = State::folded(&before, 1);
    let items = state.items();
    state.fold(&merge);

    assert_eq!(state.items(), items);
    assert!(!state.profiles.contains_key("bob"));
    let ann = &state.profiles["ann"];
    assert_eq!((ann.bought().len(), ann.views.newest_first().len()), (2, 1));
}

#[test]
fn an_erased_person_leaves_counts_but_no_order() {
    let mut state = State::folded(&[order("ann", 1, 10, false, &["a", "b"])], 1);

    state.fold(&[Signal { profile_id: "ann".into(), deed: Deed::Erase }]);
    state.fold(&[order("bob", 1, 12, false, &["a", "b"])]);

    assert_eq!(state.counts("a", "b"), (1, 1, 0));
    assert!(state.orders[&[1; 16]].lines.is_empty() && !state.profiles.contains_key("ann"));
}

#[test]
fn a_huge_basket_counts_but_makes_no_pairs() {
    let ids: Vec<String> = (0..=MAX_PAIRED_BASKET).map(|number| format!("p{number:02}")).collect();
    let products: Vec<&str> = ids.iter().map(String::as_str).collect();

    let state = State::folded(&[order("ann", 1, 10, false, &products)], 1);

    assert_eq!(state.counts("p00", "p01"), (1, 0, 0));
}

fn signals() -> impl Strategy<Value = Vec<Signal>> {
    let product = || (0..6u8).prop_map(|number| format!("p{number}"));
    let profile = || (0..3u8).prop_map(|number| format!("person-{number}"));
    let time = || (0..200i64).prop_map(|minutes| 20_000 * DAY_US + minutes * 7 * MINUTE_US);
    let view = (profile(), time(), any::<bool>(), product())
        .prop_map(|(profile, time_us, restated, product)| did(&profile, time_us, restated, Act::View(product)));
    let cart = (profile(), time(), product())
        .prop_map(|(profile, time_us, product)| did(&profile, time_us, false, Act::Cart(vec![product])));
    let telling = (0..5u8, time(), any::<[u8; 2]>(), prop::collection::btree_set(product(), 0..4));
    let told = (profile(), any::<bool>(), any::<bool>(), 1..4u32, telling);
    let order = told.prop_map(|(profile, restated, sent_back, quantity, (key, time_us, event, products))| {
        let mut event_key = [0; 16];
        event_key[..2].copy_from_slice(&event);
        let lines: Vec<Line> = products.into_iter().map(|product_id| Line { product_id, quantity }).collect();
        let telling = match sent_back {
            true => Telling::Returned(Return { key: event_key, time_us, lines }),
            false => Telling::Placed { time_us, event: event_key, lines },
        };
        did(&profile, time_us, restated, Act::Order([key; 16], telling))
    });
    let cancel = (profile(), 0..5u8)
        .prop_map(|(profile, key)| did(&profile, 0, false, Act::Order([key; 16], Telling::Cancelled)));
    prop::collection::vec(prop_oneof![6 => view, 2 => cart, 4 => order, 1 => cancel], 0..40)
}

fn shuffled() -> impl Strategy<Value = (Vec<Signal>, Vec<Signal>)> {
    signals().prop_flat_map(|signals| (Just(signals.clone()), Just(signals).prop_shuffle()))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn the_sequence_of_signals_does_not_matter(
        (signals, shuffled) in shuffled(),
        size in 1..10usize,
    ) {
        // Restated views make no pairs, so whether a pair counts hangs on which of the two came last: see `Batch`.
        let plain = |signals: &[Signal]| -> Vec<Signal> {
            let is_restated = |signal: &&Signal| matches!(signal.deed, Deed::Did { restated: true, act: Act::View(_), .. });
            signals.iter().filter(|signal| !is_restated(signal)).cloned().collect()
        };
        let told = State::folded(&plain(&signals), 1);
        let retold = State::folded(&plain(&shuffled), size);
        prop_assert_eq!(told.items(), retold.items());
        prop_assert_eq!(&told.orders, &retold.orders);
        prop_assert_eq!(told.book.baskets, retold.book.baskets);

        let whole = State::folded(&signals, size);
        let whole_again = State::folded(&shuffled, 1);
        prop_assert_eq!(whole.profiles, whole_again.profiles);
    }
}

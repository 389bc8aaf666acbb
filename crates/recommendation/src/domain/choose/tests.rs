use std::collections::HashMap;

use super::*;
use crate::domain::{
    DAY_US, MINUTE_US,
    batch::Batch,
    catalogue::Provenance,
    order::{Telling, testing::lines},
    signal::{Act, Deed, Signal},
};

const NOW: i64 = 20_000 * DAY_US;

/// A shop in memory: people do things, then a question is asked.
#[derive(Default)]
struct Shop {
    book: ItemBook,
    catalogue: Catalogue,
    profiles: HashMap<String, Profile>,
    orders: u32,
}

impl Shop {
    fn sells(mut self, product_id: &str, category: &str, stock: Option<i64>) -> Self {
        self.catalogue.put(Arc::new(Product {
            product_id: product_id.into(),
            title: format!("The {product_id}"),
            category: category.into(),
            brand: String::new(),
            price: None,
            stock,
            url: String::new(),
            image_url: String::new(),
            update_time_us: 0,
            version: 1,
            provenance: Provenance::default(),
        }));
        self
    }

    fn did(mut self, profile_id: &str, time_us: i64, act: Act) -> Self {
        let mut batch = Batch::new(&self.book, std::mem::take(&mut self.profiles), HashMap::new());
        batch.fold(Signal { profile_id: profile_id.to_owned(), deed: Deed::Did { time_us, restated: false, act } });
        let version = self.book.version + 1;
        let changes = batch.finish(version);
        self.profiles = changes.profiles.into_iter().chain(changes.unchanged_profiles).collect();
        for (number, item) in changes.items {
            self.book.put(number, item);
        }
        self.book.baskets = changes.baskets;
        self.book.version = version;
        self
    }

    fn ordered(mut self, profile_id: &str, days_ago: i64, products: &[&str]) -> Self {
        self.orders += 1;
        let mut key = [0; 16];
        key[..4].copy_from_slice(&self.orders.to_be_bytes());
        let time_us = NOW - days_ago * DAY_US;
        self.did(profile_id, time_us, Act::Order(key, Telling::Placed { time_us, event: key, lines: lines(products) }))
    }

    fn viewed(self, profile_id: &str, minutes_ago: i64, product_id: &str) -> Self {
        self.did(profile_id, NOW - minutes_ago * MINUTE_US, Act::View(product_id.to_owned()))
    }

    fn choose(&self, profile_id: &str, product_ids: &[&str], change: impl FnOnce(&mut Ask<'_>)) -> Answer {
        let nobody = Profile::default();
        let product_ids: Vec<String> = product_ids.iter().map(|product| product.to_string()).collect();
        let mut ask = Ask {
            product_ids: &product_ids,
            profile: self.profiles.get(profile_id).unwrap_or(&nobody),
            limit: 10,
            include_categories: &[],
            exclude_categories: &[],
            allow_bought: false,
            as_of_us: NOW,
        };
        change(&mut ask);
        choose(&ask, &self.book, &self.catalogue)
    }
}

fn shop() -> Shop {
    Shop::default()
        .sells("candle", "Home/Candles", None)
        .sells("holder", "Home/Candles", Some(5))
        .sells("lamp", "Home", Some(0))
        .sells("mug", "Kitchen", Some(5))
        .sells("tea", "Kitchen/Tea", Some(5))
}

fn ids(answer: &Answer) -> Vec<&str> {
    answer.picks.iter().map(|pick| &*pick.product.product_id).collect()
}

fn removed(answer: &Answer, rule: Rule) -> u32 {
    answer.effects.iter().find(|(applied, _)| *applied == rule).map_or(0, |&(_, removed)| removed)
}

#[test]
fn a_product_page_shows_what_is_bought_with_it() {
    let shop = shop()
        .ordered("ann", 3, &["candle", "holder"])
        .ordered("bob", 2, &["candle", "holder", "lamp"])
        .ordered("cec", 1, &["candle"])
        .ordered("dan", 1, &["mug"]);

    let answer = shop.choose("", &["candle"], |_| {});

    let first = &answer.picks[0];
    assert_eq!((&*first.product.product_id, first.strategy), ("holder", Strategy::BoughtTogether));
    assert_eq!(first.reason, "bought together with The candle in 2 of 3 orders");
    assert_eq!(first.because, vec![Arc::<str>::from("candle")]);
    assert_eq!(ids(&answer), ["holder", "mug", "tea"]);
    assert_eq!((removed(&answer, Rule::InStock), removed(&answer, Rule::NotInRequest)), (1, 1));
    assert!(answer.picks.iter().all(|pick| (0.0..=1.0).contains(&pick.score)));
}

#[test]
fn a_visitor_sees_what_goes_with_what_they_viewed() {
    let shop = shop()
        .viewed("ann", 200, "mug")
        .viewed("ann", 195, "tea")
        .viewed("bob", 100, "mug")
        .viewed("bob", 95, "tea")
        .viewed("cec", 5, "mug")
        .viewed("dan", 5, "candle");

    let answer = shop.choose("cec", &[], |_| {});

    assert_eq!((&*answer.picks[0].product.product_id, answer.picks[0].strategy), ("tea", Strategy::Personal));
    assert_eq!(answer.picks[0].reason, "goes with The mug, viewed lately: viewed together 2 times");

    let on_page = shop.choose("", &["mug"], |_| {});
    assert_eq!(on_page.picks[0].strategy, Strategy::ViewedTogether);
    assert_eq!(on_page.picks[0].reason, "viewed together with The mug 2 times");
}

#[test]
fn what_was_bought_stays_away_unless_allowed() {
    let shop = shop().ordered("ann", 3, &["tea", "mug"]).ordered("ann", 2, &["tea"]).ordered("bob", 2, &["mug"]);

    let discovering = shop.choose("ann", &[], |_| {});
    let repeating = shop.choose("ann", &[], |ask| ask.allow_bought = true);

    assert_eq!(ids(&discovering), ["candle", "holder"]);
    assert_eq!(removed(&discovering, Rule::NotBought), 2);
    assert_eq!(repeating.picks[0].reason, "bought by this person in 2 orders");
    assert_eq!(ids(&repeating)[0], "tea");
}

#[test]
fn popular_products_say_how_popular() {
    let shop = shop().ordered("ann", 20, &["mug"]).ordered("bob", 1, &["tea"]).ordered("cec", 50, &["candle"]);

    let now = shop.choose("", &[], |_| {});
    let earlier = shop.choose("", &[], |ask| ask.as_of_us = NOW - 10 * DAY_US);

    assert_eq!(ids(&now), ["tea", "mug", "candle", "holder"]);
    assert_eq!(now.picks[0].reason, "popular: 1 purchase in the last 30 days");
    assert_eq!(now.picks[2].reason, "popular: 1 purchase in the last 400 days");
    assert_eq!(now.picks[3].reason, "in stock; nobody has viewed or bought it yet");
    assert_eq!(ids(&earlier), ["mug", "candle", "holder", "tea"]);
    assert_eq!(earlier.picks[3].reason, "in stock; not viewed or bought lately");
}

#[test]
fn categories_are_kept_in_and_out_by_level() {
    let shop = shop().ordered("ann", 2, &["tea"]).ordered("ann", 2, &["candle"]);
    let (home, candles) = (Vec::leak(vec!["Home".to_owned()]), Vec::leak(vec!["Home/Candles".to_owned()]));

    let inside = shop.choose("", &[], |ask| ask.include_categories = home);
    let outside = shop.choose("", &["tea"], |ask| ask.exclude_categories = candles);

    assert_eq!(ids(&inside), ["candle", "holder"]);
    assert_eq!(ids(&outside), ["mug"]);
    assert!(removed(&outside, Rule::ExcludeCategories) > 0);
}

#[test]
fn an_empty_shop_falls_back_to_what_is_in_stock() {
    let answer = shop().choose("nobody", &[], |ask| ask.limit = 3);

    assert_eq!(ids(&answer), ["candle", "holder", "mug"]);
    assert!(answer.picks.iter().all(|pick| pick.strategy == Strategy::Popular && pick.score == 0.0));
}

#[test]
fn events_without_a_catalogue_say_why_nothing_comes() {
    let answer = Shop::default().ordered("ann", 1, &["tea", "mug"]).choose("", &[], |_| {});

    assert!(answer.picks.is_empty());
    assert_eq!(removed(&answer, Rule::InCatalogue), 2);
}

#[test]
fn a_basket_sums_what_its_products_say() {
    let mut shop = shop();
    for _ in 0..5 {
        shop = shop.ordered("ann", 2, &["candle", "mug", "tea"]).ordered("bob", 2, &["candle", "holder"]);
    }

    let answer = shop.choose("", &["candle", "mug"], |_| {});

    assert_eq!(ids(&answer)[0], "tea");
    assert_eq!(answer.picks[0].because.len(), 2);
    assert_eq!(&*answer.picks[0].because[0], "mug");
}

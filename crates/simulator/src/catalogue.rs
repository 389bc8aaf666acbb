//! The shop's range: categories that go together and, inside them, products that go together.

use serde::Serialize;

use crate::dice::Dice;

/// One product of the catalogue.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Product {
    /// The shop's id of the product.
    pub product_id: String,
    /// What the customer reads.
    pub title: String,
    /// The category's slug.
    pub category: String,
    /// An invented brand.
    pub brand: String,
    /// Price in millionths of a unit of `currency`; always a whole number of cents.
    pub price_micros: i64,
    /// ISO 4217 code, the shop's.
    pub currency: String,
    /// Pieces in stock at the start. A product without stock is looked at but never sold.
    pub stock: u32,
    /// The product's page.
    pub url: String,
    /// The product's picture.
    pub image_url: String,
    /// Truth: ids of the products that are bought together with this one more often than chance.
    pub complements: Vec<String>,
    /// Truth: mean of the stars it gets in reviews, 1 to 5.
    pub quality: f64,
}

struct Shelf {
    slug: &'static str,
    nouns: [&'static str; 5],
    /// Price range in cents.
    range: (i64, i64),
    /// Shelves whose products are bought together with these.
    goes_with: [usize; 2],
}

const SHELVES: [Shelf; 12] = [
    shelf(
        "coffee",
        ["espresso machine", "coffee grinder", "moka pot", "coffee press", "milk frother"],
        (1_900, 19_000),
        [1, 2],
    ),
    shelf(
        "beans",
        ["espresso beans", "filter beans", "decaf beans", "ground coffee", "coffee capsules"],
        (490, 2_400),
        [0, 2],
    ),
    shelf("tableware", ["cup", "saucer", "bowl", "plate", "carafe"], (390, 3_900), [0, 3]),
    shelf("tea", ["green tea", "black tea", "herbal tea", "teapot", "tea tin"], (450, 4_500), [2, 1]),
    shelf("kitchen", ["chef knife", "frying pan", "saucepan", "cutting board", "apron"], (1_200, 14_000), [5, 2]),
    shelf("pantry", ["olive oil", "sea salt", "spice jar", "honey", "dried pasta"], (290, 1_900), [4, 3]),
    shelf("bath", ["bath towel", "hand soap", "bath mat", "body brush", "bath salt"], (350, 4_900), [7, 8]),
    shelf("candles", ["scented candle", "candle holder", "tealight box", "wax melt", "matches"], (250, 3_400), [6, 8]),
    shelf("bedding", ["duvet cover", "pillow case", "linen sheet", "wool throw", "cushion"], (1_500, 16_000), [6, 7]),
    shelf("garden", ["plant pot", "pruner", "watering can", "seed box", "garden gloves"], (390, 7_900), [10, 11]),
    shelf("plants", ["olive tree", "fern", "lavender", "basil", "monstera"], (490, 6_900), [9, 7]),
    shelf("stationery", ["notebook", "fountain pen", "greeting card", "ink bottle", "desk lamp"], (220, 6_500), [7, 2]),
];

const fn shelf(slug: &'static str, nouns: [&'static str; 5], range: (i64, i64), goes_with: [usize; 2]) -> Shelf {
    Shelf { slug, nouns, range, goes_with }
}

const ADJECTIVES: [&str; 14] = [
    "Copper",
    "Blue",
    "Old Harbour",
    "Linen",
    "Midnight",
    "Provence",
    "Little",
    "Grand",
    "Smoked",
    "Honest",
    "Winter",
    "Saffron",
    "Stone",
    "Sunday",
];
const BRANDS: [&str; 10] =
    ["Aubrac", "Belle Rive", "Cassine", "Dunmore", "Elster", "Fontane", "Grange", "Halden", "Ivoire", "Juno"];

/// Number of categories, and least number of products per category.
pub(crate) const CATEGORIES: usize = SHELVES.len();
pub(crate) const MINIMUM_PRODUCTS: u32 = 2 * CATEGORIES as u32;

/// The products with what the simulation needs to choose among them quickly.
pub(crate) struct Catalogue {
    pub(crate) products: Vec<Product>,
    /// For each product, the indices of its complements.
    complements: Vec<Vec<usize>>,
    /// Product indices per category, most popular first, with cumulative popularity.
    shelves: Vec<Vec<(usize, f64)>>,
    /// Products in stock, cheapest first.
    by_price: Vec<usize>,
}

impl Catalogue {
    pub(crate) fn stock(seed: u64, count: u32, currency: &str) -> Self {
        let mut dice = Dice::new(seed, "catalogue", 0);
        let count = count.max(MINIMUM_PRODUCTS) as usize;
        let mut products: Vec<Product> = (0..count).map(|index| draw_product(&mut dice, index, currency)).collect();
        let complements: Vec<Vec<usize>> = (0..count).map(|index| draw_complements(&mut dice, index, count)).collect();
        for (index, others) in complements.iter().enumerate() {
            products[index].complements = others.iter().map(|&other| product_id(other)).collect();
        }
        let shelves = (0..CATEGORIES).map(|category| arrange(&mut dice, category, count)).collect();
        let mut by_price: Vec<usize> = (0..count).filter(|&index| products[index].stock > 0).collect();
        by_price.sort_by_key(|&index| (products[index].price_micros, index));
        Self { products, complements, shelves, by_price }
    }

    /// A product of the category, the popular ones more often, in stock or not.
    pub(crate) fn draw(&self, dice: &mut Dice, category: usize) -> usize {
        let shelf = &self.shelves[category];
        let total = shelf.last().map_or(0.0, |&(_, sum)| sum);
        let wanted = dice.unit() * total;
        let place = shelf.partition_point(|&(_, sum)| sum <= wanted);
        shelf[place.min(shelf.len() - 1)].0
    }

    /// One of the products that go with this one.
    pub(crate) fn complement(&self, dice: &mut Dice, product: usize) -> usize {
        *dice.pick(&self.complements[product])
    }

    pub(crate) fn sells(&self, product: usize) -> bool {
        self.products[product].stock > 0
    }

    /// The price in cents of the market's currency, at least one.
    pub(crate) fn price_cents(&self, product: usize, rate: f64) -> i64 {
        let cents = self.products[product].price_micros / 10_000;
        ((cents as f64 * rate).round() as i64).max(1)
    }

    /// The cheapest product in stock that costs at least so many cents, or the dearest of all.
    pub(crate) fn at_least(&self, cents: i64, rate: f64) -> usize {
        let place = self.by_price.partition_point(|&product| self.price_cents(product, rate) < cents);
        self.by_price[place.min(self.by_price.len() - 1)]
    }
}

/// The slug of a category.
pub(crate) fn category_slug(category: usize) -> &'static str {
    SHELVES[category].slug
}

/// What somebody looking for this category types.
pub(crate) fn search_words(category: usize, choice: usize) -> &'static str {
    SHELVES[category].nouns[choice % 5]
}

/// The category of the product number `index`: categories take turns.
pub(crate) fn category_of(index: usize) -> usize {
    index % CATEGORIES
}

fn product_id(index: usize) -> String {
    format!("P{index:05}")
}

fn draw_product(dice: &mut Dice, index: usize, currency: &str) -> Product {
    let shelf = &SHELVES[category_of(index)];
    let noun = shelf.nouns[(index / CATEGORIES) % 5];
    let (low, high) = (shelf.range.0 as f64, shelf.range.1 as f64);
    let price = low * (high / low).powf(dice.unit());
    // Prices end in 0 cents below the next ten, as shop prices do.
    let cents = ((price / 10.0).round() as i64 * 10).max(shelf.range.0);
    let id = product_id(index);
    Product {
        title: format!("{} {noun} {}", dice.pick(&ADJECTIVES), index / CATEGORIES + 1),
        category: shelf.slug.to_owned(),
        brand: (*dice.pick(&BRANDS)).to_owned(),
        price_micros: cents * 10_000,
        currency: currency.to_owned(),
        // The first product of each category is always there, so that every preference can be served.
        stock: if index >= CATEGORIES && dice.chance(0.05) { 0 } else { dice.between(20, 800) as u32 },
        url: format!("https://shop.example/p/{id}"),
        image_url: format!("https://shop.example/i/{id}.jpg"),
        complements: Vec::new(),
        quality: if dice.chance(0.04) { 2.0 } else { 3.6 + 1.2 * dice.unit() },
        product_id: id,
    }
}

/// Two products, each from a category that goes with this product's.
fn draw_complements(dice: &mut Dice, index: usize, count: usize) -> Vec<usize> {
    let shelf = &SHELVES[category_of(index)];
    shelf
        .goes_with
        .iter()
        .map(|&category| {
            let members = (count - category).div_ceil(CATEGORIES);
            category + CATEGORIES * dice.index(members)
        })
        .collect()
}

/// The category's products in a drawn order of popularity, which falls like a power of the rank.
fn arrange(dice: &mut Dice, category: usize, count: usize) -> Vec<(usize, f64)> {
    let mut members: Vec<usize> = (category..count).step_by(CATEGORIES).collect();
    dice.shuffle(&mut members);
    let mut sum = 0.0;
    members
        .into_iter()
        .enumerate()
        .map(|(rank, product)| {
            sum += 1.0 / (rank as f64 + 2.0).powf(0.8);
            (product, sum)
        })
        .collect()
}

//! What the caller may choose about the world.

use chrono::{DateTime, Datelike, TimeZone, Utc};
use serde::{Deserialize, Serialize};

/// Everything that decides a world. Two equal configurations give the same bytes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WorldConfig {
    /// The seed of all randomness.
    pub seed: u64,
    /// How many people exist, whether or not the shop ever hears of them. At most 1,000,000.
    pub people: u32,
    /// How many products the catalogue holds. At least 24, so that every category has two; fewer are raised to it.
    pub products: u32,
    /// The first instant of the world.
    pub start: DateTime<Utc>,
    /// How many days the world lasts. Nothing happens and nothing is received from `start + days` on.
    pub days: u32,
    /// ISO 4217 code of the catalogue's prices.
    pub shop_currency: String,
    /// Where customers live and what they pay in.
    pub markets: Vec<Market>,
    /// How often a source hands over what it has collected, in minutes (at most 1,440). 0 sends each device's flush as
    /// a delivery of its own; 1,440 gives the fewest and largest bodies.
    pub flush_minutes: u32,
    /// Most events in one body.
    pub batch_max: usize,
    /// The laws purchases follow.
    pub purchases: PurchaseModel,
    /// What people are like and what they do.
    pub habits: Habits,
    /// What goes wrong between the person and the collector.
    pub noise: Noise,
}

impl Default for WorldConfig {
    fn default() -> Self {
        Self {
            seed: 1,
            people: 2_000,
            products: 300,
            start: Utc.with_ymd_and_hms(2025, 1, 1, 0, 0, 0).single().expect("a valid date"),
            days: 365,
            shop_currency: "EUR".to_owned(),
            markets: vec![
                Market::new("FR", "EUR", 1.0, 0.70),
                Market::new("BE", "EUR", 1.0, 0.12),
                Market::new("DE", "EUR", 1.0, 0.10),
                Market::new("GB", "GBP", 0.85, 0.05),
                Market::new("CH", "CHF", 0.95, 0.03),
            ],
            flush_minutes: 60,
            batch_max: 500,
            purchases: PurchaseModel::default(),
            habits: Habits::default(),
            noise: Noise::default(),
        }
    }
}

impl WorldConfig {
    /// The first instant after the world.
    pub fn end(&self) -> DateTime<Utc> {
        self.start + chrono::Duration::days(i64::from(self.days))
    }

    /// Every reason why no world can be drawn from this, or none.
    pub fn check(&self) -> Result<(), String> {
        let model = &self.purchases;
        let parameters = [model.r, model.alpha_days, model.a, model.b, model.p, model.q, model.gamma];
        let positive = |value: f64| value.is_finite() && value > 0.0;
        let rules = [
            (self.people <= 1_000_000, "people must be at most 1000000"),
            (self.products <= 100_000, "products must be at most 100000"),
            ((1..=3_650).contains(&self.days), "days must be between 1 and 3650"),
            ((1970..=9000).contains(&self.start.year()), "start must lie between 1970 and 9000"),
            (!self.markets.is_empty(), "markets must name at least one"),
            (
                self.markets.iter().all(|market| positive(market.rate) && positive(market.weight)),
                "every market's rate and weight must be positive",
            ),
            (parameters.into_iter().all(positive), "every parameter of purchases must be positive"),
            (self.habits.visits_per_month <= 300.0, "habits.visits_per_month must be at most 300"),
        ];
        let broken: Vec<&str> = rules.iter().filter(|(holds, _)| !holds).map(|&(_, rule)| rule).collect();
        if broken.is_empty() { Ok(()) } else { Err(broken.join("; ")) }
    }
}

/// One country the shop sells to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Market {
    /// ISO 3166-1 alpha-2 code. FR, BE, DE, GB and CH have their own names and phone numbers; others borrow those of GB.
    pub country: String,
    /// ISO 4217 code of the orders placed there; a currency with two decimals.
    pub currency: String,
    /// What one unit of the shop's currency is worth in `currency`.
    pub rate: f64,
    /// Share of the people who live there, relative to the other markets.
    pub weight: f64,
}

impl Market {
    /// A market by its four facts.
    pub fn new(country: &str, currency: &str, rate: f64, weight: f64) -> Self {
        Self { country: country.to_owned(), currency: currency.to_owned(), rate, weight }
    }
}

/// BG/NBD for purchase times and Gamma-Gamma for their values (Fader, Hardie and Lee 2005).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PurchaseModel {
    /// Shape of the purchase rate's Gamma distribution.
    pub r: f64,
    /// Rate of the purchase rate's Gamma distribution, in days: a person's mean purchase rate is r / alpha a day.
    pub alpha_days: f64,
    /// First parameter of the dropout's Beta distribution.
    pub a: f64,
    /// Second parameter of the dropout's Beta distribution.
    pub b: f64,
    /// Shape of one order's value given the person.
    pub p: f64,
    /// Shape of the person's scale.
    pub q: f64,
    /// Rate of the person's scale, in units of the shop's currency: mean order value is p * gamma / (q - 1).
    pub gamma: f64,
}

impl Default for PurchaseModel {
    fn default() -> Self {
        Self { r: 0.8, alpha_days: 55.0, a: 0.7, b: 3.2, p: 6.0, q: 4.0, gamma: 30.0 }
    }
}

/// Shares and rates of behaviour; each between 0 and 1 unless said.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Habits {
    /// Weight of people who only ever browse and never say who they are.
    pub visitors: f64,
    /// Weight of people who order with an e-mail address and no account.
    pub guests: f64,
    /// Weight of people with an account on the site.
    pub accounts: f64,
    /// Weight of people known by a loyalty card at the till and not online.
    pub card_holders: f64,
    /// Weight of people who pay at the till and show nothing.
    pub walk_ins: f64,
    /// Share of account holders who buy at all.
    pub buying_accounts: f64,
    /// Share of account holders who also have a loyalty card and buy in shops.
    pub accounts_with_card: f64,
    /// Share of a card holder's till purchases at which the card is shown.
    pub card_shown: f64,
    /// Share of people with a second device; the square of it has a third.
    pub second_device: f64,
    /// Share of people who live with the person generated before them and share a tablet.
    pub family: f64,
    /// Share of families who give one phone number.
    pub family_phone: f64,
    /// Kiosk tablets in the shops, each used by many people.
    pub kiosks: u32,
    /// Share of till purchases preceded by a look at a kiosk.
    pub kiosk_use: f64,
    /// Mean browsing visits per person and month that lead to no order, while the person is a customer or visitor.
    pub visits_per_month: f64,
    /// Share of those visits that fill a cart and leave it.
    pub abandon: f64,
    /// Share of online orders whose cart was filled on an earlier visit.
    pub resumed: f64,
    /// Share of orders given back, whole or in part.
    pub refund: f64,
    /// Share of online orders followed by a review.
    pub review: f64,
    /// Share of reachable people who agree to marketing e-mail.
    pub marketing_email: f64,
    /// Share of those who take it back later.
    pub withdraw: f64,
}

impl Default for Habits {
    fn default() -> Self {
        Self {
            visitors: 0.25,
            guests: 0.10,
            accounts: 0.45,
            card_holders: 0.12,
            walk_ins: 0.08,
            buying_accounts: 0.8,
            accounts_with_card: 0.35,
            card_shown: 0.85,
            second_device: 0.45,
            family: 0.12,
            family_phone: 0.25,
            kiosks: 2,
            kiosk_use: 0.15,
            visits_per_month: 0.5,
            abandon: 0.12,
            resumed: 0.15,
            refund: 0.05,
            review: 0.08,
            marketing_email: 0.7,
            withdraw: 0.05,
        }
    }
}

/// Shares of things that go wrong, each between 0 and 1.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Noise {
    /// Share of flushes that arrive one hour to three days late.
    pub late: f64,
    /// Share of flushes whose events are out of call order.
    pub shuffled: f64,
    /// Share of events delivered twice under the same message id.
    pub duplicate: f64,
    /// Share of online orders also announced by the shop's server, under another message id.
    pub server_copy: f64,
    /// Share of identify calls, and of visits, that carry a value such as `undefined`, `test@test.com` or 0600000000 in
    /// place of an identifier.
    pub garbage: f64,
    /// Share of identify calls that write a right value untidily: upper case, spaces, a national phone number.
    pub untidy: f64,
    /// Share of devices that send numbers as strings.
    pub string_numbers: f64,
}

impl Default for Noise {
    fn default() -> Self {
        Self {
            late: 0.03,
            shuffled: 0.15,
            duplicate: 0.01,
            server_copy: 0.30,
            garbage: 0.01,
            untidy: 0.06,
            string_numbers: 0.05,
        }
    }
}

impl Noise {
    /// A perfect world: in order, once, clean.
    pub fn none() -> Self {
        Self {
            late: 0.0,
            shuffled: 0.0,
            duplicate: 0.0,
            server_copy: 0.0,
            garbage: 0.0,
            untidy: 0.0,
            string_numbers: 0.0,
        }
    }
}

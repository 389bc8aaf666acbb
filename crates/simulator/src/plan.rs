//! What a person will do and when, before any of it is played.

use crate::basket::{Basket, compose, dream};
use crate::catalogue::Catalogue;
use crate::config::WorldConfig;
use crate::dice::Dice;
use crate::person::Person;
use crate::purchases::order_value;
use crate::signal::Cart;

pub(crate) const SECOND: i64 = 1_000;
pub(crate) const HOUR: i64 = 3_600 * SECOND;
pub(crate) const DAY: i64 = 24 * HOUR;

/// One intention.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Intent {
    /// Look around on a kiosk before going to the till.
    Kiosk,
    /// Put things in the cart and go away, to come back for them.
    Fill {
        cart: u32,
    },
    /// Put things in the cart and never order them.
    Abandon {
        cart: u32,
    },
    Browse,
    /// Order the cart; `filled` when that began on an earlier visit.
    Buy {
        cart: u32,
        filled: bool,
    },
    PayAtTill {
        cart: u32,
    },
    /// The night on which the customer file is exported with this card for the first time.
    Registered,
    /// Take back the consent to e-mail.
    Withdraw,
}

/// Draws the intentions of a person, in order of time (milliseconds since the epoch).
pub(crate) fn plan(
    config: &WorldConfig,
    catalogue: &Catalogue,
    person: &Person,
    number: u32,
    carts: &mut Vec<Cart>,
) -> Vec<(i64, Intent)> {
    let mut planner = Planner {
        config,
        catalogue,
        person,
        start: config.start.timestamp_millis(),
        end: config.end().timestamp_millis(),
        dice: Dice::new(config.seed, "plan", u64::from(number)),
        carts,
        plans: Vec::new(),
    };
    planner.purchases(number);
    planner.visits();
    if let Some(withdrawn) = person.consent.email_withdrawn
        && withdrawn.timestamp_millis() < planner.end - HOUR
    {
        planner.plans.push((withdrawn.timestamp_millis(), Intent::Withdraw));
    }
    planner.plans.sort_unstable();
    planner.plans
}

struct Planner<'a> {
    config: &'a WorldConfig,
    catalogue: &'a Catalogue,
    person: &'a Person,
    start: i64,
    end: i64,
    dice: Dice,
    carts: &'a mut Vec<Cart>,
    plans: Vec<(i64, Intent)>,
}

impl Planner<'_> {
    fn purchases(&mut self, number: u32) {
        // Values come from a stream of their own: they stay what they are whatever else a person does.
        let mut values = Dice::new(self.config.seed, "values", u64::from(number));
        let hidden = &self.person.traits;
        for &day in &hidden.purchase_days {
            let mean_cents = self.person.mean_value_micros as f64 / 1e4;
            let worth = order_value(&mut values, &self.config.purchases, mean_cents);
            let cents = (worth * hidden.rate).round() as i64;
            let basket = compose(&mut self.dice, self.catalogue, &hidden.tastes, hidden.rate, cents);
            let cart = self.cart(basket);
            if self.dice.chance(hidden.till_share) {
                self.till_purchase(day, cart);
            } else {
                self.online_purchase(day, cart);
            }
        }
        let registered = hidden.purchase_days.first().map(|day| self.start + (day.floor() as i64 + 1) * DAY + 2 * HOUR);
        if let (Some(at), Some(_)) = (registered.filter(|&at| at < self.end), hidden.crm) {
            self.plans.push((at, Intent::Registered));
        }
    }

    fn till_purchase(&mut self, day: f64, cart: u32) {
        let at = self.moment(day, 8, 18);
        self.plans.push((at, Intent::PayAtTill { cart }));
        if self.config.habits.kiosks > 0 && self.dice.chance(self.config.habits.kiosk_use) {
            self.plans.push((at - self.dice.between(1_000, 1_800) * SECOND, Intent::Kiosk));
        }
    }

    fn online_purchase(&mut self, day: f64, cart: u32) {
        let at = self.moment(day, 6, 22);
        let filled_at = at - self.dice.between(2 * HOUR, 40 * HOUR);
        let filled = self.dice.chance(self.config.habits.resumed) && filled_at > self.start;
        if filled {
            self.plans.push((filled_at, Intent::Fill { cart }));
        }
        self.plans.push((at, Intent::Buy { cart, filled }));
    }

    /// Visits without an order: often around the time as a customer, seldom before and after.
    fn visits(&mut self) {
        let hidden = &self.person.traits;
        if self.person.devices.is_empty() {
            return;
        }
        let rate = hidden.visits_per_day.max(1e-6);
        let from = hidden.purchase_days.first().map_or(0.0, |first| first - 20.0);
        let until = hidden.gone_day.unwrap_or(f64::from(self.config.days));
        let mut day = self.dice.wait(rate);
        while day < f64::from(self.config.days) {
            let interested = (from..=until).contains(&day);
            if interested || self.dice.chance(0.15) {
                let at = self.moment(day, 6, 22);
                let intent = self.visit_intent();
                self.plans.push((at, intent));
            }
            day += self.dice.wait(rate);
        }
    }

    fn visit_intent(&mut self) -> Intent {
        if !self.dice.chance(self.config.habits.abandon) {
            return Intent::Browse;
        }
        let hidden = &self.person.traits;
        let lines = dream(&mut self.dice, self.catalogue, &hidden.tastes, hidden.rate);
        let cart = self.cart(Basket { lines, discount_cents: 0, shipping_cents: 0 });
        Intent::Abandon { cart }
    }

    fn cart(&mut self, basket: Basket) -> u32 {
        self.carts.push(Cart { basket });
        self.carts.len() as u32 - 1
    }

    /// A moment of the given day (UTC) within opening hours. The laws of purchase speak of days; the hour is drawn so that
    /// nobody shops at four in the morning, evenings being busiest.
    fn moment(&mut self, day: f64, first_hour: i64, last_hour: i64) -> i64 {
        let early = self.dice.between(first_hour, last_hour);
        let late = self.dice.between(first_hour, last_hour);
        let hour = if self.dice.chance(0.5) { early.max(late) } else { early };
        let within = self.dice.between(0, HOUR - 1);
        self.start + day.floor() as i64 * DAY + hour * HOUR + within
    }
}

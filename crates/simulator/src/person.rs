//! The people: who they truly are, what they own, how much they buy and what they put up with.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use serde::Serialize;

use crate::catalogue::{CATEGORIES, category_slug};
use crate::config::{Habits, WorldConfig};
use crate::dice::Dice;
use crate::names::{country, email, loyalty_card};
use crate::purchases::{Appetite, Career, career};
use crate::signal::SourceKind;

/// How the shop can know a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
pub enum Relation {
    /// Browses, and never says who they are.
    Visitor,
    /// Orders with an e-mail address, without an account.
    Guest,
    /// Has an account on the site, and perhaps a loyalty card.
    Account,
    /// Known at the till by a loyalty card only.
    CardHolder,
    /// Pays at the till and shows nothing.
    WalkIn,
}

/// A browser, an app on a telephone, or a tablet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Device {
    /// The anonymous id its events carry.
    pub anonymous_id: String,
    /// Where its events come from.
    pub source: SourceKind,
    /// The user agent it sends.
    pub user_agent: &'static str,
    /// True when several people use it: a family's tablet, a kiosk in a shop.
    pub shared: bool,
    /// True when it sends numbers as strings.
    pub string_numbers: bool,
}

/// What a person agreed to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Consent {
    /// Adverts on other sites.
    pub advertising: bool,
    /// Marketing by e-mail, as given at first.
    pub marketing_email: bool,
    /// Marketing by text message.
    pub marketing_sms: bool,
    /// When marketing by e-mail was taken back, if it was.
    pub email_withdrawn: Option<DateTime<Utc>>,
}

/// How a person answers to messages.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Responsiveness {
    /// Chance that a message sent at the best hour, after a quiet week, is opened.
    pub open: f64,
    /// Chance that an opened message is clicked.
    pub click: f64,
    /// Messages a week beyond which the person thinks of leaving.
    pub patience: f64,
    /// The hour of the day, UTC, at which messages are read soonest.
    pub best_hour: u32,
}

/// One true person.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Person {
    /// The truth's own id. It appears in no event.
    pub person_id: String,
    /// How the shop can know this person.
    pub relation: Relation,
    /// Given name.
    pub first_name: String,
    /// Family name.
    pub last_name: String,
    /// ISO 3166-1 alpha-2.
    pub country: String,
    /// Town of residence.
    pub city: &'static str,
    /// Postal code of the town.
    pub postal_code: &'static str,
    /// Language and country, such as `fr-FR`.
    pub locale: &'static str,
    /// ISO 4217 code of what this person pays in.
    pub currency: String,
    /// Account id on the site.
    pub user_id: Option<String>,
    /// E-mail address in lower case, if the shop can learn one.
    pub email: Option<String>,
    /// Telephone number in E.164, if the shop can learn one. Shared inside a family when `family_phone`.
    pub phone: Option<String>,
    /// True when `phone` is the number of the whole family.
    pub family_phone: bool,
    /// Number on the loyalty card.
    pub loyalty_card: Option<String>,
    /// Number of the family, for those who live with others in the world.
    pub family: Option<u32>,
    /// Devices of this person, the favourite first; a family tablet stands last.
    pub devices: Vec<Device>,
    /// What the person agreed to.
    pub consent: Consent,
    /// Truth of BG/NBD: purchases per day while alive. 0 for those who never buy.
    pub purchase_rate: f64,
    /// Truth of BG/NBD: chance of never coming back, after each repeat purchase.
    pub dropout: f64,
    /// Truth of Gamma-Gamma: mean value of an order, in millionths of a unit of the shop's currency.
    pub mean_value_micros: i64,
    /// The first purchase the process drew, if any fell into the world.
    pub first_purchase: Option<DateTime<Utc>>,
    /// The purchase after which the person was gone for good, if that was inside the world.
    pub gone_after: Option<DateTime<Utc>>,
    /// Slugs of the preferred categories.
    pub preferred_categories: Vec<&'static str>,
    /// How the person answers to messages.
    pub responsiveness: Responsiveness,
    pub(crate) traits: Hidden,
}

/// What only the simulation needs to know.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Hidden {
    pub(crate) tastes: Vec<usize>,
    /// Worth of a unit of the shop's currency in what the person pays.
    pub(crate) rate: f64,
    /// Share of purchases made in a shop.
    pub(crate) till_share: f64,
    /// The account has been told the number of the card.
    pub(crate) card_in_account: bool,
    /// The card was registered in the CRM with these: e-mail, telephone, account.
    pub(crate) crm: Option<[bool; 3]>,
    /// Browsing visits per day while interested.
    pub(crate) visits_per_day: f64,
    /// Purchase days since the start.
    pub(crate) purchase_days: Vec<f64>,
    pub(crate) gone_day: Option<f64>,
    /// First member of the family: the one whose tablet and telephone it is.
    pub(crate) head: Option<u32>,
}

/// Draws everybody. A person depends on the configuration and its own number, and on the head of its family.
pub(crate) fn populate(config: &WorldConfig) -> Vec<Person> {
    let mut people: Vec<Person> = Vec::with_capacity(config.people as usize);
    for number in 0..config.people {
        let previous = people.last_mut();
        let person = draw_person(config, number, previous);
        people.push(person);
    }
    people
}

fn draw_person(config: &WorldConfig, number: u32, neighbour: Option<&mut Person>) -> Person {
    let habits = &config.habits;
    let mut dice = Dice::new(config.seed, "person", u64::from(number));
    let relation = draw_relation(&mut dice, habits);
    let market = &config.markets[dice.weighted(config.markets.iter().map(|market| market.weight))];
    let land = country(&market.country);
    let first_name = *dice.pick(land.first_names);
    let last_name = *dice.pick(land.last_names);
    let (city, postal_code) = *dice.pick(land.towns);
    let buys = match relation {
        Relation::Visitor => false,
        Relation::Account => dice.chance(habits.buying_accounts),
        _ => true,
    };
    let has_card = match relation {
        Relation::CardHolder => true,
        Relation::Account => buys && dice.chance(habits.accounts_with_card),
        _ => false,
    };
    let crm = (has_card && dice.chance(0.8)).then(|| [dice.chance(0.75), dice.chance(0.6), dice.chance(0.3)]);
    let says_email = matches!(relation, Relation::Guest | Relation::Account) || crm.is_some_and(|known| known[0]);
    let says_phone = match relation {
        Relation::Account => dice.chance(0.6),
        _ => crm.is_some_and(|known| known[1]),
    };
    let appetite = Appetite::draw(&mut dice, &config.purchases);
    let Career { days, gone } = draw_career(&mut dice, config, buys, &appetite);
    let tastes = draw_tastes(&mut dice);
    let mut person = Person {
        person_id: format!("person-{number:07}"),
        relation,
        first_name: first_name.to_owned(),
        last_name: last_name.to_owned(),
        country: market.country.clone(),
        city,
        postal_code,
        locale: land.locale,
        currency: market.currency.clone(),
        user_id: (relation == Relation::Account).then(|| account_id(number)),
        email: None,
        phone: says_phone.then(|| land.phone(number)),
        family_phone: false,
        loyalty_card: has_card.then(|| loyalty_card(number)),
        family: None,
        devices: draw_devices(&mut dice, config, relation),
        consent: Consent {
            advertising: dice.chance(0.6),
            marketing_email: says_email && dice.chance(habits.marketing_email),
            marketing_sms: says_phone && dice.chance(0.3),
            email_withdrawn: None,
        },
        purchase_rate: if buys { appetite.rate } else { 0.0 },
        dropout: appetite.dropout,
        mean_value_micros: (appetite.mean_value * 1e6) as i64,
        first_purchase: days.first().map(|&day| instant(config, day)),
        gone_after: gone.map(|day| instant(config, day)),
        preferred_categories: tastes.iter().map(|&category| category_slug(category)).collect(),
        responsiveness: Responsiveness {
            open: dice.beta(3.0, 5.0),
            click: dice.beta(2.0, 8.0),
            patience: 1.0 + dice.gamma(2.0, 1.0),
            best_hour: dice.between(6, 21) as u32,
        },
        traits: Hidden {
            tastes,
            rate: market.rate,
            till_share: match relation {
                Relation::CardHolder | Relation::WalkIn => 1.0,
                Relation::Account if has_card => 0.2 + 0.5 * dice.unit(),
                _ => 0.0,
            },
            card_in_account: relation == Relation::Account && has_card && dice.chance(0.4),
            crm,
            visits_per_day: dice.gamma(1.2, 1.2) * habits.visits_per_month / 30.0,
            purchase_days: days,
            gone_day: gone,
            head: None,
        },
    };
    // Drawn last, because a family lends its name and its telephone.
    if let Some(neighbour) = neighbour
        && dice.chance(habits.family)
    {
        join_family(&mut dice, config, &mut person, number, neighbour);
    }
    if says_email {
        person.email = Some(email(&person.first_name, &person.last_name, number));
    }
    if person.consent.marketing_email && dice.chance(habits.withdraw) {
        person.consent.email_withdrawn = Some(instant(config, dice.unit() * f64::from(config.days)));
    }
    person
}

fn draw_relation(dice: &mut Dice, habits: &Habits) -> Relation {
    const RELATIONS: [Relation; 5] =
        [Relation::Visitor, Relation::Guest, Relation::Account, Relation::CardHolder, Relation::WalkIn];
    let weights = [habits.visitors, habits.guests, habits.accounts, habits.card_holders, habits.walk_ins];
    RELATIONS[dice.weighted(weights.into_iter())]
}

/// Nobody is acquired in the last sixth of the world, so that most have a past to learn from.
fn draw_career(dice: &mut Dice, config: &WorldConfig, buys: bool, appetite: &Appetite) -> Career {
    if !buys {
        return Career { days: Vec::new(), gone: None };
    }
    let end = f64::from(config.days);
    let first = dice.unit() * end * 5.0 / 6.0;
    career(dice, appetite, first, end)
}

/// Two or three different categories.
fn draw_tastes(dice: &mut Dice) -> Vec<usize> {
    let count = 2 + dice.index(2);
    let mut tastes: Vec<usize> = Vec::with_capacity(count);
    while tastes.len() < count {
        let category = dice.index(CATEGORIES);
        if !tastes.contains(&category) {
            tastes.push(category);
        }
    }
    tastes
}

fn draw_devices(dice: &mut Dice, config: &WorldConfig, relation: Relation) -> Vec<Device> {
    if matches!(relation, Relation::CardHolder | Relation::WalkIn) {
        return Vec::new();
    }
    let second = config.habits.second_device;
    let count = 1 + usize::from(dice.chance(second)) + usize::from(dice.chance(second * second));
    (0..count).map(|_| draw_device(dice, config, false)).collect()
}

pub(crate) fn draw_device(dice: &mut Dice, config: &WorldConfig, shared: bool) -> Device {
    const AGENTS: [&str; 4] = [
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/138.0.0.0 Safari/537.36",
        "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Safari/605.1.15",
        "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
        "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Mobile/15E148 Safari/604.1",
    ];
    const TABLET: &str = "Mozilla/5.0 (Linux; Android 15; SM-X210) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/138.0.0.0 Safari/537.36";
    const APP: &str = "Comptoir-Shop/4.2 (Android 15; Pixel 8)";
    let in_app = !shared && dice.chance(0.2);
    Device {
        anonymous_id: dice.uuid().to_string(),
        source: if in_app { SourceKind::App } else { SourceKind::Site },
        user_agent: match (shared, in_app) {
            (true, _) => TABLET,
            (_, true) => APP,
            _ => AGENTS[dice.index(AGENTS.len())],
        },
        shared,
        string_numbers: dice.chance(config.noise.string_numbers),
    }
}

/// The person lives with the neighbour: same name, same town, one tablet for those who are online, perhaps one telephone.
fn join_family(dice: &mut Dice, config: &WorldConfig, person: &mut Person, number: u32, neighbour: &mut Person) {
    let head = neighbour.traits.head.unwrap_or(number - 1);
    neighbour.traits.head = Some(head);
    neighbour.family = Some(head);
    person.traits.head = Some(head);
    person.family = Some(head);
    person.last_name.clone_from(&neighbour.last_name);
    person.country.clone_from(&neighbour.country);
    (person.city, person.postal_code, person.locale) = (neighbour.city, neighbour.postal_code, neighbour.locale);
    person.currency.clone_from(&neighbour.currency);
    person.traits.rate = neighbour.traits.rate;
    let one_phone = dice.chance(config.habits.family_phone);
    if let (true, Some(phone)) = (one_phone && person.phone.is_some(), &neighbour.phone) {
        person.phone = Some(phone.clone());
        person.family_phone = true;
        neighbour.family_phone = true;
    } else if person.phone.is_some() {
        person.phone = Some(country(&person.country).phone(number));
    }
    if !neighbour.devices.is_empty() && !person.devices.is_empty() {
        let tablet = match neighbour.devices.last() {
            Some(last) if last.shared => last.clone(),
            _ => draw_device(&mut Dice::new(config.seed, "tablet", u64::from(head)), config, true),
        };
        if neighbour.devices.last() != Some(&tablet) {
            neighbour.devices.push(tablet.clone());
        }
        person.devices.push(tablet);
    }
}

fn account_id(number: u32) -> String {
    format!("u{}", 100_000 + u64::from(number) * 7)
}

fn instant(config: &WorldConfig, day: f64) -> DateTime<Utc> {
    config.start + chrono::Duration::milliseconds((day * 86_400_000.0) as i64)
}

/// Identifiers that belong to several people, and so prove nothing.
pub(crate) fn shared_values(people: &[Person], kiosks: &[Device]) -> HashSet<String> {
    let tablets = people.iter().flat_map(|person| &person.devices).chain(kiosks);
    let phones = people.iter().filter(|person| person.family_phone).filter_map(|person| person.phone.clone());
    tablets.filter(|device| device.shared).map(|device| device.anonymous_id.clone()).chain(phones).collect()
}

//! Signals as Segment events.

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Map, Value, json};

use crate::basket::{Line, subtotal};
use crate::catalogue::{Catalogue, category_of, category_slug, search_words};
use crate::dice::{mix, uuid_from};
use crate::person::{Device, Person};
use crate::signal::{Act, Cart, DeviceRef, Flaw, Order, Origin, Signal};

/// What the events refer to.
pub(crate) struct Scene<'a> {
    pub(crate) seed: u64,
    pub(crate) catalogue: &'a Catalogue,
    pub(crate) people: &'a [Person],
    pub(crate) kiosks: &'a [Device],
    pub(crate) orders: &'a [Order],
    pub(crate) carts: &'a [Cart],
}

const CAMPAIGNS: [(&str, &str, &str); 4] = [
    ("brand", "google", "cpc"),
    ("spring range", "newsletter", "email"),
    ("lookbook", "instagram", "social"),
    ("partners", "homeblog", "affiliate"),
];
const REVIEWS: [[&str; 4]; 3] = [
    ["Broke after a week.", "Not like the picture at all.", "Too small, sent it back.", "Très déçu, mauvaise qualité."],
    ["It is all right.", "Correct pour le prix.", "Good product, slow delivery.", "Smaller than I thought."],
    ["Exactly what I wanted.", "Parfait, je recommande !", "Beautiful, my sister wants one too.", "Superbe qualité."],
];

impl Scene<'_> {
    /// One event of a `/v1/batch` body.
    pub(crate) fn event(&self, signal: &Signal) -> Value {
        let person = &self.people[signal.person as usize];
        let device = signal.ids.device.map(|reference| self.device(person, reference));
        let mut event = Map::new();
        let (kind, name) = kind_and_name(signal, device);
        event.insert("type".into(), kind.into());
        event.insert("messageId".into(), self.message_id(signal).into());
        event.insert("timestamp".into(), rfc3339(signal.at).into());
        if let Some(name) = name {
            let key = if kind == "track" { "event" } else { "name" };
            event.insert(key.into(), name.into());
        }
        if let Some(anonymous_id) = self.anonymous_id(signal, device) {
            event.insert("anonymousId".into(), anonymous_id.into());
        }
        if let Some(user_id) = user_id(signal, person) {
            event.insert("userId".into(), user_id.into());
        }
        event.insert("context".into(), self.context(signal, person, device));
        if matches!(signal.act, Act::Identify) {
            event.insert("traits".into(), traits(signal, person));
        } else {
            let strings = signal.origin == Origin::Client && device.is_some_and(|device| device.string_numbers);
            let mut properties = self.properties(signal);
            if strings {
                numbers_to_strings(&mut properties);
            }
            event.insert("properties".into(), properties);
        }
        Value::Object(event)
    }

    fn device<'a>(&'a self, person: &'a Person, reference: DeviceRef) -> &'a Device {
        match reference {
            DeviceRef::Own(place) => &person.devices[usize::from(place)],
            DeviceRef::Kiosk(number) => &self.kiosks[usize::from(number)],
        }
    }

    /// Browsers prefix their ids as analytics.js does, servers as analytics-node does, the rest send a plain UUID.
    fn message_id(&self, signal: &Signal) -> String {
        let high = mix(self.seed ^ mix(u64::from(signal.person)));
        let low = mix(high ^ u64::from(signal.number));
        let id = uuid_from(mix(low ^ 1), low);
        match signal.origin {
            Origin::Client => format!("ajs-next-{}-{id}", signal.at),
            Origin::Server => format!("node-next-{}-{id}", signal.at),
            Origin::Till | Origin::Crm => id.to_string(),
        }
    }

    /// The device's id; for a till receipt without a card, an id that only this receipt has.
    fn anonymous_id(&self, signal: &Signal, device: Option<&Device>) -> Option<String> {
        match (device, signal.ids.receipt) {
            (Some(device), _) => Some(device.anonymous_id.clone()),
            (None, Some(order)) => Some(receipt_id(&self.orders[order as usize])),
            (None, None) => None,
        }
    }

    fn context(&self, signal: &Signal, person: &Person, device: Option<&Device>) -> Value {
        let mut context = Map::new();
        let library = match (signal.origin, device) {
            (Origin::Client, _) => ("analytics.js", "npm:next-1.84.3"),
            (Origin::Server, _) => ("@segment/analytics-node", "3.1.0"),
            (Origin::Till, _) => ("till", "7.0"),
            (Origin::Crm, _) => ("crm-export", "1.2"),
        };
        context.insert("library".into(), json!({"name": library.0, "version": library.1}));
        if let (Origin::Client, Some(device)) = (signal.origin, device) {
            context.insert("userAgent".into(), device.user_agent.into());
            context.insert("locale".into(), person.locale.into());
            let path = self.path(signal);
            let url = format!("https://shop.example{path}");
            context.insert("page".into(), json!({"path": path, "url": url, "title": "Shop"}));
        }
        if let Some(campaign) = signal.campaign {
            let (name, source, medium) = CAMPAIGNS[usize::from(campaign)];
            context.insert("campaign".into(), json!({"name": name, "source": source, "medium": medium}));
        }
        if let Some(consent) = consent(signal, person, device) {
            context.insert("consent".into(), json!({"categoryPreferences": consent}));
        }
        if signal.ids.card
            && let Some(card) = &person.loyalty_card
        {
            let card = json!([{"id": card, "type": "loyalty_card", "collection": "users", "encoding": "none"}]);
            context.insert("externalIds".into(), card);
        }
        let known = signal.ids.email && !matches!(signal.act, Act::Identify);
        if let (true, Some(email)) = (known, &person.email) {
            context.insert("traits".into(), json!({"email": email}));
        }
        Value::Object(context)
    }

    fn path(&self, signal: &Signal) -> String {
        match &signal.act {
            Act::Page(path) => (*path).to_owned(),
            Act::Search { .. } => "/search".to_owned(),
            Act::List { category, .. } => format!("/c/{}", category_slug(usize::from(*category))),
            Act::View { product } | Act::Review { product, .. } => self.product_path(*product as usize),
            Act::Add { line, .. } => self.product_path(line.product),
            Act::CartView { .. } => "/cart".to_owned(),
            Act::Checkout { .. } | Act::Order { .. } | Act::Refund { .. } => "/checkout".to_owned(),
            Act::Identify | Act::Consent => "/account".to_owned(),
        }
    }

    fn product_path(&self, product: usize) -> String {
        format!("/p/{}", self.catalogue.products[product].product_id)
    }

    fn properties(&self, signal: &Signal) -> Value {
        let person = &self.people[signal.person as usize];
        let (rate, currency) = (person.traits.rate, person.currency.as_str());
        match &signal.act {
            Act::Page(path) => json!({"path": path, "url": format!("https://shop.example{path}")}),
            Act::Search { category, word } => {
                json!({"query": search_words(usize::from(*category), usize::from(*word))})
            }
            Act::List { category, products } => {
                let slug = category_slug(usize::from(*category));
                let lines = products.iter().enumerate().map(|(place, &product)| {
                    let mut value = self.product(product as usize, rate);
                    value.insert("position".into(), (place + 1).into());
                    Value::Object(value)
                });
                json!({"list_id": format!("list-{slug}"), "category": slug, "products": lines.collect::<Vec<_>>()})
            }
            Act::View { product } => {
                let mut value = self.product(*product as usize, rate);
                value.insert("currency".into(), currency.into());
                Value::Object(value)
            }
            Act::Add { line, cart } => {
                let mut value = self.line(line);
                value.insert("cart_id".into(), self.cart_id(*cart).into());
                value.insert("currency".into(), currency.into());
                Value::Object(value)
            }
            Act::CartView { cart } => {
                let lines = self.lines(&self.carts[*cart as usize].basket.lines);
                json!({"cart_id": self.cart_id(*cart), "currency": currency, "products": lines})
            }
            Act::Checkout { cart } => {
                let basket = &self.carts[*cart as usize].basket;
                json!({
                    "checkout_id": self.cart_id(*cart),
                    "value": amount(basket.total_cents()),
                    "revenue": amount(basket.subtotal_cents() - basket.discount_cents),
                    "shipping": amount(basket.shipping_cents),
                    "discount": amount(basket.discount_cents),
                    "currency": currency,
                    "products": self.lines(&basket.lines),
                })
            }
            Act::Order { order } => self.order(&self.orders[*order as usize]),
            Act::Refund { order, lines, cents } => {
                let order = &self.orders[*order as usize];
                let mut value = Map::new();
                value.insert("order_id".into(), order.order_id.as_str().into());
                value.insert("currency".into(), order.currency.as_str().into());
                value.insert("total".into(), amount(*cents));
                if let Some(lines) = lines {
                    value.insert("products".into(), self.lines(lines));
                }
                Value::Object(value)
            }
            Act::Review { product, stars, body } => {
                let mood = usize::from(stars.saturating_sub(1) / 2).min(2);
                let review_id = mix(self.seed ^ mix(u64::from(signal.person)) ^ u64::from(signal.number));
                json!({
                    "product_id": self.catalogue.products[*product as usize].product_id,
                    "review_id": format!("r{review_id:016x}"),
                    "review_body": REVIEWS[mood][usize::from(*body)],
                    "rating": stars.to_string(),
                })
            }
            Act::Identify | Act::Consent => json!({}),
        }
    }

    fn order(&self, order: &Order) -> Value {
        let basket = &order.basket;
        let mut value = Map::new();
        if let Some(cart) = order.cart {
            value.insert("checkout_id".into(), self.cart_id(cart).into());
        } else {
            value.insert("affiliation".into(), "Shop till".into());
        }
        value.insert("order_id".into(), order.order_id.as_str().into());
        value.insert("subtotal".into(), amount(basket.subtotal_cents()));
        value.insert("revenue".into(), amount(subtotal(&basket.lines) - basket.discount_cents));
        value.insert("discount".into(), amount(basket.discount_cents));
        value.insert("shipping".into(), amount(basket.shipping_cents));
        value.insert("total".into(), amount(basket.total_cents()));
        value.insert("currency".into(), order.currency.as_str().into());
        value.insert("products".into(), self.lines(&basket.lines));
        Value::Object(value)
    }

    fn lines(&self, lines: &[Line]) -> Value {
        lines.iter().map(|line| Value::Object(self.line(line))).collect()
    }

    fn line(&self, line: &Line) -> Map<String, Value> {
        let mut value = self.product(line.product, 1.0);
        value.insert("price".into(), amount(line.price_cents));
        value.insert("quantity".into(), line.quantity.into());
        value
    }

    fn product(&self, index: usize, rate: f64) -> Map<String, Value> {
        let product = &self.catalogue.products[index];
        let mut value = Map::new();
        value.insert("product_id".into(), product.product_id.as_str().into());
        value.insert("name".into(), product.title.as_str().into());
        value.insert("category".into(), category_slug(category_of(index)).into());
        value.insert("brand".into(), product.brand.as_str().into());
        value.insert("price".into(), amount(self.catalogue.price_cents(index, rate)));
        value
    }

    fn cart_id(&self, cart: u32) -> String {
        format!("cart-{:016x}", mix(self.seed ^ mix(u64::from(cart)).rotate_left(17)))
    }
}

/// The id standing for whoever held this receipt.
pub(crate) fn receipt_id(order: &Order) -> String {
    format!("receipt-{}", order.order_id)
}

/// Time as the clients write it: UTC, milliseconds.
pub(crate) fn rfc3339(millis: i64) -> String {
    let time: DateTime<Utc> = DateTime::from_timestamp_millis(millis).expect("the world's times are valid");
    time.to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// A decimal number of two places; the shortest text that reads back as these cents.
pub(crate) fn amount(cents: i64) -> Value {
    Value::from(cents as f64 / 100.0)
}

fn kind_and_name(signal: &Signal, device: Option<&Device>) -> (&'static str, Option<&'static str>) {
    let track = |name| ("track", Some(name));
    match &signal.act {
        Act::Page(_) if device.is_some_and(|device| device.user_agent.starts_with("Comptoir")) => {
            ("screen", Some("Shop"))
        }
        Act::Page(_) => ("page", Some("Shop")),
        Act::Identify => ("identify", None),
        Act::Search { .. } => track("Products Searched"),
        Act::List { .. } => track("Product List Viewed"),
        Act::View { .. } => track("Product Viewed"),
        Act::Add { .. } => track("Product Added"),
        Act::CartView { .. } => track("Cart Viewed"),
        Act::Checkout { .. } => track("Checkout Started"),
        Act::Order { .. } => track("Order Completed"),
        Act::Refund { .. } => track("Order Refunded"),
        Act::Review { .. } => track("Product Reviewed"),
        Act::Consent => track("Segment Consent Preference Updated"),
    }
}

fn user_id<'a>(signal: &Signal, person: &'a Person) -> Option<&'a str> {
    match signal.flaw {
        Some(Flaw::GarbageUser(value)) => Some(value),
        _ if signal.ids.user => person.user_id.as_deref(),
        _ => None,
    }
}

/// What the page knows of the person's choices. Nothing at a kiosk before a name is given, nor at the till.
fn consent(signal: &Signal, person: &Person, device: Option<&Device>) -> Option<Value> {
    let given = &person.consent;
    let known = signal.ids.user || signal.ids.email;
    let own = device.is_some_and(|device| !device.shared);
    if !known && !own {
        return None;
    }
    let mut categories = json!({"analytics": true, "advertising": given.advertising});
    if known {
        let withdrawn = given.email_withdrawn.is_some_and(|time| time.timestamp_millis() <= signal.at);
        categories["marketing_email"] = (given.marketing_email && !withdrawn).into();
        if person.phone.is_some() {
            categories["marketing_sms"] = given.marketing_sms.into();
        }
    }
    Some(categories)
}

fn traits(signal: &Signal, person: &Person) -> Value {
    let mut traits = Map::new();
    traits.insert("firstName".into(), person.first_name.as_str().into());
    traits.insert("lastName".into(), person.last_name.as_str().into());
    traits.insert(
        "address".into(),
        json!({"country": person.country, "city": person.city, "postalCode": person.postal_code}),
    );
    if let Some(email) = email_as_sent(signal, person) {
        traits.insert("email".into(), email.into());
    }
    if let Some(phone) = phone_as_sent(signal, person) {
        traits.insert("phone".into(), phone.into());
    }
    Value::Object(traits)
}

fn email_as_sent(signal: &Signal, person: &Person) -> Option<String> {
    if signal.flaw == Some(Flaw::GarbageEmail) {
        return Some("test@test.com".to_owned());
    }
    let email = person.email.as_ref().filter(|_| signal.ids.email)?;
    Some(match signal.flaw {
        Some(Flaw::UpperEmail) => email.to_uppercase(),
        Some(Flaw::SpacedEmail) => format!("  {email} "),
        _ => email.clone(),
    })
}

fn phone_as_sent(signal: &Signal, person: &Person) -> Option<String> {
    if signal.flaw == Some(Flaw::GarbagePhone) {
        return Some("0600000000".to_owned());
    }
    let phone = person.phone.as_ref().filter(|_| signal.ids.phone)?;
    Some(match signal.flaw {
        Some(Flaw::NationalPhone) => phone.replacen("+33", "0", 1),
        Some(Flaw::SpacedPhone) => format!("{} {} {}", &phone[..3], &phone[3..6], &phone[6..]),
        _ => phone.clone(),
    })
}

/// Writes every number as text, as some shops' pages do.
fn numbers_to_strings(value: &mut Value) {
    match value {
        Value::Number(number) => *value = Value::String(number.to_string()),
        Value::Array(items) => items.iter_mut().for_each(numbers_to_strings),
        Value::Object(fields) => fields.values_mut().for_each(numbers_to_strings),
        _ => {}
    }
}

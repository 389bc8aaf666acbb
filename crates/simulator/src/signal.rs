//! One thing that happened, small and not yet written as JSON.

use std::fmt;

use chrono::{DateTime, Utc};
use serde::Serialize;

use crate::basket::{Basket, Line};

/// Which of the shop's systems sends a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SourceKind {
    /// The web site, its server, and the kiosks in the shops.
    Site,
    /// The app on telephones.
    App,
    /// The tills in the shops.
    Till,
    /// The nightly export of the customer file.
    Crm,
}

impl SourceKind {
    /// All four, in the order deliveries of the same instant have.
    pub const ALL: [Self; 4] = [Self::Site, Self::App, Self::Till, Self::Crm];

    /// A name fit for a source id: `site`, `app`, `till`, `crm`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Site => "site",
            Self::App => "app",
            Self::Till => "till",
            Self::Crm => "crm",
        }
    }
}

impl fmt::Display for SourceKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// One true order.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Order {
    /// The shop's number; unique.
    pub order_id: String,
    /// Index of the buyer in `World::people`.
    pub person: usize,
    /// When it was placed.
    pub time: DateTime<Utc>,
    /// Where: Site, App or Till.
    pub source: SourceKind,
    /// ISO 4217 code of all its amounts.
    pub currency: String,
    /// What was bought.
    pub basket: Basket,
    /// What was given back in the world's time, in millionths of a unit of `currency`.
    pub refunded_micros: i64,
    /// True when the shop's server announces it too, under another message id.
    pub sent_twice: bool,
    /// True when the buyer showed who they are: signed in, gave an e-mail address, or held out the card.
    pub identified: bool,
    pub(crate) cart: Option<u32>,
}

impl Order {
    /// What the customer paid, in millionths of a unit of `currency`.
    pub fn total_micros(&self) -> i64 {
        self.basket.total_cents() * 10_000
    }
}

/// What was put in a cart. Ordered or not.
#[derive(Debug, Clone)]
pub(crate) struct Cart {
    pub(crate) basket: Basket,
}

/// Which device sent it: the person's own by place, or a kiosk of the shop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DeviceRef {
    Own(u8),
    Kiosk(u8),
}

/// Which system of the shop made the event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    Client,
    Server,
    Till,
    Crm,
}

/// The identifiers an event truly carries. A value spoilt by a [`Flaw`] is not among them.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Ids {
    pub(crate) device: Option<DeviceRef>,
    pub(crate) user: bool,
    pub(crate) email: bool,
    pub(crate) phone: bool,
    pub(crate) card: bool,
    /// The order whose till receipt stands in for a person who showed nothing.
    pub(crate) receipt: Option<u32>,
}

/// What is wrong with the identifiers of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flaw {
    /// A user id that is nobody's: `undefined` or `null`.
    GarbageUser(&'static str),
    /// test@test.com
    GarbageEmail,
    /// 0600000000
    GarbagePhone,
    UpperEmail,
    SpacedEmail,
    NationalPhone,
    SpacedPhone,
}

impl Flaw {
    /// True when the value must not be believed at all, false when it only wants cleaning.
    pub(crate) fn is_garbage(self) -> bool {
        matches!(self, Self::GarbageUser(_) | Self::GarbageEmail | Self::GarbagePhone)
    }
}

/// What happened.
#[derive(Debug, Clone)]
pub(crate) enum Act {
    Page(&'static str),
    Search { category: u8, word: u8 },
    List { category: u8, products: [u32; 3] },
    View { product: u32 },
    Add { line: Line, cart: u32 },
    CartView { cart: u32 },
    Checkout { cart: u32 },
    Order { order: u32 },
    Refund { order: u32, lines: Option<Vec<Line>>, cents: i64 },
    Review { product: u32, stars: u8, body: u8 },
    Identify,
    Consent,
}

/// One event before it is written.
#[derive(Debug, Clone)]
pub(crate) struct Signal {
    /// Milliseconds since the Unix epoch.
    pub(crate) at: i64,
    pub(crate) person: u32,
    /// The person's events are numbered; the message id comes from it.
    pub(crate) number: u32,
    pub(crate) origin: Origin,
    pub(crate) ids: Ids,
    pub(crate) act: Act,
    pub(crate) flaw: Option<Flaw>,
    pub(crate) campaign: Option<u8>,
}

/// Events that one sender collects in one go.
#[derive(Debug)]
pub(crate) struct Visit {
    pub(crate) source: SourceKind,
    pub(crate) signals: Vec<Signal>,
}

/// All that happened, in no order yet.
#[derive(Debug, Default)]
pub(crate) struct Journal {
    pub(crate) visits: Vec<Visit>,
    pub(crate) orders: Vec<Order>,
    pub(crate) carts: Vec<Cart>,
}

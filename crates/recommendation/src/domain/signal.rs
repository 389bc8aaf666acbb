//! What a record of the profile log means here.

use super::order::{OrderKey, Telling};

/// What a record tells of one profile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Signal {
    /// Whose.
    pub(crate) profile_id: String,
    /// What.
    pub(crate) deed: Deed,
}

/// What happened to or by a profile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Deed {
    /// The person did something with products.
    Did {
        /// When, by event time.
        time_us: i64,
        /// Told before under another profile: it counts for the person, not again for the products.
        restated: bool,
        /// What.
        act: Act,
    },
    /// It is no more: its state is to be deleted, and told again under another.
    Forget,
    /// What it did is to be deleted; what remains valid is told again.
    Restate,
    /// The person's answers as they now stand.
    Consent {
        /// They said no to the purpose `personalisation`, on whatever channel.
        denies_personalisation: bool,
    },
    /// The person was erased.
    Erase,
}

/// Something done with products.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Act {
    /// A product's page was viewed.
    View(String),
    /// Products were put into a basket.
    Cart(Vec<String>),
    /// An order came about or changed.
    Order(OrderKey, Telling),
}

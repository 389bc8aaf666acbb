//! What campaign knows of one person.
//!
//! Folding does not depend on the order in which events come: they are kept by their own time and id. What is kept is
//! bounded, so of a person who does very much the oldest is forgotten.

use std::collections::BTreeMap;

use proto::identity::v1::Profile;
use proto::r#type::v1::{Consent, ConsentState};

use super::time::micros_or_zero;

/// Changes of the basket that are remembered per person.
const MOST_CHANGES: usize = 32;
/// Orders that are remembered per person.
const MOST_ORDERS: usize = 30;
/// Products that are remembered per change or order.
pub(crate) const MOST_PRODUCTS: usize = 20;
const MOST_TRAITS: usize = 100;
const LONGEST_TRAIT: usize = 512;
const LONGEST_ADDRESS: usize = 320;

/// A person, as stored.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Contact {
    /// E-mail address of the golden record; empty when unknown.
    #[prost(string, tag = "1")]
    pub(crate) email: String,
    /// The golden record by trait name.
    #[prost(btree_map = "string, string", tag = "2")]
    pub(crate) traits: BTreeMap<String, String>,
    /// By purpose, then channel.
    #[prost(message, repeated, tag = "3")]
    pub(crate) answers: Vec<Answer>,
    /// By time, then event id.
    #[prost(message, repeated, tag = "4")]
    pub(crate) basket: Vec<BasketChange>,
    /// By time, then order id.
    #[prost(message, repeated, tag = "5")]
    pub(crate) orders: Vec<Order>,
}

/// A person's answer to one purpose on one channel.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Answer {
    #[prost(string, tag = "1")]
    pub(crate) purpose: String,
    #[prost(string, tag = "2")]
    pub(crate) channel: String,
    #[prost(bool, tag = "3")]
    pub(crate) granted: bool,
    /// When it was given; of the same answer given again, one of these times.
    #[prost(int64, tag = "4")]
    pub(crate) decided_us: i64,
}

/// One change of a basket.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct BasketChange {
    #[prost(int64, tag = "1")]
    pub(crate) time_us: i64,
    #[prost(string, tag = "2")]
    pub(crate) event_id: String,
    /// True when the products came out, false when they went in.
    #[prost(bool, tag = "3")]
    pub(crate) removed: bool,
    #[prost(message, repeated, tag = "4")]
    pub(crate) products: Vec<Product>,
}

/// A product as events tell of it.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Product {
    #[prost(string, tag = "1")]
    pub(crate) product_id: String,
    #[prost(string, tag = "2")]
    pub(crate) name: String,
    #[prost(string, tag = "3")]
    pub(crate) url: String,
    #[prost(string, tag = "4")]
    pub(crate) image_url: String,
}

/// An order.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Order {
    #[prost(string, tag = "1")]
    pub(crate) order_id: String,
    /// When it was placed; 0 while only its cancellation is known.
    #[prost(int64, tag = "2")]
    pub(crate) time_us: i64,
    /// When it was cancelled or given back whole; 0 otherwise.
    #[prost(int64, tag = "3")]
    pub(crate) cancelled_us: i64,
    #[prost(message, repeated, tag = "4")]
    pub(crate) products: Vec<Product>,
}

impl Contact {
    /// Takes over the golden record and the answers of a profile. Returns whether that changed anything.
    pub(crate) fn update(&mut self, profile: &Profile) -> bool {
        let mut changed = false;
        let golden = profile.traits.iter().find(|known| known.name == "email").map(|known| known.value.as_str());
        let any = || profile.identifiers.iter().filter(|id| id.kind == "email").map(|id| id.value.as_str()).min();
        let email = golden.or_else(any).map(str::trim).filter(|email| email.len() <= LONGEST_ADDRESS).unwrap_or("");
        if self.email != email {
            self.email = email.to_owned();
            changed = true;
        }

        let kept = || {
            let fitting = profile.traits.iter().filter(|known| known.value.len() <= LONGEST_TRAIT);
            fitting.take(MOST_TRAITS).map(|known| (known.name.as_str(), known.value.as_str()))
        };
        let same =
            kept().count() == self.traits.len() && kept().all(|(name, value)| self.trait_of(name) == Some(value));
        if !same {
            self.traits = kept().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
            changed = true;
        }
        // Who publishes knows every answer and keeps the newest, so that these stand in the place of those before.
        let answers: Vec<Answer> = profile.consents.iter().filter_map(Answer::read).collect();
        if self.answers != answers {
            self.answers = answers;
            changed = true;
        }
        changed
    }

    /// Returns a trait of the golden record.
    pub(crate) fn trait_of(&self, name: &str) -> Option<&str> {
        self.traits.get(name).map(String::as_str)
    }

    /// Whether the person's newest answer to a purpose on a channel is yes, as far as is known now.
    ///
    /// Of an answer for the channel and one for all channels the newer counts, and of two at the same instant the refusal.
    pub(crate) fn consents(&self, purpose: &str, channel: &str) -> bool {
        let concerned = self
            .answers
            .iter()
            .filter(|known| known.purpose == purpose && (known.channel == channel || known.channel.is_empty()));
        concerned.map(|known| (known.decided_us, !known.granted)).max().is_some_and(|(_, denied)| !denied)
    }

    /// Takes in a change of the basket. Returns false when it was known or is too old to be kept.
    pub(crate) fn change_basket(&mut self, change: BasketChange) -> bool {
        let key = (change.time_us, change.event_id.as_str());
        let Err(index) = self.basket.binary_search_by(|known| (known.time_us, known.event_id.as_str()).cmp(&key))
        else {
            return false;
        };
        if self.basket.len() >= MOST_CHANGES {
            if index == 0 {
                return false;
            }
            self.basket.remove(0);
            self.basket.insert(index - 1, change);
        } else {
            self.basket.insert(index, change);
        }
        true
    }

    /// Takes in an order, which counts once however often it is told; the earliest time counts.
    pub(crate) fn place_order(&mut self, order_id: &str, time_us: i64, products: Vec<Product>) -> bool {
        let known = self.orders.iter().position(|known| known.order_id == order_id);
        match known {
            Some(index) if self.orders[index].time_us != 0 && self.orders[index].time_us <= time_us => return false,
            Some(index) => {
                self.orders[index].time_us = time_us;
                self.orders[index].products = products;
            }
            None => self.orders.push(Order { order_id: order_id.to_owned(), time_us, cancelled_us: 0, products }),
        }
        self.trim_orders();
        true
    }

    /// Takes in that an order was cancelled or given back whole; the earliest time counts.
    pub(crate) fn cancel_order(&mut self, order_id: &str, time_us: i64) -> bool {
        let index = self.orders.iter().position(|known| known.order_id == order_id).unwrap_or_else(|| {
            self.orders.push(Order { order_id: order_id.to_owned(), ..Order::default() });
            self.orders.len() - 1
        });
        let order = &mut self.orders[index];
        if order.cancelled_us != 0 && order.cancelled_us <= time_us {
            return false;
        }
        order.cancelled_us = time_us;
        self.trim_orders();
        true
    }

    fn trim_orders(&mut self) {
        self.orders.sort_by(|one, other| {
            (one.time_us.max(one.cancelled_us), &one.order_id)
                .cmp(&(other.time_us.max(other.cancelled_us), &other.order_id))
        });
        while self.orders.len() > MOST_ORDERS {
            self.orders.remove(0);
        }
    }

    /// Returns an order that was placed by `as_of_us` and not cancelled by then.
    pub(crate) fn standing_order(&self, order_id: &str, as_of_us: i64) -> Option<&Order> {
        self.orders.iter().find(|order| {
            let placed = order.time_us != 0 && order.time_us <= as_of_us;
            let cancelled = order.cancelled_us != 0 && order.cancelled_us <= as_of_us;
            order.order_id == order_id && placed && !cancelled
        })
    }

    /// Whether an order was placed after `after_us` and by `as_of_us`.
    pub(crate) fn ordered_between(&self, after_us: i64, as_of_us: i64) -> bool {
        self.orders.iter().any(|order| order.time_us > after_us && order.time_us <= as_of_us)
    }

    /// Whether nothing is known.
    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl Answer {
    fn read(consent: &Consent) -> Option<Self> {
        let granted = match consent.state() {
            ConsentState::Granted => true,
            ConsentState::Denied => false,
            ConsentState::Unspecified => return None,
        };
        let decided_us = micros_or_zero(consent.decided_time.as_ref());
        Some(Self { purpose: consent.purpose.clone(), channel: consent.channel.clone(), granted, decided_us })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::time::timestamp;

    fn consent(granted: bool, channel: &str, time_us: i64) -> Consent {
        let state = if granted { ConsentState::Granted } else { ConsentState::Denied };
        Consent {
            purpose: "marketing".into(),
            channel: channel.into(),
            state: state.into(),
            decided_time: Some(timestamp(time_us)),
            proof: String::new(),
        }
    }

    fn told(consents: &[Consent]) -> Contact {
        let mut contact = Contact::default();
        assert!(contact.update(&Profile { consents: consents.to_vec(), ..Profile::default() }));
        contact
    }

    #[test]
    fn the_newest_answer_counts_and_of_two_at_once_the_refusal() {
        let consents = |answers: &[Consent]| told(answers).consents("marketing", "email");

        assert!(consents(&[consent(true, "email", 10)]));
        assert!(!consents(&[consent(true, "email", 10), consent(false, "", 20)]));
        assert!(consents(&[consent(false, "email", 10), consent(true, "", 20)]));
        assert!(!consents(&[consent(true, "email", 10), consent(false, "", 10)]));
        assert!(!consents(&[consent(true, "sms", 10)]));
        assert!(!Contact::default().consents("marketing", "email"));
    }

    #[test]
    fn what_is_published_takes_the_place_of_what_was() {
        let mut contact = told(&[consent(true, "email", 10)]);
        let again = Profile { consents: vec![consent(true, "email", 10)], ..Profile::default() };
        let denied = Profile { consents: vec![consent(false, "email", 50)], ..Profile::default() };

        assert!(!contact.update(&again));
        assert!(contact.update(&denied));
        assert!(!contact.consents("marketing", "email"));
    }

    #[test]
    fn an_order_counts_once_by_its_id_and_a_cancellation_may_come_first() {
        let mut contact = Contact::default();
        contact.cancel_order("o1", 50);
        assert!(contact.place_order("o1", 10, Vec::new()));
        assert!(!contact.place_order("o1", 12, Vec::new()));

        assert!(contact.standing_order("o1", 40).is_some());
        assert!(contact.standing_order("o1", 50).is_none());
        assert!(contact.ordered_between(9, 10) && !contact.ordered_between(10, 99));
    }
}

//! What a perfect system would find.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use serde::Serialize;

use crate::person::{Device, Person, shared_values};
use crate::post::Mishaps;
use crate::render::receipt_id;
use crate::signal::{Act, DeviceRef, Ids, Journal, Order, Signal};

/// The kinds of identifier that events carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum IdentifierKind {
    /// `userId`.
    UserId,
    /// `anonymousId`: of a device, or of a till receipt without a card.
    AnonymousId,
    /// E-mail address, lower case, trimmed.
    Email,
    /// Telephone number in E.164.
    Phone,
    /// The id of an entry of `context.externalIds` of type `loyalty_card`.
    LoyaltyCard,
}

/// One identifier in its clean form.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Identifier {
    /// What it is.
    pub kind: IdentifierKind,
    /// Its value.
    pub value: String,
}

/// Identifiers of one person that the events tie together, directly or by way of each other. A resolver working from
/// deterministic evidence must put all of a group in one profile, and must never put groups of two people in one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Group {
    /// Index of the person in `World::people`.
    pub person: usize,
    /// The identifiers, shared and dirty ones left out.
    pub identifiers: BTreeSet<Identifier>,
}

/// Counts over the whole world. "Distinct" counts an event once however often it is delivered.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Truth {
    /// Distinct events.
    pub events: u64,
    /// People with at least one event, known or not.
    pub people_seen: u64,
    /// People with at least one order.
    pub people_buying: u64,
    /// All groups, by person. People seen only through shared devices have none; people whose devices, cards and receipts
    /// nothing ties together have several.
    pub groups: Vec<Group>,
    /// Groups that hold a user id, an e-mail address, a telephone number or a loyalty card.
    pub identified_groups: u64,
    /// Values that several people truly share: family tablets, kiosks, a family's telephone.
    pub shared: BTreeSet<String>,
    /// Distinct orders, by order id.
    pub orders: u64,
    /// Orders whose buyer showed who they are.
    pub identified_orders: u64,
    /// Sum of the orders' totals per currency, refunds not taken off, in millionths.
    pub revenue_micros: BTreeMap<String, i64>,
    /// Orders refunded in whole or part.
    pub refunds: u64,
    /// Sum of the refunds per currency, in millionths.
    pub refunded_micros: BTreeMap<String, i64>,
    /// Orders announced by both the client and the server, under two message ids.
    pub orders_sent_twice: u64,
    /// Carts filled and never ordered.
    pub carts_abandoned: u64,
    /// Events delivered a second time under the same message id.
    pub duplicates: u64,
    /// Distinct events that arrived an hour or more late.
    pub late: u64,
    /// Distinct events in flushes that were shuffled.
    pub shuffled: u64,
    /// Distinct events that carry a worthless value where an identifier belongs.
    pub garbage_identifiers: u64,
    /// Distinct events that carry a right identifier written untidily.
    pub untidy_identifiers: u64,
    /// Reviews written.
    pub reviews: u64,
}

pub(crate) fn establish(people: &[Person], kiosks: &[Device], journal: &Journal, mishaps: Mishaps) -> Truth {
    let shared = shared_values(people, kiosks);
    let mut truth =
        Truth { duplicates: mishaps.duplicates, late: mishaps.late, shuffled: mishaps.shuffled, ..Truth::default() };
    count_orders(&mut truth, &journal.orders);
    let mut carts_filled = BTreeSet::new();
    let mut evidence: Vec<BTreeSet<Vec<Identifier>>> = vec![BTreeSet::new(); people.len()];
    let mut seen = vec![false; people.len()];
    for signal in journal.visits.iter().flat_map(|visit| &visit.signals) {
        let number = signal.person as usize;
        seen[number] = true;
        truth.events += 1;
        count_signal(&mut truth, signal, &mut carts_filled);
        let together = identifiers(&people[number], signal.ids, &journal.orders, &shared);
        evidence[number].insert(together);
    }
    truth.people_seen = seen.iter().filter(|&&seen| seen).count() as u64;
    for ordered in journal.orders.iter().filter_map(|order| order.cart) {
        carts_filled.remove(&ordered);
    }
    truth.carts_abandoned = carts_filled.len() as u64;
    for (person, bundles) in evidence.into_iter().enumerate() {
        truth.groups.extend(join(bundles).into_iter().map(|identifiers| Group { person, identifiers }));
    }
    truth.identified_groups = truth.groups.iter().filter(|group| is_identified(group)).count() as u64;
    truth.shared = shared.into_iter().collect();
    truth
}

fn is_identified(group: &Group) -> bool {
    group.identifiers.iter().any(|identifier| identifier.kind != IdentifierKind::AnonymousId)
}

fn count_orders(truth: &mut Truth, orders: &[Order]) {
    let mut buyers = HashSet::new();
    for order in orders {
        buyers.insert(order.person);
        truth.orders += 1;
        truth.identified_orders += u64::from(order.identified);
        truth.orders_sent_twice += u64::from(order.sent_twice);
        *truth.revenue_micros.entry(order.currency.clone()).or_default() += order.total_micros();
        if order.refunded_micros > 0 {
            truth.refunds += 1;
            *truth.refunded_micros.entry(order.currency.clone()).or_default() += order.refunded_micros;
        }
    }
    truth.people_buying = buyers.len() as u64;
}

fn count_signal(truth: &mut Truth, signal: &Signal, carts_filled: &mut BTreeSet<u32>) {
    match signal.flaw {
        Some(flaw) if flaw.is_garbage() => truth.garbage_identifiers += 1,
        Some(_) => truth.untidy_identifiers += 1,
        None => {}
    }
    match signal.act {
        Act::Add { cart, .. } => {
            carts_filled.insert(cart);
        }
        Act::Review { .. } => truth.reviews += 1,
        _ => {}
    }
}

/// The clean identifiers of one event that are this person's alone.
fn identifiers(person: &Person, ids: Ids, orders: &[Order], shared: &HashSet<String>) -> Vec<Identifier> {
    use IdentifierKind::{AnonymousId, Email, LoyaltyCard, Phone, UserId};

    let device = match ids.device {
        Some(DeviceRef::Own(place)) => Some(&person.devices[usize::from(place)].anonymous_id),
        // A kiosk is shared by definition.
        Some(DeviceRef::Kiosk(_)) | None => None,
    };
    let receipt = ids.receipt.map(|order| receipt_id(&orders[order as usize]));
    let found = [
        (UserId, person.user_id.as_ref().filter(|_| ids.user)),
        (AnonymousId, device.or(receipt.as_ref())),
        (Email, person.email.as_ref().filter(|_| ids.email)),
        (Phone, person.phone.as_ref().filter(|_| ids.phone)),
        (LoyaltyCard, person.loyalty_card.as_ref().filter(|_| ids.card)),
    ];
    found
        .into_iter()
        .filter_map(|(kind, value)| Some((kind, value?)))
        .filter(|(_, value)| !shared.contains(*value))
        .map(|(kind, value)| Identifier { kind, value: value.clone() })
        .collect()
}

/// Joins bundles that have an identifier in common. A person has few, so the plain way is quick enough.
fn join(bundles: BTreeSet<Vec<Identifier>>) -> Vec<BTreeSet<Identifier>> {
    let mut groups: Vec<BTreeSet<Identifier>> = Vec::new();
    for bundle in bundles.into_iter().filter(|bundle| !bundle.is_empty()) {
        let mut merged: BTreeSet<Identifier> = bundle.into_iter().collect();
        groups.retain(|group| {
            let apart = group.is_disjoint(&merged);
            if !apart {
                merged.extend(group.iter().cloned());
            }
            apart
        });
        groups.push(merged);
    }
    groups.sort();
    groups
}

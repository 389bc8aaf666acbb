//! Products to start from.

use std::collections::HashSet;

use super::{Ask, Strategy};
use crate::domain::{
    DAY_US,
    book::ItemBook,
    item::Item,
    neighbours::Neighbours,
    profile::{Bought, Glance},
};

/// Most products of a person's past to start from, of each kind: carted, viewed, bought.
const MAX_PERSONAL_SEEDS: usize = 10;

/// Days after which a view or a cart addition says half as much.
const GLANCE_HALF_LIFE: f64 = 14.0;

/// Days after which an order says half as much.
pub(super) const ORDER_HALF_LIFE: f64 = 60.0;

/// Keeps a pair seen by chance from looking strong.
const SHRINKAGE: f64 = 20.0;

/// Which pairs are followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Relation {
    /// In one order.
    Bought,
    /// Viewed within half an hour.
    Viewed,
}

/// Where a seed comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    /// The request names it.
    Asked,
    /// The person put it into a basket.
    Carted,
    /// The person viewed it.
    Viewed,
    /// The person bought it.
    Bought,
}

/// How a pair is scored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Formula {
    /// Confidence times inverse frequency: best for one product, near the count but less bound to popularity.
    ConfidenceIdf,
    /// Shrunk cosine: best where several seeds are summed.
    ShrunkCosine,
}

/// A product to start from and what to follow.
#[derive(Debug, Clone)]
pub(super) struct Seed {
    pub(super) number: u32,
    pub(super) relation: Relation,
    pub(super) origin: Origin,
    pub(super) strategy: Strategy,
    /// When the person did it; 0 for asked ones.
    pub(super) time_us: i64,
    weight: f64,
    formula: Formula,
}

impl Seed {
    /// Returns the neighbours to follow.
    pub(super) fn neighbours<'b>(&self, book: &'b ItemBook) -> &'b Neighbours {
        let item = book.item(self.number);
        match self.relation {
            Relation::Bought => &item.bought,
            Relation::Viewed => &item.viewed,
        }
    }

    /// Returns how much `together` pairs with `other` say for it.
    pub(super) fn contribution(&self, other: u32, together: u32, book: &ItemBook) -> f64 {
        let together = f64::from(together);
        let own = self.support(book.item(self.number));
        let others = self.support(book.item(other));
        let strength = match self.formula {
            Formula::ConfidenceIdf => together / own * (1.0 + book.baskets as f64 / others).ln(),
            Formula::ShrunkCosine => together / ((own * others).sqrt() + SHRINKAGE),
        };
        // One pair may be chance.
        self.weight * strength * together / (together + 1.0)
    }

    fn support(&self, item: &Item) -> f64 {
        let support = match self.relation {
            Relation::Bought => item.orders,
            Relation::Viewed => item.views,
        };
        support.max(1) as f64
    }
}

/// Returns the seeds of a request, in a fixed order: those asked for, then carted, viewed and bought, newest first.
pub(super) fn seeds(ask: &Ask<'_>, bought: &[Bought<'_>], book: &ItemBook) -> Vec<Seed> {
    let mut seeds = Vec::new();
    let mut used = HashSet::new();
    add_asked(&mut seeds, &mut used, ask.product_ids, book);

    let personal = Personal { as_of_us: ask.as_of_us, book };
    personal.add_glances(&mut seeds, &mut used, ask.profile.carts.newest_first(), Origin::Carted, 2.0);
    personal.add_glances(&mut seeds, &mut used, ask.profile.views.newest_first(), Origin::Viewed, 1.0);
    personal.add_bought(&mut seeds, &mut used, bought);
    seeds
}

fn add_asked(seeds: &mut Vec<Seed>, used: &mut HashSet<u32>, product_ids: &[String], book: &ItemBook) {
    let formula = if product_ids.len() == 1 { Formula::ConfidenceIdf } else { Formula::ShrunkCosine };
    for number in product_ids.iter().filter_map(|product_id| book.number_of(product_id)) {
        if !used.insert(number) {
            continue;
        }
        let bought = Seed {
            number,
            relation: Relation::Bought,
            origin: Origin::Asked,
            strategy: Strategy::BoughtTogether,
            time_us: 0,
            weight: 1.0,
            formula,
        };
        let viewed = Seed {
            relation: Relation::Viewed,
            strategy: Strategy::ViewedTogether,
            formula: Formula::ShrunkCosine,
            ..bought
        };
        seeds.extend([bought, viewed]);
    }
}

struct Personal<'b> {
    as_of_us: i64,
    book: &'b ItemBook,
}

impl Personal<'_> {
    fn add_glances(
        &self,
        seeds: &mut Vec<Seed>,
        used: &mut HashSet<u32>,
        glances: &[Glance],
        origin: Origin,
        weight: f64,
    ) {
        let mut added = 0;
        for glance in glances {
            let Some(number) = self.book.number_of(&glance.product_id).filter(|&number| used.insert(number)) else {
                continue;
            };
            let weight = weight * fade(self.as_of_us, glance.time_us, GLANCE_HALF_LIFE);
            for relation in [Relation::Bought, Relation::Viewed] {
                seeds.push(personal(number, relation, origin, glance.time_us, weight));
            }
            added += 1;
            if added == MAX_PERSONAL_SEEDS {
                return;
            }
        }
    }

    fn add_bought(&self, seeds: &mut Vec<Seed>, used: &mut HashSet<u32>, bought: &[Bought<'_>]) {
        let mut newest_first: Vec<&Bought<'_>> = bought.iter().collect();
        newest_first.sort_by(|left, right| {
            right.last_us.cmp(&left.last_us).then_with(|| left.product_id.cmp(right.product_id))
        });
        let known =
            newest_first.into_iter().filter_map(|bought| Some((self.book.number_of(bought.product_id)?, bought)));
        for (number, bought) in known.filter(|&(number, _)| used.insert(number)).take(MAX_PERSONAL_SEEDS) {
            let weight = fade(self.as_of_us, bought.last_us, ORDER_HALF_LIFE);
            seeds.push(personal(number, Relation::Bought, Origin::Bought, bought.last_us, weight));
        }
    }
}

fn personal(number: u32, relation: Relation, origin: Origin, time_us: i64, weight: f64) -> Seed {
    Seed { number, relation, origin, strategy: Strategy::Personal, time_us, weight, formula: Formula::ShrunkCosine }
}

/// Returns the share that is left of something said at `time_us`; the future has not faded.
pub(super) fn fade(as_of_us: i64, time_us: i64, half_life_days: f64) -> f64 {
    let age_days = as_of_us.saturating_sub(time_us).max(0) as f64 / DAY_US as f64;
    (-age_days / half_life_days).exp2()
}

//! Choosing products for a person, a product page or a basket.
//!
//! [`seeds`] are the products to start from, [`candidates`] what goes with them and what is popular, [`rules`] take
//! out what must not be shown, [`blend`] brings the strategies into one order, [`reasons`] say why.

mod blend;
mod candidates;
mod reasons;
mod rules;
mod seeds;
#[cfg(test)]
mod tests;

use std::{collections::HashSet, sync::Arc};

pub(crate) use rules::Rule;

use super::{
    book::{ItemBook, RANKED},
    catalogue::{Catalogue, Product},
    day_of,
    profile::Profile,
};
use candidates::Pool;
use rules::Rules;

/// A way to find products; the number is its place in arrays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Strategy {
    /// Bought together with the products at hand.
    BoughtTogether = 0,
    /// Viewed together with the products at hand.
    ViewedTogether = 1,
    /// Goes with what the person bought or viewed.
    Personal = 2,
    /// Popular lately.
    Popular = 3,
}

/// Every strategy, by its number.
pub(crate) const STRATEGIES: [Strategy; 4] =
    [Strategy::BoughtTogether, Strategy::ViewedTogether, Strategy::Personal, Strategy::Popular];

/// A score for each strategy.
type Scores = [f64; STRATEGIES.len()];

/// What is asked for.
#[derive(Debug)]
pub(crate) struct Ask<'a> {
    /// Products looked at or in the basket.
    pub(crate) product_ids: &'a [String],
    /// The person; empty for an unknown visitor.
    pub(crate) profile: &'a Profile,
    /// Most items wanted.
    pub(crate) limit: usize,
    /// Only these categories and those below, in normal form; all when empty.
    pub(crate) include_categories: &'a [String],
    /// None of these categories nor those below, in normal form.
    pub(crate) exclude_categories: &'a [String],
    /// Whether products that the person bought may come.
    pub(crate) allow_bought: bool,
    /// The time to judge by.
    pub(crate) as_of_us: i64,
}

/// What was chosen.
#[derive(Debug, PartialEq)]
pub(crate) struct Answer {
    /// The best first; ties by product id.
    pub(crate) picks: Vec<Pick>,
    /// How many candidates each rule that applied took out.
    pub(crate) effects: Vec<(Rule, u32)>,
}

/// A product that was chosen.
#[derive(Debug, PartialEq)]
pub(crate) struct Pick {
    /// The product.
    pub(crate) product: Arc<Product>,
    /// Score within the answer, from 0 to 1.
    pub(crate) score: f64,
    /// What contributed most.
    pub(crate) strategy: Strategy,
    /// Products that brought it, the strongest first.
    pub(crate) because: Vec<Arc<str>>,
    /// Why, in words.
    pub(crate) reason: String,
}

/// Chooses products. A function of its arguments: asked again with the same, it answers the same.
pub(crate) fn choose(ask: &Ask<'_>, book: &ItemBook, catalogue: &Catalogue) -> Answer {
    let as_of = day_of(ask.as_of_us);
    let bought = ask.profile.bought();
    let mut rules = Rules::new(ask, &bought);

    let seeds = seeds::seeds(ask, &bought, book);
    let mut pool = Pool::default();
    pool.add_neighbours(&seeds, book);
    if ask.allow_bought {
        pool.add_repeats(&bought, ask.as_of_us, book);
    }
    pool.add_popular(ask.include_categories, as_of, book, catalogue);

    let mut allowed = pool.allowed(&mut rules, book, catalogue);
    blend::rank(&mut allowed);
    allowed.truncate(ask.limit);
    let mut picks: Vec<Pick> = allowed
        .into_iter()
        .map(|blended| {
            let (because, reason) = reasons::explain(&blended, &seeds, &bought, as_of, book, catalogue);
            let blend::Blended { product, score, strategy, .. } = blended;
            Pick { product, score, strategy, because, reason }
        })
        .collect();

    if picks.len() < ask.limit {
        let missing = ask.limit - picks.len();
        fill(&mut picks, missing, ask, as_of, &pool, &mut rules, book, catalogue);
    }
    Answer { picks, effects: rules.effects() }
}

/// Adds products that no strategy found: the less popular, then those of which nothing is known, by id.
#[expect(clippy::too_many_arguments, reason = "the second half of `choose`, apart only for its length")]
fn fill(
    picks: &mut Vec<Pick>,
    missing: usize,
    ask: &Ask<'_>,
    as_of: i32,
    pool: &Pool,
    rules: &mut Rules<'_>,
    book: &ItemBook,
    catalogue: &Catalogue,
) {
    // A ranking that is not full holds all that is popular; then the first products by id are as good as any.
    let nothing_popular_left = book.most_popular(as_of).len() < RANKED;
    let mut seen: HashSet<&str> = HashSet::new();
    let mut found: Vec<(f64, &Arc<Product>)> = Vec::new();

    for product in in_scope(ask, catalogue) {
        let number = book.number_of(&product.product_id);
        let is_known = number.is_some_and(|number| pool.contains(number));
        if is_known || !seen.insert(&product.product_id) || !rules.allow(&product.product_id, Some(product)) {
            continue;
        }
        found.push((number.map_or(0.0, |number| super::rounded(book.popularity(number, as_of))), product));
        if nothing_popular_left && found.len() == missing {
            break;
        }
    }
    found.sort_by(|left, right| right.0.total_cmp(&left.0).then_with(|| left.1.product_id.cmp(&right.1.product_id)));
    picks.extend(found.into_iter().take(missing).map(|(_, product)| Pick {
        product: product.clone(),
        score: 0.0,
        strategy: Strategy::Popular,
        because: Vec::new(),
        reason: reasons::popularity(&product.product_id, as_of, book),
    }));
}

fn in_scope<'c>(ask: &'c Ask<'_>, catalogue: &'c Catalogue) -> Box<dyn Iterator<Item = &'c Arc<Product>> + 'c> {
    if ask.include_categories.is_empty() {
        return Box::new(catalogue.by_id());
    }
    Box::new(ask.include_categories.iter().flat_map(|category| catalogue.within(category)))
}

//! Why a product was chosen, in words.

use std::sync::Arc;

use super::{
    Strategy,
    blend::Blended,
    seeds::{Origin, Relation, Seed},
};
use crate::domain::{book::ItemBook, catalogue::Catalogue, day_of, history::KEPT_DAYS, profile::Bought};

/// Most products that are named as the cause.
const MAX_BECAUSE: usize = 3;

/// Days that "lately" reaches back.
const LATELY_DAYS: i32 = 30;

/// Returns the products that brought a candidate, the strongest first, and the reason in words.
pub(super) fn explain(
    chosen: &Blended,
    seeds: &[Seed],
    bought: &[Bought<'_>],
    as_of: i32,
    book: &ItemBook,
    catalogue: &Catalogue,
) -> (Vec<Arc<str>>, String) {
    let product_id = &chosen.product.product_id;
    let mut evidence: Vec<(f64, &Seed, u32)> = seeds
        .iter()
        .filter(|seed| seed.strategy == chosen.strategy)
        .map(|seed| (seed, seed.neighbours(book).count_of(chosen.number)))
        .filter(|&(_, together)| together > 0)
        .map(|(seed, together)| (seed.contribution(chosen.number, together, book), seed, together))
        .collect();
    evidence.sort_by(|left, right| {
        let id = |seed: &Seed| &book.item(seed.number).product_id;
        right.0.total_cmp(&left.0).then_with(|| id(left.1).cmp(id(right.1)))
    });

    let own = bought.iter().find(|bought| bought.product_id == &**product_id);
    if let (Strategy::Personal, Some(own)) = (chosen.strategy, own) {
        let reason = format!("bought by this person in {}", plural(own.orders.into(), "order"));
        return (vec![product_id.clone()], reason);
    }
    let Some(&(_, strongest, together)) = evidence.first() else {
        return (Vec::new(), popularity(product_id, as_of, book));
    };
    let mut because: Vec<Arc<str>> = Vec::new();
    for (_, seed, _) in &evidence {
        let cause = &book.item(seed.number).product_id;
        if because.len() < MAX_BECAUSE && !because.contains(cause) {
            because.push(cause.clone());
        }
    }
    (because, pairing(strongest, together, as_of, book, catalogue))
}

/// Returns how popular a product is, in words.
pub(super) fn popularity(product_id: &str, as_of: i32, book: &ItemBook) -> String {
    let Some(number) = book.number_of(product_id) else {
        return "in stock; nobody has viewed or bought it yet".to_owned();
    };
    let history = &book.item(number).history;
    for days in [LATELY_DAYS, KEPT_DAYS] {
        let (purchases, views) = history.recent(as_of, days);
        if purchases > 0 {
            return format!("popular: {} in the last {days} days", plural(purchases, "purchase"));
        }
        if views > 0 {
            return format!("popular: {} in the last {days} days", plural(views, "view"));
        }
    }
    "in stock; not viewed or bought lately".to_owned()
}

fn pairing(seed: &Seed, together: u32, as_of: i32, book: &ItemBook, catalogue: &Catalogue) -> String {
    let item = book.item(seed.number);
    let name = catalogue.get(&item.product_id).map_or(&*item.product_id, |product| product.name());
    let how_often = match seed.relation {
        Relation::Bought => format!("in {together} of {}", plural(item.orders, "order")),
        Relation::Viewed => plural(together.into(), "time"),
    };
    let pair = match seed.relation {
        Relation::Bought => "bought together",
        Relation::Viewed => "viewed together",
    };
    let deed = match seed.origin {
        Origin::Asked => return format!("{pair} with {name} {how_often}"),
        Origin::Carted => "put into the basket",
        Origin::Viewed => "viewed",
        Origin::Bought => "bought",
    };
    let is_recent = as_of.saturating_sub(day_of(seed.time_us)) <= LATELY_DAYS;
    let when = if is_recent { "lately" } else { "before" };
    format!("goes with {name}, {deed} {when}: {pair} {how_often}")
}

fn plural(count: u64, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}

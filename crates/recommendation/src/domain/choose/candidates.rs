//! Products that may be shown, with what each strategy says for them.

use std::{
    collections::HashMap,
    hash::{BuildHasherDefault, Hasher},
    sync::Arc,
};

use super::{
    Scores, Strategy,
    blend::Blended,
    rules::Rules,
    seeds::{ORDER_HALF_LIFE, Seed, fade},
};
use crate::domain::{
    book::{ItemBook, RANKED},
    catalogue::{Catalogue, Product},
    profile::Bought,
};

/// Values by number of the item. The numbers are ours, so nobody can choose them to collide.
type ByNumber<V> = HashMap<u32, V, BuildHasherDefault<NumberHasher>>;

/// Spreads dense numbers over all bits by one multiplication: a request looks up tens of thousands of them.
#[derive(Debug, Default)]
struct NumberHasher(u64);

impl Hasher for NumberHasher {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u32(u32::from(*byte));
        }
    }

    fn write_u32(&mut self, number: u32) {
        self.0 = (self.0 ^ u64::from(number)).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(32);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// Candidates by number of the item.
#[derive(Debug, Default)]
pub(super) struct Pool {
    scores: ByNumber<Scores>,
    popularity: ByNumber<f64>,
    as_of: i32,
}

impl Pool {
    pub(super) fn contains(&self, number: u32) -> bool {
        self.scores.contains_key(&number)
    }

    /// Adds what goes with the seeds.
    pub(super) fn add_neighbours(&mut self, seeds: &[Seed], book: &ItemBook) {
        for seed in seeds {
            for &(other, together) in seed.neighbours(book).pairs() {
                let scores = self.scores.entry(other).or_default();
                scores[seed.strategy as usize] += seed.contribution(other, together, book);
            }
        }
    }

    /// Adds what the person bought before: for buying again, nothing tells more than one's own history.
    pub(super) fn add_repeats(&mut self, bought: &[Bought<'_>], as_of_us: i64, book: &ItemBook) {
        for bought in bought {
            let Some(number) = book.number_of(bought.product_id) else { continue };
            let habit = 1.0 - (-f64::from(bought.orders)).exp2();
            let scores = self.scores.entry(number).or_default();
            scores[Strategy::Personal as usize] += habit * fade(as_of_us, bought.last_us, ORDER_HALF_LIFE);
        }
    }

    /// Adds what is popular: in the wanted categories, or at large.
    pub(super) fn add_popular(&mut self, categories: &[String], as_of: i32, book: &ItemBook, catalogue: &Catalogue) {
        self.as_of = as_of;
        if categories.is_empty() {
            for ranked in book.most_popular(as_of).iter() {
                self.scores.entry(ranked.number).or_default();
                self.popularity.insert(ranked.number, ranked.popularity);
            }
            return;
        }
        for category in categories {
            self.add_popular_within(category, book, catalogue);
        }
    }

    fn add_popular_within(&mut self, category: &str, book: &ItemBook, catalogue: &Catalogue) {
        let mut popular: Vec<(f64, &Arc<Product>, u32)> = catalogue
            .within(category)
            .filter_map(|product| {
                let number = book.number_of(&product.product_id)?;
                Some((crate::domain::rounded(book.popularity(number, self.as_of)), product, number))
            })
            .filter(|&(popularity, ..)| popularity > 0.0)
            .collect();
        popular
            .sort_by(|left, right| right.0.total_cmp(&left.0).then_with(|| left.1.product_id.cmp(&right.1.product_id)));
        for (popularity, _, number) in popular.into_iter().take(RANKED) {
            self.scores.entry(number).or_default();
            self.popularity.insert(number, popularity);
        }
    }

    /// Returns the candidates that the rules let pass, in no particular order.
    pub(super) fn allowed(&self, rules: &mut Rules<'_>, book: &ItemBook, catalogue: &Catalogue) -> Vec<Blended> {
        let mut allowed = Vec::new();
        for (&number, scores) in &self.scores {
            let product_id = &book.item(number).product_id;
            let product = catalogue.get(product_id);
            if !rules.allow(product_id, product) {
                continue;
            }
            let Some(product) = product.cloned() else { continue };
            let mut scores = *scores;
            let popularity = self.popularity.get(&number).copied();
            scores[Strategy::Popular as usize] = popularity.unwrap_or_else(|| book.popularity(number, self.as_of));
            allowed.push(Blended::new(number, product, scores));
        }
        allowed
    }
}

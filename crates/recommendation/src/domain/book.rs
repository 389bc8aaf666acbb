//! All items of a tenant, in memory.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use super::{
    history::{Heat, popularity},
    item::Item,
};

/// Most products of the popular ranking that are kept for a day.
pub(crate) const RANKED: usize = 500;

/// All items of a tenant by their dense number.
///
/// Takes about 200 bytes an item, 8 for each neighbour and 16 for each day with a count: 1 to 3 KB for a product that
/// sells, 10 KB at most.
#[derive(Debug, Default)]
pub(crate) struct ItemBook {
    items: Vec<Arc<Item>>,
    /// Heat over all days, beside the items: the ranking scans it.
    heat: Vec<Heat>,
    numbers: HashMap<Arc<str>, u32>,
    /// Orders counted, ever.
    pub(crate) baskets: u64,
    /// The newest batch that is in here.
    pub(crate) version: i64,
    ranking: Mutex<Option<(i32, Arc<Vec<Ranked>>)>>,
}

/// A product with its popularity.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Ranked {
    /// Number of the item.
    pub(crate) number: u32,
    /// Weighted actions a day; above 0.
    pub(crate) popularity: f64,
}

impl ItemBook {
    pub(crate) fn len(&self) -> usize {
        self.items.len()
    }

    /// Returns an item by number. Numbers come from this book, so there is one.
    pub(crate) fn item(&self, number: u32) -> &Arc<Item> {
        &self.items[number as usize]
    }

    pub(crate) fn number_of(&self, product_id: &str) -> Option<u32> {
        self.numbers.get(product_id).copied()
    }

    /// Puts items that are newer than what is here. A number beyond the end must be the next one.
    pub(crate) fn put(&mut self, number: u32, item: Arc<Item>) {
        let index = number as usize;
        let heat = item.history.heat(i32::MAX);
        match self.items.get(index) {
            Some(kept) if kept.version >= item.version => return,
            Some(_) => {
                self.heat[index] = heat;
                self.items[index] = item;
            }
            None => {
                assert_eq!(index, self.items.len(), "item numbers are dense");
                self.numbers.insert(item.product_id.clone(), number);
                self.heat.push(heat);
                self.items.push(item);
            }
        }
        *self.ranking.get_mut().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Returns the popularity of an item at the day `as_of`; later days do not count.
    pub(crate) fn popularity(&self, number: u32, as_of: i32) -> f64 {
        let item = self.item(number);
        let looks_ahead = item.history.newest().is_some_and(|newest| newest > as_of);
        let heat = if looks_ahead { item.history.heat(as_of) } else { self.heat[number as usize] };
        popularity(heat, as_of)
    }

    /// Returns the most popular items at the day `as_of`, the best first, ties by product id.
    pub(crate) fn most_popular(&self, as_of: i32) -> Arc<Vec<Ranked>> {
        let mut cached = self.ranking.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((day, ranking)) = cached.as_ref()
            && *day == as_of
        {
            return ranking.clone();
        }
        let ranking = Arc::new(self.rank(as_of));
        *cached = Some((as_of, ranking.clone()));
        ranking
    }

    fn rank(&self, as_of: i32) -> Vec<Ranked> {
        let mut ranked: Vec<Ranked> = (0..self.items.len() as u32)
            .map(|number| Ranked { number, popularity: super::rounded(self.popularity(number, as_of)) })
            .filter(|ranked| ranked.popularity > 0.0)
            .collect();
        let best_first = |left: &Ranked, right: &Ranked| {
            right
                .popularity
                .total_cmp(&left.popularity)
                .then_with(|| self.item(left.number).product_id.cmp(&self.item(right.number).product_id))
        };
        if ranked.len() > RANKED {
            ranked.select_nth_unstable_by(RANKED, best_first);
            ranked.truncate(RANKED);
        }
        ranked.sort_unstable_by(best_first);
        ranked
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::history::Tally;

    fn sold(product_id: &str, version: i64, days: &[i32]) -> Arc<Item> {
        let mut item = Item::new(product_id.into());
        item.version = version;
        for &day in days {
            item.history.count(day, Tally::Purchase);
        }
        Arc::new(item)
    }

    fn ranking(book: &ItemBook, as_of: i32) -> Vec<String> {
        let ranked = book.most_popular(as_of);
        ranked.iter().map(|ranked| book.item(ranked.number).product_id.to_string()).collect()
    }

    #[test]
    fn popular_is_what_sells_now_and_ties_go_by_id() {
        let mut book = ItemBook::default();
        book.put(0, sold("old", 1, &[19_900, 19_900, 19_900]));
        book.put(1, sold("z", 1, &[20_000]));
        book.put(2, sold("a", 1, &[20_000]));
        book.put(3, sold("tomorrow", 1, &[20_001, 20_001]));

        assert_eq!(ranking(&book, 20_000), ["a", "z", "old"]);
        assert_eq!(ranking(&book, 20_001), ["tomorrow", "a", "z", "old"]);
        assert_eq!(ranking(&book, 19_900), ["old"]);
        assert!(ranking(&book, 100).is_empty());
    }

    #[test]
    fn an_older_version_never_replaces_a_newer_one() {
        let mut book = ItemBook::default();
        book.put(0, sold("a", 5, &[1, 2]));

        book.put(0, sold("a", 4, &[1]));
        assert_eq!(book.item(0).history.days().len(), 2);

        book.put(0, sold("a", 6, &[1, 2, 3]));
        assert_eq!(book.item(0).history.days().len(), 3);
        assert_eq!((book.len(), book.number_of("a"), book.number_of("b")), (1, Some(0), None));
    }
}

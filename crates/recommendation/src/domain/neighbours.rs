//! Which other products go with a product, and how often.

/// Most neighbours of one relation that are kept for a product.
pub(crate) const MAX_NEIGHBOURS: usize = 512;

/// How far a list may grow beyond [`MAX_NEIGHBOURS`] before it is cut, so that a newcomer has time to gather counts.
const SLACK: usize = 128;

/// Counts by number of the other product, ascending by number.
///
/// Exact, and independent of order, until a product has had more than 640 different neighbours in one relation; then
/// the list is cut to the 512 with the highest counts. What is cut has the lowest counts, so a count is too low by
/// at most what it had when it was cut, and which of the rare ones survive depends on the order of arrival.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Neighbours(Vec<(u32, u32)>);

impl Neighbours {
    /// Returns the neighbours in `pairs`, which ascend by number.
    pub(crate) fn from_pairs(pairs: Vec<(u32, u32)>) -> Self {
        Self(pairs)
    }

    /// Returns pairs of number and count, ascending by number.
    pub(crate) fn pairs(&self) -> &[(u32, u32)] {
        &self.0
    }

    /// Returns how often `other` went with the product.
    pub(crate) fn count_of(&self, other: u32) -> u32 {
        match self.find(other) {
            Ok(position) => self.0[position].1,
            Err(_) => 0,
        }
    }

    pub(crate) fn count(&mut self, other: u32) {
        match self.find(other) {
            Ok(position) => self.0[position].1 = self.0[position].1.saturating_add(1),
            Err(position) => self.0.insert(position, (other, 1)),
        }
    }

    pub(crate) fn uncount(&mut self, other: u32) {
        let Ok(position) = self.find(other) else { return };
        self.0[position].1 -= 1;
        if self.0[position].1 == 0 {
            self.0.remove(position);
        }
    }

    /// Cuts an overlong list: lowest count first, of equal counts the highest product id.
    pub(crate) fn cut<'a>(&mut self, product_id: impl Fn(u32) -> &'a str) {
        if self.0.len() <= MAX_NEIGHBOURS + SLACK {
            return;
        }
        self.0.sort_unstable_by(|left, right| {
            right.1.cmp(&left.1).then_with(|| product_id(left.0).cmp(product_id(right.0)))
        });
        self.0.truncate(MAX_NEIGHBOURS);
        self.0.sort_unstable();
    }

    fn find(&self, other: u32) -> Result<usize, usize> {
        self.0.binary_search_by_key(&other, |&(number, _)| number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_go_up_and_down_to_nothing() {
        let mut neighbours = Neighbours::default();

        neighbours.count(9);
        neighbours.count(3);
        neighbours.count(9);
        neighbours.uncount(3);
        neighbours.uncount(4);

        assert_eq!(neighbours.pairs(), [(9, 2)]);
        assert_eq!((neighbours.count_of(9), neighbours.count_of(3)), (2, 0));
    }

    #[test]
    fn an_overlong_list_loses_the_lowest_counts_and_of_these_the_highest_ids() {
        let ids: Vec<String> = (0..700).map(|number| format!("p{number:04}")).collect();
        let mut neighbours = Neighbours::default();
        for number in 0..641 {
            neighbours.count(number);
        }
        for number in 600..641 {
            neighbours.count(number);
        }

        neighbours.cut(|number| &ids[number as usize]);

        assert_eq!(neighbours.pairs().len(), MAX_NEIGHBOURS);
        assert_eq!(neighbours.count_of(640), 2);
        assert_eq!(neighbours.count_of(470), 1);
        assert_eq!(neighbours.count_of(471), 0);
    }
}

//! A basket whose total is exactly the value the purchase model drew.

use serde::Serialize;

use crate::catalogue::{CATEGORIES, Catalogue};
use crate::dice::Dice;

/// One line of a cart or an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Line {
    /// Index of the product in the catalogue.
    pub product: usize,
    /// Pieces.
    pub quantity: u32,
    /// Price of one piece in cents of the order's currency.
    pub price_cents: i64,
}

/// What is bought and how the sum comes about: lines - discount + shipping = total. All in cents.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Basket {
    /// The lines, each product once.
    pub lines: Vec<Line>,
    /// Taken off the lines.
    pub discount_cents: i64,
    /// Added for delivery.
    pub shipping_cents: i64,
}

impl Basket {
    /// The sum of the lines.
    pub fn subtotal_cents(&self) -> i64 {
        subtotal(&self.lines)
    }

    /// What the customer pays.
    pub fn total_cents(&self) -> i64 {
        self.subtotal_cents() - self.discount_cents + self.shipping_cents
    }
}

pub(crate) fn subtotal(lines: &[Line]) -> i64 {
    lines.iter().map(|line| line.price_cents * i64::from(line.quantity)).sum()
}

/// A remainder up to this is called shipping; a larger one buys another piece.
const SHIPPING_CENTS: i64 = 690;
/// Chance that what follows a product in the basket is a complement of it.
const COMPLEMENT: f64 = 0.5;
/// Chance that a product comes from a preferred category.
const PREFERRED: f64 = 0.85;

/// Fills a basket worth exactly `total_cents` (or half the cheapest product, if that is more).
pub(crate) fn compose(dice: &mut Dice, catalogue: &Catalogue, tastes: &[usize], rate: f64, total_cents: i64) -> Basket {
    let cheapest = catalogue.price_cents(catalogue.at_least(0, rate), rate);
    let mut left = total_cents.max(cheapest / 2);
    let mut lines: Vec<Line> = Vec::new();
    let mut misses = 0;
    while left > SHIPPING_CENTS && lines.len() < 6 && misses < 8 {
        let product = next_product(dice, catalogue, tastes, &lines);
        let price = catalogue.price_cents(product, rate);
        if price > left || !catalogue.sells(product) {
            misses += 1;
            continue;
        }
        add(&mut lines, product, price);
        left -= price;
    }
    if let Some(dearest) = lines.iter_mut().max_by_key(|line| (line.price_cents, line.product)) {
        let pieces = left / dearest.price_cents;
        dearest.quantity += pieces as u32;
        left -= pieces * dearest.price_cents;
    }
    let mut discount_cents = 0;
    while lines.is_empty() || left > SHIPPING_CENTS {
        let product = catalogue.at_least(left, rate);
        let price = catalogue.price_cents(product, rate);
        add(&mut lines, product, price);
        left -= price;
        if left < 0 {
            discount_cents = -left;
            left = 0;
        }
    }
    Basket { lines, discount_cents, shipping_cents: left }
}

/// A few products put in a cart without a sum in mind.
pub(crate) fn dream(dice: &mut Dice, catalogue: &Catalogue, tastes: &[usize], rate: f64) -> Vec<Line> {
    let mut lines = Vec::new();
    for _ in 0..=dice.index(3) {
        let product = next_product(dice, catalogue, tastes, &lines);
        if catalogue.sells(product) {
            add(&mut lines, product, catalogue.price_cents(product, rate));
        }
    }
    if lines.is_empty() {
        let product = catalogue.at_least(0, rate);
        add(&mut lines, product, catalogue.price_cents(product, rate));
    }
    lines
}

/// What the person looks at next: a complement of the last thing chosen, a favourite category, or anything.
pub(crate) fn next_product(dice: &mut Dice, catalogue: &Catalogue, tastes: &[usize], lines: &[Line]) -> usize {
    if let Some(last) = lines.last()
        && dice.chance(COMPLEMENT)
    {
        return catalogue.complement(dice, last.product);
    }
    let category = if dice.chance(PREFERRED) { *dice.pick(tastes) } else { dice.index(CATEGORIES) };
    catalogue.draw(dice, category)
}

fn add(lines: &mut Vec<Line>, product: usize, price_cents: i64) {
    match lines.iter_mut().find(|line| line.product == product) {
        Some(line) => line.quantity += 1,
        None => lines.push(Line { product, quantity: 1, price_cents }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_basket_is_worth_exactly_what_was_asked() {
        let catalogue = Catalogue::stock(3, 300, "EUR");
        let mut dice = Dice::new(3, "test", 0);

        for total in (200..60_000).step_by(37) {
            let basket = compose(&mut dice, &catalogue, &[0, 4, 9], 0.85, total);

            assert_eq!(basket.total_cents(), total, "{basket:?}");
            assert!(basket.lines.iter().all(|line| catalogue.sells(line.product)));
            assert!(basket.discount_cents <= basket.subtotal_cents());
        }
    }

    #[test]
    fn complements_are_bought_together_more_often_than_other_products() {
        let catalogue = Catalogue::stock(5, 300, "EUR");
        let mut dice = Dice::new(5, "test", 0);
        let (mut pairs, mut complementary) = (0, 0);

        for _ in 0..2_000 {
            let basket = compose(&mut dice, &catalogue, &[0, 2], 1.0, 6_000);
            for left in &basket.lines {
                for right in basket.lines.iter().filter(|right| right.product != left.product) {
                    let right_id = &catalogue.products[right.product].product_id;
                    pairs += 1;
                    complementary += i32::from(catalogue.products[left.product].complements.contains(right_id));
                }
            }
        }

        // Two of 300 products are complements of a given one: chance alone would give well under 2 %.
        assert!(complementary * 10 > pairs, "{complementary} of {pairs}");
    }
}

use std::collections::HashMap;

use proto::{event::v1::Provenance, recommendation::v1::Product};

use super::{
    event::money,
    line::Line,
    texts::{TextId, Texts},
};

/// The products of a file, each with its latest title, category and price. Of two lines of the same instant the later in the
/// file counts.
#[derive(Debug, Default)]
pub(super) struct Products {
    seen: HashMap<TextId, Seen>,
}

/// What is known of one product, each with the time it was known by.
#[derive(Debug, Default)]
struct Seen {
    name: (i64, TextId),
    category: (i64, TextId),
    price: (i64, i64, TextId),
}

impl Products {
    /// Learns from a line.
    pub(super) fn see(&mut self, product: TextId, name: TextId, category: TextId, currency: TextId, line: &Line) {
        let seen = self.seen.entry(product).or_default();
        for (kept, given) in [(&mut seen.name, name), (&mut seen.category, category)] {
            if given != 0 && line.time_us >= kept.0 {
                *kept = (line.time_us, given);
            }
        }
        if line.time_us >= seen.price.0 {
            seen.price = (line.time_us, line.price_micros, currency);
        }
    }

    /// Returns the number of products.
    pub(super) fn len(&self) -> usize {
        self.seen.len()
    }

    /// Returns the products as the catalogue takes them, by id.
    pub(super) fn to_catalogue(&self, texts: &Texts, provenance: &Provenance) -> Vec<Product> {
        let mut products: Vec<_> = self
            .seen
            .iter()
            .map(|(product, seen)| {
                let (_, price_micros, currency) = seen.price;
                Product {
                    product_id: texts.get(*product).to_owned(),
                    title: texts.get(seen.name.1).to_owned(),
                    category: texts.get(seen.category.1).to_owned(),
                    price: Some(money(price_micros, texts.get(currency))),
                    provenance: Some(provenance.clone()),
                    ..Product::default()
                }
            })
            .collect();
        products.sort_by(|left, right| left.product_id.cmp(&right.product_id));
        products
    }
}

//! The products that a tenant sells.

use std::{
    collections::{BTreeSet, HashMap},
    ops::Bound,
    sync::Arc,
};

use super::category;

/// A product of the catalogue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Product {
    /// Identifier, the same that events carry.
    pub(crate) product_id: Arc<str>,
    /// Title; may be empty.
    pub(crate) title: String,
    /// Category in normal form; may be empty.
    pub(crate) category: Arc<str>,
    /// Brand; may be empty.
    pub(crate) brand: String,
    /// Price.
    pub(crate) price: Option<Price>,
    /// Pieces in stock; `None` when stock is not kept.
    pub(crate) stock: Option<i64>,
    /// Page of the product.
    pub(crate) url: String,
    /// Picture of the product.
    pub(crate) image_url: String,
    /// When it was last put.
    pub(crate) update_time_us: i64,
    /// The version of the catalogue in which it was last put.
    pub(crate) version: i64,
    /// Whose knowledge it is.
    pub(crate) provenance: Provenance,
}

/// Whose knowledge something is. Party and medium are the contract's numbers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Provenance {
    pub(crate) party: i64,
    pub(crate) medium: i64,
    /// The software that told it.
    pub(crate) library: String,
}

/// An amount of money.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Price {
    /// Millionths of the unit of the currency.
    pub(crate) micros: i64,
    /// ISO 4217 code.
    pub(crate) currency: String,
}

impl Product {
    pub(crate) fn is_in_stock(&self) -> bool {
        self.stock != Some(0)
    }

    /// Returns what a person knows the product by.
    pub(crate) fn name(&self) -> &str {
        if self.title.is_empty() { &self.product_id } else { &self.title }
    }
}

/// All products of a tenant, in memory: about 500 bytes each.
#[derive(Debug, Default)]
pub(crate) struct Catalogue {
    products: HashMap<Arc<str>, Arc<Product>>,
    ids: BTreeSet<Arc<str>>,
    by_category: BTreeSet<(Arc<str>, Arc<str>)>,
    /// The newest version that is in here.
    pub(crate) version: i64,
}

impl Catalogue {
    pub(crate) fn len(&self) -> usize {
        self.products.len()
    }

    pub(crate) fn get(&self, product_id: &str) -> Option<&Arc<Product>> {
        self.products.get(product_id)
    }

    /// Puts a product unless a newer version of it is here.
    pub(crate) fn put(&mut self, product: Arc<Product>) {
        let key = |product: &Product| (product.category.clone(), product.product_id.clone());
        if let Some(kept) = self.products.get(&product.product_id) {
            if kept.version >= product.version {
                return;
            }
            self.by_category.remove(&key(kept));
        }
        self.by_category.insert(key(&product));
        self.ids.insert(product.product_id.clone());
        self.products.insert(product.product_id.clone(), product);
    }

    /// Returns all products, by id.
    pub(crate) fn by_id(&self) -> impl Iterator<Item = &Arc<Product>> {
        self.ids.iter().filter_map(|product_id| self.products.get(product_id))
    }

    /// Returns the products of `ancestor`, in normal form, and of the categories below it.
    pub(crate) fn within<'c>(&'c self, ancestor: &'c str) -> impl Iterator<Item = &'c Arc<Product>> {
        let first: (Arc<str>, Arc<str>) = (ancestor.into(), "".into());
        self.by_category
            .range((Bound::Included(first), Bound::Unbounded))
            // Between "A" and "A/B" others such as "A B" may sort; all that matches begins with the text of "A".
            .take_while(move |(name, _)| name.starts_with(ancestor))
            .filter(move |(name, _)| category::is_within(name, ancestor))
            .filter_map(|(_, product_id)| self.products.get(product_id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn product(product_id: &str, category: &str, version: i64) -> Arc<Product> {
        Arc::new(Product {
            product_id: product_id.into(),
            title: String::new(),
            category: category.into(),
            brand: String::new(),
            price: None,
            stock: None,
            url: String::new(),
            image_url: String::new(),
            update_time_us: 0,
            version,
            provenance: Provenance::default(),
        })
    }

    #[test]
    fn a_category_gives_its_products_and_those_below() {
        let mut catalogue = Catalogue::default();
        catalogue.put(product("1", "Home", 1));
        catalogue.put(product("2", "Home Decor", 1));
        catalogue.put(product("3", "Home/Candles", 1));
        catalogue.put(product("4", "Garden", 1));
        catalogue.put(product("4", "Home/Garden", 2));
        catalogue.put(product("3", "Garden", 0));

        let ids: Vec<&str> = catalogue.within("Home").map(|product| &*product.product_id).collect();

        assert_eq!(ids, ["1", "3", "4"]);
        assert_eq!(catalogue.within("Garden").count(), 0);
        assert_eq!(catalogue.len(), 4);
    }
}

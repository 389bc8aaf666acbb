//! What must not be shown.

use std::{collections::HashSet, sync::Arc};

use super::Ask;
use crate::domain::{catalogue::Product, category, profile::Bought};

/// A rule; a candidate counts for the first one that takes it out, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rule {
    /// The request names it already.
    NotInRequest,
    /// The shop does not sell it.
    InCatalogue,
    /// There is none left.
    InStock,
    /// It is in none of the wanted categories.
    IncludeCategories,
    /// It is in an unwanted category.
    ExcludeCategories,
    /// The person bought it.
    NotBought,
}

const RULES: [Rule; 6] = [
    Rule::NotInRequest,
    Rule::InCatalogue,
    Rule::InStock,
    Rule::IncludeCategories,
    Rule::ExcludeCategories,
    Rule::NotBought,
];

impl Rule {
    /// Returns its name on the wire.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::NotInRequest => "not_in_request",
            Self::InCatalogue => "in_catalogue",
            Self::InStock => "in_stock",
            Self::IncludeCategories => "include_categories",
            Self::ExcludeCategories => "exclude_categories",
            Self::NotBought => "not_bought",
        }
    }
}

/// The rules of one request, and what they took out so far.
pub(super) struct Rules<'a> {
    ask: &'a Ask<'a>,
    asked: HashSet<&'a str>,
    bought: HashSet<&'a str>,
    removed: [u32; RULES.len()],
}

impl<'a> Rules<'a> {
    pub(super) fn new(ask: &'a Ask<'a>, bought: &[Bought<'a>]) -> Self {
        let asked = ask.product_ids.iter().map(String::as_str).collect();
        let bought = bought.iter().map(|bought| bought.product_id).collect();
        Self { ask, asked, bought, removed: [0; RULES.len()] }
    }

    /// Whether a candidate may be shown; if not, it is counted.
    pub(super) fn allow(&mut self, product_id: &str, product: Option<&Arc<Product>>) -> bool {
        let broken = self.broken(product_id, product);
        if let Some(rule) = broken {
            self.removed[rule as usize] += 1;
        }
        broken.is_none()
    }

    /// Returns how many candidates each rule that applies to the request took out.
    pub(super) fn effects(&self) -> Vec<(Rule, u32)> {
        let applies = |rule: Rule| match rule {
            Rule::NotInRequest => !self.ask.product_ids.is_empty(),
            Rule::IncludeCategories => !self.ask.include_categories.is_empty(),
            Rule::ExcludeCategories => !self.ask.exclude_categories.is_empty(),
            Rule::NotBought => !self.ask.allow_bought,
            Rule::InCatalogue | Rule::InStock => true,
        };
        RULES.into_iter().filter(|&rule| applies(rule)).map(|rule| (rule, self.removed[rule as usize])).collect()
    }

    fn broken(&self, product_id: &str, product: Option<&Arc<Product>>) -> Option<Rule> {
        if self.asked.contains(product_id) {
            return Some(Rule::NotInRequest);
        }
        let Some(product) = product else { return Some(Rule::InCatalogue) };
        if !product.is_in_stock() {
            return Some(Rule::InStock);
        }
        let is_in = |categories: &[String]| categories.iter().any(|name| category::is_within(&product.category, name));
        if !self.ask.include_categories.is_empty() && !is_in(self.ask.include_categories) {
            return Some(Rule::IncludeCategories);
        }
        if is_in(self.ask.exclude_categories) {
            return Some(Rule::ExcludeCategories);
        }
        if !self.ask.allow_bought && self.bought.contains(product_id) {
            return Some(Rule::NotBought);
        }
        None
    }
}

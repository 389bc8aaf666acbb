//! What behaviour tells of one product.

use std::sync::Arc;

use super::{history::History, neighbours::Neighbours};

/// What behaviour tells of one product. Whether it is in the catalogue is another matter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Item {
    /// The product.
    pub(crate) product_id: Arc<str>,
    /// The batch that changed it last.
    pub(crate) version: i64,
    /// Orders that contain it, ever.
    pub(crate) orders: u64,
    /// Views of it, ever.
    pub(crate) views: u64,
    /// What was done with it lately, by day.
    pub(crate) history: History,
    /// Products in the same orders.
    pub(crate) bought: Neighbours,
    /// Products viewed by the same person within half an hour.
    pub(crate) viewed: Neighbours,
}

impl Item {
    /// Returns a product of which nothing is known yet.
    pub(crate) fn new(product_id: Arc<str>) -> Self {
        Self {
            product_id,
            version: 0,
            orders: 0,
            views: 0,
            history: History::default(),
            bought: Neighbours::default(),
            viewed: Neighbours::default(),
        }
    }
}

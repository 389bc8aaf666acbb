//! What scoring takes in of an event.

/// An amount of money.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Amount {
    /// Millionths of the currency's unit.
    pub(crate) micros: i64,
    /// ISO 4217 code; empty when unknown.
    pub(crate) currency: String,
}

/// An event of a person, as far as scores depend on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Event {
    /// When it happened, in microseconds since the Unix epoch.
    pub(crate) time_us: i64,
    /// Its id as a number; decides between events of the same instant.
    pub(crate) id: u128,
    /// What happened.
    pub(crate) what: What,
}

/// What happened, as far as scores depend on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum What {
    /// An order came about or changed.
    Order(OrderTold),
    /// A product's page was viewed.
    ProductViewed,
    /// This many products went into the basket.
    CartAdded(u64),
    /// Anything else: it is counted.
    Other,
}

/// What one event tells of an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OrderTold {
    /// What happened to it.
    pub(crate) action: OrderAction,
    /// Its id; for a refund perhaps an id of the refund's own.
    pub(crate) order_id: String,
    /// The order that a refund nets, when the refund has an id of its own; otherwise empty.
    pub(crate) refunded_order_id: String,
    /// The value told, if any.
    pub(crate) value: Option<Amount>,
    /// The country told; empty when none.
    pub(crate) country: String,
}

/// What happened to an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OrderAction {
    /// Placed and paid.
    Completed,
    /// Changed: replaces what was told before.
    Updated,
    /// Money goes back; the whole value when none is told.
    Refunded,
    /// Cancelled whole.
    Cancelled,
}

impl OrderTold {
    /// Returns the id of the order that this is about: what is told of one order is kept together.
    pub(crate) fn subject(&self) -> &str {
        let is_refund = matches!(self.action, OrderAction::Refunded | OrderAction::Cancelled);
        if is_refund && !self.refunded_order_id.is_empty() { &self.refunded_order_id } else { &self.order_id }
    }
}

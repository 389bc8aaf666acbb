use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};

use super::{
    ImportReport, Reason,
    line::{Line, MAX_VALUE_MICROS, is_in_future},
    products::Products,
    texts::{TextId, Texts},
};

/// The orders of a file: about 40 bytes a line, and each text once.
#[derive(Debug, Default)]
pub(super) struct Orders {
    pub(super) texts: Texts,
    pub(super) products: Products,
    /// In the order in which the file first names them.
    orders: Vec<Order>,
    /// In the file's order while lines are added; by order after [`finish`](Self::finish).
    lines: Vec<OrderLine>,
    by_id: HashMap<TextId, u32>,
}

/// One order or cancellation.
#[derive(Debug)]
pub(super) struct Order {
    pub(super) order_id: TextId,
    pub(super) customer: TextId,
    pub(super) email: TextId,
    pub(super) currency: TextId,
    pub(super) country: TextId,
    /// Its earliest line's time.
    pub(super) time_us: i64,
    /// Σ quantity × price; positive for a cancellation too.
    pub(super) total_micros: i64,
    pub(super) cancellation: bool,
    line_count: usize,
}

/// One line of an order.
#[derive(Debug)]
pub(super) struct OrderLine {
    /// Where it stands in the file.
    pub(super) number: u64,
    order: u32,
    pub(super) product: TextId,
    pub(super) name: TextId,
    pub(super) category: TextId,
    pub(super) quantity: i64,
    pub(super) price_micros: i64,
}

impl OrderLine {
    /// Returns quantity × price; the line was refused when it does not fit.
    pub(super) fn value_micros(&self) -> i64 {
        self.quantity * self.price_micros
    }
}

impl Orders {
    /// Adds a line to its order; the first line makes the order. Says why when it does not fit there.
    pub(super) fn add(&mut self, number: u64, line: &Line, now: DateTime<Utc>) -> Result<(), Reason> {
        let order_id = self.texts.id(&line.order_id);
        let customer = self.texts.id(&line.customer);
        let currency = self.texts.id(&line.currency);
        let known = self.by_id.get(&order_id).copied();
        let before = known.map(|index| &self.orders[index as usize]);

        if before.is_some_and(|order| order.customer != customer) {
            return Err(Reason::CustomerConflict);
        }
        if before.is_some_and(|order| order.currency != currency) {
            return Err(Reason::CurrencyConflict);
        }
        if is_in_future(line.time_us, now) {
            return Err(Reason::DateInFuture);
        }
        let value = i128::from(line.quantity) * i128::from(line.price_micros);
        let total = value + before.map_or(0, |order| i128::from(order.total_micros));
        if total > i128::from(MAX_VALUE_MICROS) {
            return Err(Reason::ValueTooLarge);
        }

        let index = known.unwrap_or_else(|| self.create(order_id, customer, currency, line));
        let (country, email) = (self.texts.id(&line.country), self.texts.id(&line.email));
        let product = self.texts.id(&line.product);
        let name = self.texts.id(&line.name);
        let category = self.texts.id(&line.category);
        let order = &mut self.orders[index as usize];
        order.total_micros = i64::try_from(total).expect("the limit is far below 64 bits");
        order.time_us = order.time_us.min(line.time_us);
        order.line_count += 1;
        for (kept, given) in [(&mut order.country, country), (&mut order.email, email)] {
            if *kept == 0 {
                *kept = given;
            }
        }
        self.products.see(product, name, category, currency, line);
        let (quantity, price_micros) = (line.quantity, line.price_micros);
        self.lines.push(OrderLine { number, order: index, product, name, category, quantity, price_micros });
        Ok(())
    }

    /// Brings the lines of each order together, in the file's order, and counts what there is.
    pub(super) fn finish(&mut self, report: &mut ImportReport) {
        self.lines.sort_by_key(|line| line.order);
        self.by_id = HashMap::new();

        let customers: HashSet<_> = self.orders.iter().map(|order| order.customer).collect();
        report.lines_accepted = self.lines.len() as u64;
        report.customers = customers.len() as u64;
        report.products = self.products.len() as u64;
        report.cancellations = self.orders.iter().filter(|order| order.cancellation).count() as u64;
        report.orders = self.orders.len() as u64 - report.cancellations;
    }

    /// Returns the number of orders and cancellations.
    pub(super) fn len(&self) -> usize {
        self.orders.len()
    }

    /// Returns the orders with their lines, in the file's order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&Order, &[OrderLine])> {
        let mut rest = self.lines.as_slice();
        self.orders.iter().map(move |order| {
            let (lines, behind) = rest.split_at(order.line_count);
            rest = behind;
            (order, lines)
        })
    }

    fn create(&mut self, order_id: TextId, customer: TextId, currency: TextId, line: &Line) -> u32 {
        let index = u32::try_from(self.orders.len()).expect("memory ends before 2^32 orders");
        self.by_id.insert(order_id, index);
        self.orders.push(Order {
            order_id,
            customer,
            email: 0,
            currency,
            country: 0,
            time_us: line.time_us,
            total_micros: 0,
            cancellation: line.cancellation,
            line_count: 0,
        });
        index
    }
}

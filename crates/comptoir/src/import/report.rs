use std::{collections::BTreeMap, fmt};

use serde::Serialize;

/// Why a line is not part of an event. A line that breaks several rules is counted under the first of them in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// It is not a row of the file's columns: fields too few or too many, an open quote, text that is not UTF-8.
    BrokenLine,
    /// It has no order id.
    MissingOrder,
    /// It has no date, or one that cannot be read or lies before 1970.
    BadDate,
    /// It has no customer.
    MissingCustomer,
    /// It has no product.
    MissingProduct,
    /// Its quantity is not a whole number other than 0.
    BadQuantity,
    /// Its price is not a number.
    BadPrice,
    /// Its price is 0: a gift, a sample or a correction of the stock.
    ZeroPrice,
    /// Its price is negative: a correction of the books.
    NegativePrice,
    /// Its quantity is negative though its order is not a cancellation.
    NegativeQuantity,
    /// Its quantity is positive though its order is a cancellation.
    CancellationPositiveQuantity,
    /// Its currency is not three letters.
    BadCurrency,
    /// An id is longer than events may carry.
    IdTooLong,
    /// Its customer is not the one of the order's first line.
    CustomerConflict,
    /// Its currency is not the one of the order's first line.
    CurrencyConflict,
    /// Its date lies more than a day ahead.
    DateInFuture,
    /// Its value, or the order's with it, exceeds a million million.
    ValueTooLarge,
    /// The order has more lines than one event holds.
    OrderTooLarge,
}

impl Reason {
    /// Returns the stable name, as in the rejects file.
    pub fn name(self) -> &'static str {
        match self {
            Self::BrokenLine => "broken_line",
            Self::MissingOrder => "missing_order",
            Self::BadDate => "bad_date",
            Self::MissingCustomer => "missing_customer",
            Self::MissingProduct => "missing_product",
            Self::BadQuantity => "bad_quantity",
            Self::BadPrice => "bad_price",
            Self::ZeroPrice => "zero_price",
            Self::NegativePrice => "negative_price",
            Self::NegativeQuantity => "negative_quantity",
            Self::CancellationPositiveQuantity => "cancellation_positive_quantity",
            Self::BadCurrency => "bad_currency",
            Self::IdTooLong => "id_too_long",
            Self::CustomerConflict => "customer_conflict",
            Self::CurrencyConflict => "currency_conflict",
            Self::DateInFuture => "date_in_future",
            Self::ValueTooLarge => "value_too_large",
            Self::OrderTooLarge => "order_too_large",
        }
    }

    /// Returns what it means, for a person to read.
    pub fn explanation(self) -> &'static str {
        match self {
            Self::BrokenLine => "not a row of the file's columns",
            Self::MissingOrder => "without an order id",
            Self::BadDate => "the date is missing or cannot be read",
            Self::MissingCustomer => "without a customer",
            Self::MissingProduct => "without a product",
            Self::BadQuantity => "the quantity is not a whole number other than 0",
            Self::BadPrice => "the price is not a number",
            Self::ZeroPrice => "the price is 0",
            Self::NegativePrice => "the price is negative",
            Self::NegativeQuantity => "the quantity is negative though the order is not a cancellation",
            Self::CancellationPositiveQuantity => "the quantity is positive though the order is a cancellation",
            Self::BadCurrency => "the currency is not three letters",
            Self::IdTooLong => "an id is longer than events may carry",
            Self::CustomerConflict => "another customer than in the order's first line",
            Self::CurrencyConflict => "another currency than in the order's first line",
            Self::DateInFuture => "the date lies more than a day ahead",
            Self::ValueTooLarge => "the value exceeds a million million",
            Self::OrderTooLarge => "the order has more lines than one event holds",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// What became of a file. `lines = lines_accepted + Σ rejected`, and
/// `orders + cancellations = accepted + duplicates + quarantined` unless it was a dry run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ImportReport {
    /// Rows of the file, without header and blank lines.
    pub lines: u64,
    /// Lines that are part of an event.
    pub lines_accepted: u64,
    /// Lines that are not, by reason.
    pub rejected: BTreeMap<Reason, u64>,
    /// Orders, each one event.
    pub orders: u64,
    /// Cancellations, each one event.
    pub cancellations: u64,
    /// Customers with an order or a cancellation.
    pub customers: u64,
    /// Products in orders and cancellations.
    pub products: u64,
    /// Value by currency.
    pub turnover: BTreeMap<String, Turnover>,
    /// Events committed to the event log.
    pub accepted: u64,
    /// Events known already.
    pub duplicates: u64,
    /// Events kept as dead letters, by reason.
    pub quarantined: BTreeMap<String, u64>,
    /// Products put into the catalogue.
    pub catalogue: u64,
    /// Size of the events, in bytes.
    pub bytes: u64,
}

/// Value in one currency, in millionths.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Turnover {
    /// Of the orders.
    pub ordered_micros: i128,
    /// Of the cancellations, positive.
    pub cancelled_micros: i128,
}

impl ImportReport {
    /// Returns the number of rejected lines.
    pub fn lines_rejected(&self) -> u64 {
        self.rejected.values().sum()
    }

    /// Returns the number of events kept as dead letters.
    pub fn events_quarantined(&self) -> u64 {
        self.quarantined.values().sum()
    }
}

impl fmt::Display for ImportReport {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "{:>9} lines read", self.lines)?;
        writeln!(formatter, "{:>9} lines in orders and cancellations", self.lines_accepted)?;
        for (reason, lines) in &self.rejected {
            writeln!(formatter, "{lines:>9} lines rejected: {}, {}", reason.name(), reason.explanation())?;
        }
        writeln!(formatter, "{:>9} orders", self.orders)?;
        writeln!(formatter, "{:>9} cancellations", self.cancellations)?;
        writeln!(formatter, "{:>9} customers, {} products", self.customers, self.products)?;
        for (currency, turnover) in &self.turnover {
            let (ordered, cancelled) = (Amount(turnover.ordered_micros), Amount(turnover.cancelled_micros));
            writeln!(formatter, "{:>9} {ordered} ordered, {cancelled} cancelled", currency)?;
        }
        writeln!(formatter, "{:>9} events accepted", self.accepted)?;
        write!(formatter, "{:>9} events known already", self.duplicates)?;
        for (reason, events) in &self.quarantined {
            write!(formatter, "\n{events:>9} events kept as dead letters: {reason}")?;
        }
        Ok(())
    }
}

/// Millionths as a person reads them.
struct Amount(i128);

impl fmt::Display for Amount {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (units, fraction) = (self.0 / 1_000_000, self.0 % 1_000_000);
        let digits = format!("{fraction:06}");
        let shown = digits.trim_end_matches('0').len().max(2);
        write!(formatter, "{units}.{}", &digits[..shown])
    }
}

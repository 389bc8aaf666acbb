use chrono::{DateTime, Utc};

use super::{
    Mapping, Reason,
    cell::Cell,
    mapping::{Formats, Source},
};

/// Millionths in one.
pub(super) const MICROS: i64 = 1_000_000;
/// Largest value of a line and of an order, in millionths: sums of millions of orders still fit 64 bits of units.
pub(super) const MAX_VALUE_MICROS: i64 = 1_000_000_000_000 * MICROS;
/// Longest key of a thing of the shop that events may carry, in characters.
pub(super) const MAX_KEY_CHARS: usize = 256;
/// Longest value of an identifier that events may carry, in characters.
pub(super) const MAX_IDENTIFIER_CHARS: usize = 512;
/// Longest title that the catalogue takes, in characters.
const MAX_TITLE_CHARS: usize = 512;
/// What lies further ahead is refused by ingestion.
const MAX_AHEAD_MICROS: i64 = 86_400 * MICROS;

/// One line of an order as the file has it, checked as far as one line can be checked alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) order_id: String,
    pub(super) time_us: i64,
    pub(super) customer: String,
    pub(super) product: String,
    pub(super) name: String,
    pub(super) category: String,
    /// Pieces, positive; those of a cancellation come back.
    pub(super) quantity: i64,
    pub(super) price_micros: i64,
    pub(super) currency: String,
    pub(super) country: String,
    pub(super) email: String,
    pub(super) cancellation: bool,
}

/// Why a row is not a [`Line`], with what is known of it for the rejects file.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Rejected {
    pub(super) order_id: String,
    pub(super) reason: Reason,
}

/// Makes lines of rows.
pub(super) struct LineReader<'a> {
    mapping: &'a Mapping,
    places: Places,
    /// Neighbours mostly share their date; reading it is the dearest part of a line.
    last_date: (Cell, Option<i64>),
}

/// Where each value is found.
struct Places {
    order: Place,
    date: Place,
    customer: Place,
    product: Place,
    quantity: Place,
    price: Place,
    currency: Place,
    product_name: Place,
    category: Place,
    country: Place,
    email: Place,
}

enum Place {
    /// In this cell of the row.
    Row(usize),
    /// The same in every row; nothing when it is not mapped.
    Everywhere(Cell),
}

impl Place {
    fn of<'a>(&'a self, cells: &'a [Cell]) -> &'a Cell {
        match self {
            Self::Row(index) => &cells[*index],
            Self::Everywhere(cell) => cell,
        }
    }
}

impl<'a> LineReader<'a> {
    /// Returns a reader of rows whose cells are the mapping's wanted columns.
    pub(super) fn new(mapping: &'a Mapping) -> Self {
        let wanted = mapping.wanted_columns();
        let place = |key: &str, source: Option<&Source>| match source {
            None => Place::Everywhere(Cell::Null),
            Some(Source::Constant(value)) => Place::Everywhere(Cell::Text(value.clone())),
            Some(Source::Column(_)) => {
                let index = wanted.iter().position(|(wanted_key, _)| *wanted_key == key);
                Place::Row(index.expect("every column of the mapping is wanted"))
            }
        };
        let columns = &mapping.columns;
        let places = Places {
            order: place("columns.order", Some(&columns.order)),
            date: place("columns.date", Some(&columns.date)),
            customer: place("columns.customer", Some(&columns.customer)),
            product: place("columns.product", Some(&columns.product)),
            quantity: place("columns.quantity", Some(&columns.quantity)),
            price: place("columns.price", Some(&columns.price)),
            currency: place("columns.currency", Some(&columns.currency)),
            product_name: place("columns.product_name", columns.product_name.as_ref()),
            category: place("columns.category", columns.category.as_ref()),
            country: place("columns.country", columns.country.as_ref()),
            email: place("columns.email", columns.email.as_ref()),
        };
        Self { mapping, places, last_date: (Cell::Null, None) }
    }

    /// Reads one row. The order of the checks is the order of [`Reason`].
    pub(super) fn read(&mut self, cells: &[Cell]) -> Result<Line, Rejected> {
        let rejected = |order_id: &str, reason| Rejected { order_id: order_id.to_owned(), reason };
        let order_id = id(self.places.order.of(cells));
        let Some(order_id) = order_id else {
            return Err(rejected("", Reason::MissingOrder));
        };
        self.rest(cells, &order_id).map_err(|reason| rejected(&shortened(&order_id, MAX_KEY_CHARS), reason))
    }

    fn rest(&mut self, cells: &[Cell], order_id: &str) -> Result<Line, Reason> {
        let time_us = self.date(cells).ok_or(Reason::BadDate)?;
        let (places, formats) = (&self.places, &self.mapping.formats);
        let customer = id(places.customer.of(cells)).filter(|customer| !stands_for_nothing(customer));
        let customer = customer.ok_or(Reason::MissingCustomer)?;
        let product = id(places.product.of(cells)).ok_or(Reason::MissingProduct)?;
        let cancellation = self.is_cancellation(order_id);
        let (quantity, price_micros) = amounts(places, cells, formats, cancellation)?;
        let currency = currency(places.currency.of(cells)).ok_or(Reason::BadCurrency)?;
        let too_long = exceeds(order_id, MAX_KEY_CHARS)
            || exceeds(&product, MAX_KEY_CHARS)
            || exceeds(&customer, MAX_IDENTIFIER_CHARS);
        if too_long {
            return Err(Reason::IdTooLong);
        }

        let text = |place: &Place, limit| shortened(&place.of(cells).text().unwrap_or_default(), limit);
        let email = id(places.email.of(cells)).unwrap_or_default();
        Ok(Line {
            order_id: order_id.to_owned(),
            time_us,
            customer,
            product,
            name: text(&places.product_name, MAX_TITLE_CHARS),
            category: text(&places.category, MAX_TITLE_CHARS),
            quantity,
            price_micros,
            currency,
            country: text(&places.country, MAX_KEY_CHARS),
            email: if exceeds(&email, MAX_IDENTIFIER_CHARS) { String::new() } else { email },
            cancellation,
        })
    }

    fn date(&mut self, cells: &[Cell]) -> Option<i64> {
        let cell = self.places.date.of(cells);
        if *cell != self.last_date.0 {
            let time_us = cell.time(&self.mapping.formats).map(|time| time.timestamp_micros());
            // Before 1970 nothing was sold that anyone imports: it is a wrong date, and ingestion refuses it.
            self.last_date = (cell.clone(), time_us.filter(|time_us| *time_us >= 0));
        }
        self.last_date.1
    }

    fn is_cancellation(&self, order_id: &str) -> bool {
        let prefix = self.mapping.orders.cancellation_prefix.as_deref();
        prefix.is_some_and(|prefix| order_id.starts_with(prefix))
    }
}

/// Whether a time lies further ahead than ingestion takes.
pub(super) fn is_in_future(time_us: i64, now: DateTime<Utc>) -> bool {
    time_us > now.timestamp_micros().saturating_add(MAX_AHEAD_MICROS)
}

/// Returns quantity, positive, and price of a line.
fn amounts(places: &Places, cells: &[Cell], formats: &Formats, cancellation: bool) -> Result<(i64, i64), Reason> {
    let quantity = places.quantity.of(cells).integer(formats).filter(|quantity| *quantity != 0);
    let quantity = quantity.ok_or(Reason::BadQuantity)?;
    let price_micros = places.price.of(cells).micros(formats).ok_or(Reason::BadPrice)?;
    match (price_micros, quantity, cancellation) {
        (0, _, _) => Err(Reason::ZeroPrice),
        (..=-1, _, _) => Err(Reason::NegativePrice),
        (_, ..=-1, false) => Err(Reason::NegativeQuantity),
        (_, 1.., true) => Err(Reason::CancellationPositiveQuantity),
        // A whole number came out of millionths: its opposite exists.
        _ => Ok((quantity.abs(), price_micros)),
    }
}

/// Returns an id without NUL characters, which no database can keep.
pub(super) fn id(cell: &Cell) -> Option<String> {
    let id = cell.identifier()?;
    if !id.contains('\0') {
        return Some(id);
    }
    let clean = id.replace('\0', "").trim().to_owned();
    (!clean.is_empty()).then_some(clean)
}

pub(super) fn currency(cell: &Cell) -> Option<String> {
    let code = cell.text()?;
    let well_formed = code.len() == 3 && code.bytes().all(|byte| byte.is_ascii_alphabetic());
    well_formed.then(|| code.to_ascii_uppercase())
}

/// Words that programs write for nothing. As a customer they would make thousands of people one.
pub(super) fn stands_for_nothing(word: &str) -> bool {
    ["nan", "null", "none", "undefined", "n/a"].iter().any(|nothing| word.eq_ignore_ascii_case(nothing))
}

pub(super) fn exceeds(text: &str, limit: usize) -> bool {
    text.len() > limit && text.chars().count() > limit
}

/// Returns at most `limit` characters, without NUL.
pub(super) fn shortened(text: &str, limit: usize) -> String {
    text.chars().filter(|character| *character != '\0').take(limit).collect()
}

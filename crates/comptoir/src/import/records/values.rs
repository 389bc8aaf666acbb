//! The values of one row, by the keys of the mapping.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use proto::{google::r#type::Money, r#type::v1::Identifier};
use serde_json::{Map, Number, Value};

use super::{
    RecordReason,
    mapping::{PropertyColumn, PropertyType, RecordMapping},
};
use crate::import::{
    cell::Cell,
    event::money,
    line::{MAX_IDENTIFIER_CHARS, MAX_KEY_CHARS, currency, exceeds, id, is_in_future, shortened, stands_for_nothing},
    mapping::Source,
};

/// Largest amount, in millionths.
const MAX_AMOUNT_MICROS: i64 = crate::import::line::MAX_VALUE_MICROS;

/// Finds values in rows.
pub(super) struct Values<'a> {
    pub(super) mapping: &'a RecordMapping,
    /// Cells of a row, by the key that names them.
    places: HashMap<String, usize>,
    /// Values that are the same in every row.
    constants: HashMap<String, Cell>,
    pub(super) now: DateTime<Utc>,
}

/// One row.
pub(super) struct RowValues<'a> {
    values: &'a Values<'a>,
    cells: &'a [Cell],
}

impl<'a> Values<'a> {
    /// Returns the values of rows whose cells are the mapping's wanted columns.
    pub(super) fn new(mapping: &'a RecordMapping, now: DateTime<Utc>) -> Self {
        let keys = mapping.wanted_columns().into_iter().enumerate().map(|(place, (key, _))| (key, place));
        let mut constants = HashMap::new();
        for (key, source) in mapping.sources() {
            if let Source::Constant(value) = source {
                constants.insert(key, Cell::Text(value.clone()));
            }
        }
        Self { mapping, places: keys.collect(), constants, now }
    }

    pub(super) fn of(&'a self, cells: &'a [Cell]) -> RowValues<'a> {
        RowValues { values: self, cells }
    }
}

impl RowValues<'_> {
    pub(super) fn cell(&self, key: &str) -> &Cell {
        match self.values.places.get(key) {
            Some(place) => &self.cells[*place],
            None => self.values.constants.get(key).unwrap_or(&Cell::Null),
        }
    }

    /// Returns text without NUL, at most `limit` characters of it; empty when there is none.
    pub(super) fn text(&self, key: &str, limit: usize) -> String {
        shortened(&self.cell(key).text().unwrap_or_default(), limit)
    }

    /// Returns an id of a thing that must be there.
    pub(super) fn key(&self, key: &str) -> Result<String, RecordReason> {
        let found = id(self.cell(key)).ok_or(RecordReason::MissingValue)?;
        if exceeds(&found, MAX_KEY_CHARS) { Err(RecordReason::IdTooLong) } else { Ok(found) }
    }

    /// Returns who the row is about.
    pub(super) fn identifiers(&self) -> Result<Vec<Identifier>, RecordReason> {
        let mut identifiers = Vec::new();
        for (index, column) in self.values.mapping.identifiers.iter().enumerate() {
            let value = id(self.cell(&format!("identifiers.{index}"))).filter(|value| !stands_for_nothing(value));
            let Some(value) = value else { continue };
            if exceeds(&value, MAX_IDENTIFIER_CHARS) {
                return Err(RecordReason::IdTooLong);
            }
            identifiers.push(Identifier { kind: column.kind.clone(), value });
        }
        if identifiers.is_empty() { Err(RecordReason::MissingIdentifier) } else { Ok(identifiers) }
    }

    /// Returns an instant, `None` when the row has none.
    pub(super) fn time(&self, key: &str) -> Result<Option<i64>, RecordReason> {
        let cell = self.cell(key);
        if *cell == Cell::Null {
            return Ok(None);
        }
        let time = cell.time(&self.values.mapping.formats).map(|time| time.timestamp_micros());
        let time_us = time.filter(|time_us| *time_us >= 0).ok_or(RecordReason::BadTime)?;
        Ok(Some(time_us))
    }

    /// Returns when something happened that must have a time and cannot lie ahead.
    pub(super) fn past(&self, key: &str) -> Result<i64, RecordReason> {
        self.past_if_any(key)?.ok_or(RecordReason::BadTime)
    }

    /// Returns when something happened, which cannot lie ahead.
    pub(super) fn past_if_any(&self, key: &str) -> Result<Option<i64>, RecordReason> {
        match self.time(key)? {
            Some(time_us) if is_in_future(time_us, self.values.now) => Err(RecordReason::TimeInFuture),
            time => Ok(time),
        }
    }

    /// Returns a number in millionths, `None` when the row has none.
    pub(super) fn micros(&self, key: &str) -> Result<Option<i64>, RecordReason> {
        let cell = self.cell(key);
        if cell.text().is_none() {
            return Ok(None);
        }
        cell.micros(&self.values.mapping.formats).map(Some).ok_or(RecordReason::BadNumber)
    }

    /// Returns an amount with its currency, `None` when the row has none.
    pub(super) fn money(&self, amount: &str, currency_key: &str) -> Result<Option<Money>, RecordReason> {
        let Some(micros) = self.micros(amount)? else { return Ok(None) };
        if !(0..=MAX_AMOUNT_MICROS).contains(&micros) {
            return Err(RecordReason::BadNumber);
        }
        let code = currency(self.cell(currency_key)).ok_or(RecordReason::BadCurrency)?;
        Ok(Some(money(micros, &code)))
    }

    /// Returns the further columns as a JSON object; empty when there are none.
    pub(super) fn properties(&self) -> Result<Vec<u8>, RecordReason> {
        let mut object = Map::new();
        for (name, property) in &self.values.mapping.properties {
            let cell = self.cell(&format!("properties.{name}"));
            let value = match property {
                PropertyColumn::Plain(Source::Constant(value)) => Some(Value::String(value.clone())),
                PropertyColumn::Typed(typed) if typed.kind == PropertyType::Number => self.number(cell)?,
                PropertyColumn::Typed(_) => cell.text().map(Value::String),
                PropertyColumn::Plain(_) => self.as_it_is(cell),
            };
            object.extend(value.map(|value| (name.clone(), value)));
        }
        if object.is_empty() {
            return Ok(Vec::new());
        }
        Ok(serde_json::to_vec(&Value::Object(object)).expect("a map of values is JSON"))
    }

    fn number(&self, cell: &Cell) -> Result<Option<Value>, RecordReason> {
        let Some(text) = cell.text() else { return Ok(None) };
        let number = match cell {
            Cell::Integer(number) => Some(Number::from(*number)),
            Cell::Float(number) => Number::from_f64(*number),
            _ => {
                let plain = text.replace(self.values.mapping.formats.decimal_separator, ".");
                plain.parse::<i64>().map(Number::from).ok().or_else(|| Number::from_f64(plain.parse().ok()?))
            }
        };
        number.map(|number| Some(Value::Number(number))).ok_or(RecordReason::BadNumber)
    }

    /// Returns a value by the file's own type.
    fn as_it_is(&self, cell: &Cell) -> Option<Value> {
        match cell {
            Cell::Null => None,
            Cell::Integer(number) => Some(Value::from(*number)),
            Cell::Float(number) => Number::from_f64(*number).map(Value::Number),
            Cell::Decimal(..) => Number::from_f64(cell.text()?.parse().ok()?).map(Value::Number),
            Cell::Time(..) => {
                let time = cell.time(&self.values.mapping.formats)?;
                Some(Value::String(time.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true)))
            }
            Cell::Text(text) if text.trim().is_empty() => None,
            Cell::Text(text) => Some(Value::String(text.trim().to_owned())),
        }
    }
}

impl RowValues<'_> {
    /// Returns a date of the calendar as ISO 8601, empty when the row has none. A date without a time is the same day in every
    /// zone, and it may lie before 1970.
    pub(super) fn date(&self, key: &str) -> Result<String, RecordReason> {
        let cell = self.cell(key);
        if *cell == Cell::Null || (cell.text().is_none() && !matches!(cell, Cell::Time(..))) {
            return Ok(String::new());
        }
        let formats = &self.values.mapping.formats;
        let time = cell.time(formats).ok_or(RecordReason::BadTime)?;
        let zone: chrono_tz::Tz = formats.timezone.parse().unwrap_or(chrono_tz::UTC);
        let date = match cell {
            Cell::Time(_, false) => time.date_naive(),
            _ => time.with_timezone(&zone).date_naive(),
        };
        Ok(date.to_string())
    }
}

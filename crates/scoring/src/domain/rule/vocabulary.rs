//! The variables that rules see.

use std::collections::HashMap;

use cel::common::types::{CelBool, CelDouble, CelInt, CelMap, CelMapKey, CelString, CelTimestamp};
use cel::common::value::{CowVal, Val};
use cel::context::VariableResolver;
use chrono::DateTime;
use serde_json::json;

use super::time::{BASES, Base};
use crate::domain::days_between;
use crate::domain::rfm::Cell;
use crate::domain::state::{CARTS, CURRENCY, EVENTS, Inputs, ORDERS, RFM, State, VIEWS};

/// The variables there are.
pub(crate) const VARIABLES: [&str; 5] = ["traits", "stats", "rfm", "consents", "now"];

/// Fields of `stats`, with what they read.
pub(crate) const STATS: [(&str, Inputs); 14] = [
    ("order_count", ORDERS),
    ("event_count", EVENTS),
    ("product_view_count", VIEWS),
    ("cart_add_count", CARTS),
    ("days_since_first_order", ORDERS),
    ("days_since_last_order", ORDERS),
    ("days_since_first_event", EVENTS),
    ("days_since_last_event", EVENTS),
    ("net_value", ORDERS | CURRENCY),
    ("refunded_value", ORDERS | CURRENCY),
    ("average_order_value", ORDERS | CURRENCY),
    ("net_values", ORDERS),
    ("refunded_values", ORDERS),
    ("currency", ORDERS | CURRENCY),
];

/// Fields of `rfm`.
pub(crate) const RFM_FIELDS: [(&str, Inputs); 4] =
    [("recency", RFM), ("frequency", RFM), ("monetary", RFM), ("segment", RFM)];

/// The RFM cell of a person; none without orders.
pub(crate) type Rfm = Option<Cell>;

/// What a rule sees of one person at one instant.
#[derive(Debug, Clone, Copy)]
pub(crate) struct View<'a> {
    /// The person.
    pub(crate) state: &'a State,
    /// The instant, in microseconds since the Unix epoch.
    pub(crate) now_us: i64,
    /// The person's RFM cell.
    pub(crate) rfm: Rfm,
    /// The tenant's main currency; empty while unknown, then the person's own stands in.
    pub(crate) currency: &'a str,
}

impl VariableResolver for View<'_> {
    /// The interpreter asks for `stats.order_count` first and for `stats` only when that is unknown: so that the
    /// usual rule never has a map built for it.
    fn resolve<'b>(&'b self, variable: &str) -> Option<CowVal<'b, 'b>> {
        match variable.split_once('.') {
            Some(("stats", field)) => self.stat(field),
            Some(("traits", name)) => {
                self.state.traits.get(name).map(|text| CowVal::owned(CelString::from(text.as_str())))
            }
            Some(("rfm", field)) => self.rfm_field(field),
            Some(("consents", key)) => self.state.consents.get(key).map(|answer| CowVal::owned(CelBool::from(*answer))),
            Some(_) => None,
            None => self.variable(variable),
        }
    }
}

impl<'a> View<'a> {
    fn currency(&self) -> &'a str {
        if self.currency.is_empty() { self.state.stats.main_currency() } else { self.currency }
    }

    fn variable<'b>(&'b self, name: &str) -> Option<CowVal<'b, 'b>> {
        match name {
            "stats" => {
                let fields = STATS.iter().filter_map(|(field, _)| Some((*field, self.stat(field)?)));
                Some(map(fields.map(|(field, value)| (CelString::from(field), value.into_owned()))))
            }
            "rfm" => {
                let fields = RFM_FIELDS.iter().filter_map(|(field, _)| Some((*field, self.rfm_field(field)?)));
                Some(map(fields.map(|(field, value)| (CelString::from(field), value.into_owned()))))
            }
            "traits" => Some(map(self.state.traits.iter().map(|(name, text)| {
                (CelString::from(name.as_str()), Box::new(CelString::from(text.as_str())) as Box<dyn Val + 'b>)
            }))),
            "consents" => Some(map(self.state.consents.iter().map(|(key, answer)| {
                (CelString::from(key.as_str()), Box::new(CelBool::from(*answer)) as Box<dyn Val + 'b>)
            }))),
            "now" => {
                let now = DateTime::from_timestamp_micros(self.now_us)?;
                Some(CowVal::owned(CelTimestamp::from(now.fixed_offset())))
            }
            _ => None,
        }
    }

    fn stat<'b>(&'b self, field: &str) -> Option<CowVal<'b, 'b>> {
        if let Some(base) = Base::of_variable(field) {
            let instant_us = base.instant_us(self.state)?;
            return Some(CowVal::owned(CelInt::from(days_between(instant_us, self.now_us))));
        }
        let stats = &self.state.stats;
        let count = |count: u64| Some(CowVal::owned(CelInt::from(i64::try_from(count).unwrap_or(i64::MAX))));
        let number = |micros: i64| Some(CowVal::owned(CelDouble::from(units(micros))));
        match field {
            "order_count" => count(stats.order_count),
            "event_count" => count(stats.event_count),
            "product_view_count" => count(stats.product_view_count),
            "cart_add_count" => count(stats.cart_add_count),
            "net_value" => number(stats.net_micros(self.currency())),
            "refunded_value" => number(stats.refunded_micros(self.currency())),
            "average_order_value" => Some(CowVal::owned(CelDouble::from(self.average_order_value()))),
            "net_values" => Some(map(stats.values.iter().map(|(currency, value)| {
                let number = CelDouble::from(units(value.net_micros));
                (CelString::from(currency.as_str()), Box::new(number) as Box<dyn Val + 'b>)
            }))),
            "refunded_values" => Some(map(stats.values.iter().map(|(currency, value)| {
                let number = CelDouble::from(units(value.refunded_micros));
                (CelString::from(currency.as_str()), Box::new(number) as Box<dyn Val + 'b>)
            }))),
            "currency" => Some(CowVal::owned(CelString::from(self.currency()))),
            _ => None,
        }
    }

    fn average_order_value(&self) -> f64 {
        let value = self.state.stats.values.get(self.currency()).copied().unwrap_or_default();
        if value.order_count == 0 { 0.0 } else { units(value.net_micros) / value.order_count as f64 }
    }

    fn rfm_field<'b>(&'b self, field: &str) -> Option<CowVal<'b, 'b>> {
        let score =
            |pick: fn(Cell) -> u8| Some(CowVal::owned(CelInt::from(self.rfm.map_or(0, |cell| i64::from(pick(cell))))));
        match field {
            "recency" => score(|cell| cell.recency),
            "frequency" => score(|cell| cell.frequency),
            "monetary" => score(|cell| cell.monetary),
            "segment" => Some(CowVal::owned(CelString::from(self.rfm.map_or("", Cell::segment)))),
            _ => None,
        }
    }

    /// Returns every variable as JSON, for people.
    pub(crate) fn to_json(self) -> serde_json::Value {
        let stats = &self.state.stats;
        let of_currencies = |pick: fn(&crate::domain::state::Value) -> i64| -> serde_json::Value {
            stats
                .values
                .iter()
                .map(|(currency, value)| (currency.clone(), json!(units(pick(value)))))
                .collect::<serde_json::Map<_, _>>()
                .into()
        };
        let mut shown = json!({
            "order_count": stats.order_count,
            "event_count": stats.event_count,
            "product_view_count": stats.product_view_count,
            "cart_add_count": stats.cart_add_count,
            "net_value": units(stats.net_micros(self.currency())),
            "refunded_value": units(stats.refunded_micros(self.currency())),
            "average_order_value": self.average_order_value(),
            "net_values": of_currencies(|value| value.net_micros),
            "refunded_values": of_currencies(|value| value.refunded_micros),
            "currency": self.currency(),
        });
        for base in BASES {
            if let Some(instant_us) = base.instant_us(self.state) {
                shown[base.variable()] = json!(days_between(instant_us, self.now_us));
            }
        }
        json!({
            "stats": shown,
            "traits": self.state.traits,
            "consents": self.state.consents,
            "rfm": {
                "recency": self.rfm.map_or(0, |cell| cell.recency),
                "frequency": self.rfm.map_or(0, |cell| cell.frequency),
                "monetary": self.rfm.map_or(0, |cell| cell.monetary),
                "segment": self.rfm.map_or("", Cell::segment),
            },
            "now": DateTime::from_timestamp_micros(self.now_us).map(|now| now.to_rfc3339()),
        })
    }
}

fn map<'b>(entries: impl Iterator<Item = (CelString<'b>, Box<dyn Val + 'b>)>) -> CowVal<'b, 'b> {
    let entries: HashMap<CelMapKey<'b>, Box<dyn Val + 'b>> =
        entries.map(|(key, value)| (CelMapKey::String(key), value)).collect();
    CowVal::owned(CelMap::from(entries))
}

fn units(micros: i64) -> f64 {
    micros as f64 / 1e6
}

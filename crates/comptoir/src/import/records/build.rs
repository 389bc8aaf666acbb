//! What a row becomes.

use prost::Message;
use prost_types::Timestamp;
use proto::{
    event::v1::{
        ConsentChanged, ContextSignal, Event, Identified, Location, ProductReviewed, StoreVisited, event::Body,
    },
    recommendation::v1::Product,
    r#type::v1::{Consent, ConsentState},
};
use uuid::Uuid;

use super::{
    RecordKind, RecordReason,
    values::{RowValues, Values},
};
use crate::import::{
    cell::Cell,
    event::{MAX_EVENT_BYTES, timestamp},
    mapping::is_kind,
};

/// Longest title, name or place, in characters.
const MAX_TEXT_CHARS: usize = 512;
/// Longest part of a place, in characters.
const MAX_PLACE_CHARS: usize = 100;
/// Longest text of a review, in characters: what fits an event with room to spare.
const MAX_REVIEW_CHARS: usize = 20_000;
/// Longest proof of a consent, in characters.
const MAX_PROOF_CHARS: usize = 1_024;
/// Longest address of a page or picture, in characters.
const MAX_URL_CHARS: usize = 2_048;
/// Millionths of a thousandth.
const MICROS_PER_MILLI: i64 = 1_000;

/// A record to send.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Record {
    Event(Box<Event>),
    Product(Box<Product>),
}

impl Record {
    /// Returns how large it is on the wire.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Event(event) => event.encoded_len(),
            Self::Product(product) => product.encoded_len(),
        }
    }
}

/// A row that is no record, with the id of the thing it is about where that is known.
#[derive(Debug)]
pub(super) struct Rejected {
    pub(super) id: String,
    pub(super) reason: RecordReason,
}

/// Makes records of rows.
pub(super) struct Builder<'a> {
    kind: RecordKind,
    values: Values<'a>,
}

impl<'a> Builder<'a> {
    pub(super) fn new(kind: RecordKind, values: Values<'a>) -> Self {
        Self { kind, values }
    }

    /// Makes a record of a row.
    pub(super) fn build(&self, cells: &[Cell]) -> Result<Record, Rejected> {
        let row = self.values.of(cells);
        self.record(&row).map_err(|reason| Rejected { id: self.thing(&row), reason })
    }

    /// Returns the id of the thing that a row is about, never of a person.
    fn thing(&self, row: &RowValues<'_>) -> String {
        let key = match self.kind {
            RecordKind::Customers | RecordKind::Consents => return String::new(),
            RecordKind::Products => "columns.product",
            RecordKind::Reviews => "columns.review",
            RecordKind::StoreVisits => "columns.store_location",
            RecordKind::Signals => "columns.signal",
        };
        row.text(key, MAX_TEXT_CHARS)
    }

    fn record(&self, row: &RowValues<'_>) -> Result<Record, RecordReason> {
        let mut event = match self.kind {
            RecordKind::Products => return Ok(Record::Product(Box::new(self.product(row)?))),
            RecordKind::Customers => self.customer(row)?,
            RecordKind::Consents => self.consent(row)?,
            RecordKind::Reviews => review(row)?,
            RecordKind::StoreVisits => visit(row)?,
            RecordKind::Signals => signal(row)?,
        };
        event.provenance = Some(self.values.mapping.provenance.provenance());
        // The id is of the content alone: the same row gives the same id in every import, a changed one another.
        let content = event.encode_to_vec();
        if content.len() > MAX_EVENT_BYTES {
            return Err(RecordReason::TooLarge);
        }
        event.message_id = format!("import-{}-{}", self.kind.name(), Uuid::new_v5(&Uuid::NAMESPACE_OID, &content));
        Ok(Record::Event(Box::new(event)))
    }

    fn customer(&self, row: &RowValues<'_>) -> Result<Event, RecordReason> {
        let identifiers = row.identifiers()?;
        let time_us = row.past_if_any("columns.time")?;
        let text = |name: &str| row.text(&format!("columns.{name}"), MAX_TEXT_CHARS);
        let address = place(row);
        let identified = Identified {
            first_name: text("first_name"),
            last_name: text("last_name"),
            birth_date: birth_date(row)?,
            gender: text("gender"),
            address: (address != Location::default()).then_some(address),
            street: text("street"),
            traits_json: row.properties()?.into(),
        };
        let mut consents = Vec::new();
        for (index, columns) in self.values.mapping.consents.iter().enumerate() {
            let key = |name: &str| format!("consents.{index}.{name}");
            let Some(state) = self.answer(row, &key("state"))? else { continue };
            consents.push(Consent {
                purpose: columns.purpose.clone(),
                channel: columns.channel.clone(),
                state: state.into(),
                decided_time: row.past_if_any(&key("time"))?.or(time_us).map(timestamp),
                proof: row.text(&key("proof"), MAX_PROOF_CHARS),
            });
        }
        let event_time = time_us.map(timestamp);
        Ok(Event { identifiers, event_time, consents, body: Some(Body::Identified(identified)), ..Event::default() })
    }

    fn consent(&self, row: &RowValues<'_>) -> Result<Event, RecordReason> {
        let identifiers = row.identifiers()?;
        let purpose = word(row, "columns.purpose")?.ok_or(RecordReason::MissingValue)?;
        let channel = word(row, "columns.channel")?.unwrap_or_default();
        let state = self.answer(row, "columns.state")?.ok_or(RecordReason::MissingValue)?;
        let decided = Some(timestamp(row.past("columns.time")?));
        let proof = row.text("columns.proof", MAX_PROOF_CHARS);
        let consent = Consent { purpose, channel, state: state.into(), decided_time: decided, proof };
        let origin = row.text("columns.origin", MAX_TEXT_CHARS);
        Ok(Event {
            identifiers,
            event_time: decided,
            consents: vec![consent],
            properties_json: row.properties()?.into(),
            body: Some(Body::ConsentChanged(ConsentChanged { origin })),
            ..Event::default()
        })
    }

    fn product(&self, row: &RowValues<'_>) -> Result<Product, RecordReason> {
        let text = |name: &str, limit| row.text(&format!("columns.{name}"), limit);
        let title = text("title", MAX_TEXT_CHARS);
        if title.is_empty() {
            return Err(RecordReason::MissingValue);
        }
        let stock = row.micros("columns.stock")?.map(|micros| match micros % 1_000_000 {
            0 if micros >= 0 => Ok(micros / 1_000_000),
            _ => Err(RecordReason::BadNumber),
        });
        Ok(Product {
            product_id: row.key("columns.product")?,
            title,
            category: text("category", MAX_TEXT_CHARS),
            brand: text("brand", MAX_TEXT_CHARS),
            price: row.money("columns.price", "columns.currency")?,
            stock: stock.transpose()?,
            url: text("url", MAX_URL_CHARS),
            image_url: text("image_url", MAX_URL_CHARS),
            update_time: None::<Timestamp>,
            provenance: Some(self.values.mapping.provenance.provenance()),
        })
    }

    /// Returns the answer in a cell, `None` when there is none.
    fn answer(&self, row: &RowValues<'_>, key: &str) -> Result<Option<ConsentState>, RecordReason> {
        let Some(word) = row.cell(key).text() else { return Ok(None) };
        let answers = &self.values.mapping.answers;
        let is_one_of = |words: &[String]| words.iter().any(|known| known.eq_ignore_ascii_case(&word));
        match (is_one_of(&answers.granted), is_one_of(&answers.denied)) {
            (true, false) => Ok(Some(ConsentState::Granted)),
            (false, true) => Ok(Some(ConsentState::Denied)),
            _ => Err(RecordReason::BadAnswer),
        }
    }
}

fn review(row: &RowValues<'_>) -> Result<Event, RecordReason> {
    let identifiers = row.identifiers()?;
    let product_id = row.key("columns.product")?;
    let time = Some(timestamp(row.past("columns.time")?));
    let rating = row.micros("columns.rating")?.map_or(Ok(0), |micros| {
        let milli = i32::try_from(micros / MICROS_PER_MILLI).ok().filter(|milli| *milli >= 0);
        milli.ok_or(RecordReason::BadNumber)
    })?;
    let review = ProductReviewed {
        product_id,
        review_id: row.text("columns.review", MAX_TEXT_CHARS / 2),
        text: row.text("columns.text", MAX_REVIEW_CHARS),
        rating_milli: rating,
    };
    Ok(Event {
        identifiers,
        event_time: time,
        properties_json: row.properties()?.into(),
        body: Some(Body::ProductReviewed(review)),
        ..Event::default()
    })
}

fn visit(row: &RowValues<'_>) -> Result<Event, RecordReason> {
    let identifiers = row.identifiers()?;
    let store_location_id = row.key("columns.store_location")?;
    let visit = StoreVisited { store_location_id, method: row.text("columns.method", MAX_TEXT_CHARS / 8) };
    Ok(Event {
        identifiers,
        event_time: Some(timestamp(row.past("columns.time")?)),
        properties_json: row.properties()?.into(),
        body: Some(Body::StoreVisited(visit)),
        ..Event::default()
    })
}

/// A signal may lie ahead: holidays and forecasts do. It is known when it is imported, or when it began if that is past.
fn signal(row: &RowValues<'_>) -> Result<Event, RecordReason> {
    let kind = word(row, "columns.signal")?.ok_or(RecordReason::MissingValue)?;
    let start_us = row.time("columns.start_time")?.ok_or(RecordReason::BadTime)?;
    let end_us = row.time("columns.end_time")?;
    if end_us.is_some_and(|end_us| end_us < start_us) {
        return Err(RecordReason::BadTime);
    }
    let place = place(row);
    let signal = ContextSignal {
        kind,
        place: (place != Location::default()).then_some(place),
        start_time: Some(timestamp(start_us)),
        end_time: end_us.map(timestamp),
    };
    let properties_json = row.properties()?.into();
    Ok(Event { properties_json, body: Some(Body::ContextSignal(signal)), ..Event::default() })
}

fn place(row: &RowValues<'_>) -> Location {
    let text = |name: &str| row.text(&format!("columns.{name}"), MAX_PLACE_CHARS);
    Location { country: text("country"), region: text("region"), city: text("city"), postal_code: text("postal_code") }
}

/// Returns a purpose, channel or kind, in small letters.
fn word(row: &RowValues<'_>, key: &str) -> Result<Option<String>, RecordReason> {
    let Some(word) = row.cell(key).text() else { return Ok(None) };
    let word = word.to_ascii_lowercase();
    if is_kind(&word) { Ok(Some(word)) } else { Err(RecordReason::BadWord) }
}

/// Returns a date of birth as ISO 8601. It may lie before 1970.
fn birth_date(row: &RowValues<'_>) -> Result<String, RecordReason> {
    row.date("columns.birth_date")
}

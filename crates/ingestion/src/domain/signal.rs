//! Context signals: what bears on many people at a place and time.

use proto::event::v1::{ContextSignal, Event, Location};

use super::instant;

/// A signal as it is kept to be asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SignalRow {
    pub(crate) kind: String,
    pub(crate) start_us: i64,
    pub(crate) place: Place,
    /// The same as `start_us` for an instant.
    pub(crate) end_us: i64,
    pub(crate) source_id: String,
    pub(crate) party: i64,
    pub(crate) medium: i64,
    /// When it was told: of two words about the same kind, place and start the later counts, by event id at the same instant.
    pub(crate) told_us: i64,
    pub(crate) event_id: String,
    pub(crate) properties_json: Vec<u8>,
}

/// Where a signal holds. An empty part: everywhere within the rest.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) country: String,
    pub(crate) region: String,
    pub(crate) city: String,
    pub(crate) postal_code: String,
}

/// What makes two words be about the same signal.
pub(crate) type SignalKey<'a> = (&'a str, i64, &'a Place);

impl SignalRow {
    /// Returns the signal that a finished event holds. A signal without a start holds from when it was told.
    pub(crate) fn of(event: &Event, signal: &ContextSignal, event_time_us: i64) -> Self {
        let time = |time: Option<&prost_types::Timestamp>| time.and_then(|time| instant::from_timestamp(time).ok());
        let start_us = time(signal.start_time.as_ref()).unwrap_or(event_time_us);
        let (party, medium) =
            event.provenance.as_ref().map_or((0, 0), |provenance| (provenance.party, provenance.medium));
        Self {
            kind: signal.kind.clone(),
            start_us,
            place: signal.place.as_ref().map(Place::from).unwrap_or_default(),
            end_us: time(signal.end_time.as_ref()).unwrap_or(start_us).max(start_us),
            source_id: event.source_id.clone(),
            party: i64::from(party),
            medium: i64::from(medium),
            told_us: event_time_us,
            event_id: event.event_id.clone(),
            properties_json: event.properties_json.to_vec(),
        }
    }

    pub(crate) fn key(&self) -> SignalKey<'_> {
        (&self.kind, self.start_us, &self.place)
    }

    /// Whether it takes the place of another word about the same.
    pub(crate) fn is_newer_than(&self, other: &Self) -> bool {
        (self.told_us, &self.event_id) > (other.told_us, &other.event_id)
    }
}

impl From<&Location> for Place {
    fn from(location: &Location) -> Self {
        Self {
            country: location.country.clone(),
            region: location.region.clone(),
            city: location.city.clone(),
            postal_code: location.postal_code.clone(),
        }
    }
}

impl From<Place> for Location {
    fn from(place: Place) -> Self {
        Self { country: place.country, region: place.region, city: place.city, postal_code: place.postal_code }
    }
}

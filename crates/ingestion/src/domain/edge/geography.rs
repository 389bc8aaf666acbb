//! Coarse places of network addresses, from a file of MaxMind's format.

use std::net::IpAddr;

use maxminddb::{MaxMindDbError, Reader};
use proto::event::v1::Geography;
use serde::Deserialize;

/// A database of places, in memory.
pub(crate) struct GeoTable(Reader<Vec<u8>>);

/// What is read of a record, as GeoLite2, GeoIP2 and DB-IP write it; a database of countries has the country only.
#[derive(Deserialize)]
struct Place<'a> {
    #[serde(borrow, default)]
    country: Option<Country<'a>>,
    #[serde(borrow, default)]
    registered_country: Option<Country<'a>>,
    #[serde(borrow, default)]
    subdivisions: Vec<Named<'a>>,
    #[serde(borrow, default)]
    city: Option<Named<'a>>,
    #[serde(borrow, default)]
    location: Option<Location<'a>>,
}

#[derive(Deserialize)]
struct Country<'a> {
    #[serde(default)]
    iso_code: Option<&'a str>,
}

#[derive(Deserialize)]
struct Named<'a> {
    #[serde(borrow, default)]
    names: Option<Names<'a>>,
}

#[derive(Deserialize)]
struct Names<'a> {
    #[serde(default)]
    en: Option<&'a str>,
}

#[derive(Deserialize)]
struct Location<'a> {
    #[serde(default)]
    latitude: Option<f64>,
    #[serde(default)]
    longitude: Option<f64>,
    #[serde(default)]
    time_zone: Option<&'a str>,
}

impl GeoTable {
    /// Reads a database. What it holds is checked once, so that looking up cannot fail half-way later.
    pub(crate) fn open(bytes: Vec<u8>) -> Result<Self, MaxMindDbError> {
        let reader = Reader::from_source(bytes)?;
        reader.verify()?;
        Ok(Self(reader))
    }

    /// Returns the place of an address; `None` when it is not known.
    pub(super) fn find(&self, address: IpAddr) -> Option<Geography> {
        let found = self.0.lookup(address).ok()?;
        let place: Place<'_> = found.decode().ok()??;
        let country = place.country.or(place.registered_country).and_then(|country| country.iso_code);
        let name =
            |named: Option<Named<'_>>| named.and_then(|named| named.names?.en.map(str::to_owned)).unwrap_or_default();
        let location = place.location.as_ref();
        let coordinates = location.and_then(|location| location.latitude.zip(location.longitude));
        let (latitude_deci, longitude_deci) = coordinates.map_or((0, 0), |(north, east)| (tenths(north), tenths(east)));
        Some(Geography {
            country: country.unwrap_or_default().to_ascii_uppercase(),
            region: name(place.subdivisions.into_iter().next()),
            city: name(place.city),
            latitude_deci,
            longitude_deci,
            located: coordinates.is_some(),
            timezone: location.and_then(|location| location.time_zone).unwrap_or_default().to_owned(),
        })
    }
}

/// Rounds degrees to tenths; a float converts to the nearest number there is.
fn tenths(degrees: f64) -> i32 {
    (degrees * 10.0).round() as i32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mmdb::{Value, database};

    fn paris() -> Value {
        Value::place("FR", "Île-de-France", "Paris", 48.8534, 2.3488, "Europe/Paris")
    }

    #[test]
    fn places_are_found_and_rounded() {
        let country_only = Value::map([("country", Value::map([("iso_code", Value::text("US"))]))]);
        let table = GeoTable::open(database(&[("203.0.113.0/24", paris()), ("2001:db8::/32", country_only)])).unwrap();
        let find = |text: &str| table.find(text.parse().unwrap());

        let found = find("203.0.113.0").unwrap();
        assert_eq!(
            (found.country.as_str(), found.region.as_str(), found.city.as_str()),
            ("FR", "Île-de-France", "Paris")
        );
        assert_eq!((found.latitude_deci, found.longitude_deci, found.located), (489, 23, true));
        assert_eq!(found.timezone, "Europe/Paris");
        let found = find("2001:db8:1::").unwrap();
        assert_eq!((found.country.as_str(), found.city.as_str(), found.located), ("US", "", false));
        assert_eq!((find("198.51.100.0"), find("::1")), (None, None));
    }

    #[test]
    fn broken_files_are_refused() {
        let good = database(&[("203.0.113.0/24", paris())]);
        assert!(GeoTable::open(good.clone()).is_ok());
        for bad in [Vec::new(), b"no database".to_vec(), good[..good.len() / 2].to_vec(), good[10..].to_vec()] {
            assert!(GeoTable::open(bad).is_err());
        }
    }
}

//! Countries by their two letters.

use std::fmt;

/// A code of ISO 3166-1 alpha-2, as far as its form tells.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Country([u8; 2]);

impl Country {
    /// Reads two letters, whatever their case. "UK" is taken for "GB".
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let [first, second] = text.trim().as_bytes() else { return None };
        if !(first.is_ascii_alphabetic() && second.is_ascii_alphabetic()) {
            return None;
        }
        match [first.to_ascii_uppercase(), second.to_ascii_uppercase()] {
            [b'U', b'K'] => Some(Self(*b"GB")),
            letters => Some(Self(letters)),
        }
    }

    pub(crate) fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("two letters are text")
    }
}

impl fmt::Debug for Country {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

const EU: &str = "AT BE BG CY CZ DE DK EE ES FI FR GR HR HU IE IT LT LU LV MT NL PL PT RO SE SI SK";
const EEA_BESIDE: &str = "IS LI NO";

/// Returns the countries of a name in a policy: a group, or one country.
pub(super) fn named(name: &str) -> Option<Vec<Country>> {
    let all = |text: &str| text.split(' ').filter_map(Country::parse).collect::<Vec<_>>();
    match name.trim().to_ascii_uppercase().as_str() {
        "EU" => Some(all(EU)),
        "EEA" => Some([all(EU), all(EEA_BESIDE)].concat()),
        other => Country::parse(other).map(|country| vec![country]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn countries_and_groups_are_read() {
        for (text, code) in [("fr", Some("FR")), (" US ", Some("US")), ("uk", Some("GB")), ("FRA", None), ("1A", None)]
        {
            assert_eq!(Country::parse(text).as_ref().map(Country::as_str), code, "{text}");
        }
        assert_eq!((named("EU").unwrap().len(), named("eea").unwrap().len()), (27, 30));
        assert!(named("EU").unwrap().contains(&Country::parse("FR").unwrap()));
        assert_eq!(named("Europe"), None);
    }
}

use std::{fmt, str::FromStr, sync::Arc};

use serde::{Deserialize, Serialize};

use crate::Error;

/// A merchant or brand: the border of all data.
///
/// 1 to 64 characters out of `a-z`, `0-9`, `_` and `-`. Cloning is cheap.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TenantId(Arc<str>);

/// Longest tenant id, in characters.
const MAX_CHARS: usize = 64;

impl TenantId {
    /// Returns the id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<&str> for TenantId {
    type Error = Error;

    fn try_from(text: &str) -> Result<Self, Error> {
        let allowed = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-');
        let well_formed = !text.is_empty() && text.len() <= MAX_CHARS && text.bytes().all(allowed);

        if well_formed {
            Ok(Self(text.into()))
        } else {
            Err(Error::invalid("TENANT_INVALID", "a tenant id is 1 to 64 characters out of a-z, 0-9, _ and -"))
        }
    }
}

impl TryFrom<String> for TenantId {
    type Error = Error;

    fn try_from(text: String) -> Result<Self, Error> {
        Self::try_from(text.as_str())
    }
}

impl FromStr for TenantId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Self::try_from(text)
    }
}

impl From<TenantId> for String {
    fn from(tenant: TenantId) -> Self {
        tenant.0.as_ref().to_owned()
    }
}

impl AsRef<str> for TenantId {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TenantId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl fmt::Debug for TenantId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "TenantId({})", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slugs_are_taken_and_all_else_is_refused() {
        for good in ["a", "shop_1", "maison-du-cafe", &"x".repeat(64)] {
            assert_eq!(TenantId::try_from(good).unwrap().as_str(), good);
        }

        for bad in ["", "Shop", "a b", "é", "a/b", &"x".repeat(65)] {
            assert!(TenantId::try_from(bad).is_err(), "{bad:?} was taken");
        }
    }

    #[test]
    fn serde_checks_what_it_reads() {
        let tenant: TenantId = serde_json::from_str("\"shop\"").unwrap();

        assert_eq!(serde_json::to_string(&tenant).unwrap(), "\"shop\"");
        assert!(serde_json::from_str::<TenantId>("\"Not A Slug\"").is_err());
    }
}

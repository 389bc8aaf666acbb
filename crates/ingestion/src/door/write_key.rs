//! Finding the write key of an HTTP request.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};

/// Returns the write key of a Basic `Authorization` header: the user name. A colon after it may be missing.
pub(super) fn basic_key(authorization: &str) -> Option<String> {
    let (scheme, encoded) = authorization.trim().split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let encoded = encoded.trim();
    let decoded = STANDARD.decode(encoded).or_else(|_| STANDARD_NO_PAD.decode(encoded)).ok()?;
    let text = String::from_utf8(decoded).ok()?;
    let key = text.split_once(':').map_or(text.as_str(), |(user, _)| user).trim();
    (!key.is_empty()).then(|| key.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_user_name_is_the_key() {
        for (header, key) in [
            ("Basic d2tfYWJjOg==", Some("wk_abc")),
            ("basic d2tfYWJj", Some("wk_abc")),
            ("Basic d2tfYWJjOnNlY3JldA", Some("wk_abc")),
            ("Basic Og==", None),
            ("Basic ???", None),
            ("Bearer d2tfYWJjOg==", None),
            ("", None),
        ] {
            assert_eq!(basic_key(header).as_deref(), key, "{header}");
        }
    }
}

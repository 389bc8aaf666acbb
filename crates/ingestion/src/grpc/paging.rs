//! Pages: sizes within bounds, and tokens that callers cannot read anything into.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use kit::Error;

/// Returns the size of a page: `default` when 0, never more than `max`.
pub(super) fn page_size(asked: i32, default: u16, max: u16) -> Result<usize, Error> {
    match asked {
        0 => Ok(usize::from(default)),
        asked => match usize::try_from(asked) {
            Ok(asked) => Ok(asked.min(usize::from(max))),
            Err(_) => Err(Error::violations([("page_size", "must not be negative")])),
        },
    }
}

/// Returns a number of events to look at: 1,000 when 0, never more than 20,000.
pub(super) fn events(asked: i32) -> Result<usize, Error> {
    match asked {
        0 => Ok(1_000),
        asked => match usize::try_from(asked) {
            Ok(asked) => Ok(asked.min(20_000)),
            Err(_) => Err(Error::violations([("events", "must not be negative")])),
        },
    }
}

/// Returns a token for a place.
pub(super) fn token(place: &str) -> String {
    URL_SAFE_NO_PAD.encode(place)
}

/// Returns the place of a token; `None` for the beginning.
pub(super) fn place(token: &str) -> Result<Option<String>, Error> {
    if token.is_empty() {
        return Ok(None);
    }
    let place = URL_SAFE_NO_PAD.decode(token).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    match place {
        Some(place) if !place.contains('\0') => Ok(Some(place)),
        _ => Err(invalid_token()),
    }
}

pub(super) fn invalid_token() -> Error {
    Error::violations([("page_token", "must be a next_page_token of the same list")])
}

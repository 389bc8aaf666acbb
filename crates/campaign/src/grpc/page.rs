//! Pages of lists.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use kit::Error;

/// Returns how many entries a page has.
pub(super) fn size(asked: i32, default: i64, most: i64) -> Result<i64, Error> {
    match i64::from(asked) {
        0 => Ok(default),
        asked if asked < 0 => Err(Error::violations([("page_size", "must not be negative")])),
        asked => Ok(asked.min(most)),
    }
}

/// Returns the token behind which the next page is.
pub(super) fn token(after: &str) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(after)
}

/// Returns what a token says; empty for the first page.
pub(super) fn after(token: &str) -> Result<String, Error> {
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(token).ok();
    bytes.and_then(|bytes| String::from_utf8(bytes).ok()).ok_or_else(wrong_token)
}

pub(super) fn wrong_token() -> Error {
    Error::violations([("page_token", "must come from the page before")])
}

/// Cuts a list that was read one entry too long to its page; returns the token of the next one.
pub(super) fn cut<T>(entries: &mut Vec<T>, size: i64, key: impl Fn(&T) -> String) -> String {
    let size = usize::try_from(size).unwrap_or(usize::MAX);
    if entries.len() <= size {
        return String::new();
    }
    entries.truncate(size);
    entries.last().map_or_else(String::new, |last| token(&key(last)))
}

//! Pages: sizes, and tokens that say where to go on.

use kit::Violations;

/// Returns how many to list: `usual` when the caller does not say, at most `most`.
pub(super) fn size(wanted: i32, usual: usize, most: usize, violations: &mut Violations) -> usize {
    violations.check(wanted >= 0, "page_size", "must not be negative");
    match usize::try_from(wanted) {
        Ok(0) | Err(_) => usual,
        Ok(wanted) => wanted.min(most),
    }
}

/// Reads a token with `parse`; an empty one begins at the beginning.
pub(super) fn token<T>(token: &str, parse: impl Fn(&str) -> Option<T>, violations: &mut Violations) -> Option<T> {
    if token.is_empty() {
        return None;
    }
    let place = parse(token);
    violations.check(place.is_some(), "page_token", "must be the next_page_token of a page before");
    place
}

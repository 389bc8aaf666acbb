//! Pages of lists: sizes within bounds, and tokens that callers read nothing into.
//!
//! A list is read one entry longer than its page, from behind the place that the token names; [`cut`] takes the extra entry off
//! and makes the next token of what is then the last.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};

use crate::Violations;

/// Longest page token, in characters. No list has longer keys.
const MAX_TOKEN: usize = 4_096;

/// Returns how many entries a page has: `usual` when the caller does not say, at most `most`.
pub fn size(page_size: i32, usual: usize, most: usize, violations: &mut Violations) -> usize {
    violations.check(page_size >= 0, "page_size", "must not be negative");
    match usize::try_from(page_size) {
        Ok(0) | Err(_) => usual,
        Ok(asked) => asked.min(most),
    }
}

/// Returns the key behind which the page begins; empty, as the token, for the first page.
pub fn after(page_token: &str, violations: &mut Violations) -> String {
    place(page_token, |key| Some(key.to_owned()), violations).unwrap_or_default()
}

/// Returns the place behind which the page begins, read with `parse`; none for the first page.
pub fn place<T>(page_token: &str, parse: impl FnOnce(&str) -> Option<T>, violations: &mut Violations) -> Option<T> {
    if page_token.is_empty() {
        return None;
    }
    let place = decode(page_token).and_then(|key| parse(&key));
    violations.check(place.is_some(), "page_token", "must be the next_page_token of the same list");
    place
}

/// Returns the token of the page behind `key`.
pub fn token(key: &str) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(key)
}

/// Cuts entries that were read one too many to their page. Returns the token of the next page, empty when there is none; `key`
/// says where an entry stands in the list.
pub fn cut<T>(entries: &mut Vec<T>, size: usize, key: impl FnOnce(&T) -> String) -> String {
    if entries.len() <= size {
        return String::new();
    }
    entries.truncate(size);
    entries.last().map(|last| token(&key(last))).unwrap_or_default()
}

/// Returns the key in a token. A key of ours holds no zero byte, which PostgreSQL would refuse.
fn decode(page_token: &str) -> Option<String> {
    if page_token.len() > MAX_TOKEN {
        return None;
    }
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(page_token).ok()?;
    String::from_utf8(bytes).ok().filter(|key| !key.contains('\0'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(of: &[&'static str], token: &str, page_size: i32) -> (Vec<&'static str>, String) {
        let mut violations = Violations::new();
        let size = size(page_size, 2, 3, &mut violations);
        let after = after(token, &mut violations);
        violations.finish().unwrap();
        let mut entries: Vec<&str> = of.iter().copied().filter(|key| **key > *after).take(size + 1).collect();
        let next = cut(&mut entries, size, |last| (*last).to_owned());
        (entries, next)
    }

    #[test]
    fn pages_follow_each_other_and_end() {
        let all = ["a", "b", "c", "d", "ü"];

        let (first, token) = page(&all, "", 0);
        let (second, end) = page(&all, &token, 100);

        assert_eq!(first, ["a", "b"]);
        assert_eq!(second, ["c", "d", "ü"]);
        assert_eq!(end, "");
    }

    #[test]
    fn what_is_not_ours_is_named_with_all_else_that_is_wrong() {
        let zero = BASE64_URL_SAFE_NO_PAD.encode("a\0b");
        let long = BASE64_URL_SAFE_NO_PAD.encode("a".repeat(MAX_TOKEN));
        let binary = BASE64_URL_SAFE_NO_PAD.encode([0xff, 0xfe]);
        for token in ["*", "a b", zero.as_str(), long.as_str(), binary.as_str()] {
            let mut violations = Violations::new();
            size(-1, 10, 10, &mut violations);
            assert_eq!(after(token, &mut violations), "");
            let fields: Vec<String> =
                violations.finish().unwrap_err().violations.into_iter().map(|found| found.field).collect();
            assert_eq!(fields, ["page_size", "page_token"], "{token}");
        }
        let mut violations = Violations::new();
        assert_eq!(place("", |key| key.parse::<i64>().ok(), &mut violations), None);
        assert!(violations.is_empty());
        assert_eq!(place(&BASE64_URL_SAFE_NO_PAD.encode("7"), |key| key.parse().ok(), &mut violations), Some(7));
        assert_eq!(place(&BASE64_URL_SAFE_NO_PAD.encode("x"), |key| key.parse::<i64>().ok(), &mut violations), None);
        assert!(!violations.is_empty());
    }
}

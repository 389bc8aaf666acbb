//! Reading JSON one level at a time, without building a tree.
//!
//! An object becomes a list of members whose values are slices of the body, as they came. What is understood is taken
//! out; what is left is written back byte for byte, so that unknown properties pass through untouched, numbers of any
//! size included. Skipping a value does not recurse, so no nesting can overflow the stack.

use std::borrow::Cow;
use std::fmt;

use bytes::Bytes;
use serde::Deserialize;
use serde::de::{self, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// One value, as the text it came in; known to be well-formed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Json<'a>(&'a str);

impl<'a> Json<'a> {
    /// Returns `text` as a value; `None` when it is not JSON.
    pub(crate) fn parse(text: &'a str) -> Option<Self> {
        serde_json::from_str::<&RawValue>(text).ok().map(|raw| Self(raw.get()))
    }

    /// Returns the text.
    pub(crate) fn raw(self) -> &'a str {
        self.0
    }

    pub(crate) fn is_null(self) -> bool {
        self.0 == "null"
    }

    pub(crate) fn is_object(self) -> bool {
        self.0.starts_with('{')
    }

    /// Returns a string's characters.
    pub(crate) fn string(self) -> Option<Cow<'a, str>> {
        let inner = self.0.strip_prefix('"')?.strip_suffix('"')?;
        if !inner.contains('\\') {
            return Some(Cow::Borrowed(inner));
        }
        serde_json::from_str(self.0).ok().map(Cow::Owned)
    }

    /// Returns a number's digits, as written.
    pub(crate) fn number(self) -> Option<&'a str> {
        let is_number = matches!(self.0.as_bytes().first(), Some(b'-' | b'0'..=b'9'));
        is_number.then_some(self.0)
    }

    /// Returns a string's characters or a number's digits: SDKs send ids and amounts as either.
    pub(crate) fn scalar(self) -> Option<Cow<'a, str>> {
        self.number().map(Cow::Borrowed).or_else(|| self.string())
    }

    pub(crate) fn boolean(self) -> Option<bool> {
        match self.0 {
            "true" => Some(true),
            "false" => Some(false),
            _ => None,
        }
    }

    /// Returns an object's members.
    pub(crate) fn members(self) -> Option<Members<'a>> {
        Members::parse(self.0)
    }

    /// Returns an array's items.
    pub(crate) fn items(self) -> Option<Vec<Json<'a>>> {
        if !self.0.starts_with('[') {
            return None;
        }
        let items: Vec<&'a RawValue> = serde_json::from_str(self.0).ok()?;
        Some(items.into_iter().map(|item| Json(item.get())).collect())
    }
}

/// The members of one object, of which what is understood is taken.
#[derive(Debug, Clone)]
pub(crate) struct Members<'a> {
    whole: &'a str,
    list: Vec<Member<'a>>,
    changed: bool,
}

#[derive(Debug, Clone)]
struct Member<'a> {
    key: Cow<'a, str>,
    value: Json<'a>,
    taken: bool,
}

impl<'a> Members<'a> {
    /// Returns the members of an object; `None` for any other text.
    pub(crate) fn parse(text: &'a str) -> Option<Self> {
        let mut deserializer = serde_json::Deserializer::from_str(text);
        let list = deserializer.deserialize_map(MembersVisitor).ok()?;
        deserializer.end().ok()?;
        Some(Self { whole: text, list, changed: false })
    }

    /// Returns no members.
    pub(crate) fn none() -> Self {
        Self { whole: "{}", list: Vec::new(), changed: false }
    }

    /// Returns a member that is neither null nor taken. Of several with one key the last counts, as in JavaScript.
    pub(crate) fn get(&self, key: &str) -> Option<Json<'a>> {
        self.list
            .iter()
            .rev()
            .find(|member| !member.taken && member.key == key)
            .and_then(|member| member.value_if_any())
    }

    /// Takes a member: it is not among the rest any more. Null counts as absent, and is gone as well.
    pub(crate) fn take(&mut self, key: &str) -> Option<Json<'a>> {
        let mut found = None;
        for member in self.list.iter_mut().filter(|member| !member.taken && member.key == key) {
            member.taken = true;
            self.changed = true;
            found = member.value_if_any();
        }
        found
    }

    /// Takes a member only if `read` can use it.
    pub(crate) fn take_if<T>(&mut self, key: &str, read: impl FnOnce(Json<'a>) -> Option<T>) -> Option<T> {
        let value = read(self.get(key)?)?;
        self.take(key);
        Some(value)
    }

    /// Takes the first of `keys` that holds a string or a number, trimmed; empty when none does.
    pub(crate) fn take_text(&mut self, keys: &[&str]) -> String {
        for key in keys {
            if let Some(text) = self.take_if(key, Json::scalar) {
                return text.trim().to_owned();
            }
        }
        String::new()
    }

    /// Adds the members of `other` whose keys are missing here.
    pub(crate) fn underlay(&mut self, other: &Members<'a>) {
        let own = self.list.len();
        for member in other.list.iter().filter(|member| !member.taken) {
            if !self.list[..own].iter().any(|known| known.key == member.key) {
                self.list.push(member.clone());
                self.changed = true;
            }
        }
    }

    /// Returns the keys and values that nobody took, in their order.
    pub(crate) fn left(&self) -> impl Iterator<Item = (&str, Json<'a>)> {
        self.list.iter().filter(|member| !member.taken).map(|member| (member.key.as_ref(), member.value))
    }

    pub(crate) fn nothing_left(&self) -> bool {
        self.list.iter().all(|member| member.taken)
    }

    /// Returns what nobody took as the text of a JSON object; "{}" when that is nothing.
    pub(crate) fn rest_text(&self) -> String {
        let rest = self.rest();
        if rest.is_empty() {
            return "{}".to_owned();
        }
        String::from_utf8(rest.into()).expect("slices of text are text")
    }

    /// Returns what nobody took as a JSON object; empty bytes when that is nothing. Untouched, it is the very text.
    pub(crate) fn rest(&self) -> Bytes {
        if self.nothing_left() {
            return Bytes::new();
        }
        if !self.changed {
            return Bytes::copy_from_slice(self.whole.as_bytes());
        }
        let mut object = ObjectWriter::default();
        for (key, value) in self.left() {
            object.put(key, value.raw());
        }
        object.finish()
    }
}

impl<'a> Member<'a> {
    fn value_if_any(&self) -> Option<Json<'a>> {
        (!self.value.is_null()).then_some(self.value)
    }
}

/// Writes an object out of keys and values that are JSON already.
#[derive(Default)]
pub(crate) struct ObjectWriter(Vec<u8>);

impl ObjectWriter {
    /// Adds a member.
    pub(crate) fn put(&mut self, key: &str, value: &str) {
        self.0.push(if self.0.is_empty() { b'{' } else { b',' });
        serde_json::to_writer(&mut self.0, key).expect("writing to memory cannot fail");
        self.0.push(b':');
        self.0.extend_from_slice(value.as_bytes());
    }

    /// Adds a member whose value is a string.
    pub(crate) fn put_text(&mut self, key: &str, text: &str) {
        let value = serde_json::to_string(text).expect("a string is JSON");
        self.put(key, &value);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the object; empty bytes when nothing was put.
    pub(crate) fn finish(mut self) -> Bytes {
        if self.0.is_empty() {
            return Bytes::new();
        }
        self.0.push(b'}');
        Bytes::from(self.0)
    }
}

struct MembersVisitor;

impl<'de> Visitor<'de> for MembersVisitor {
    type Value = Vec<Member<'de>>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
        let mut list = Vec::with_capacity(12);
        while let Some((Key(key), value)) = map.next_entry::<Key<'de>, &'de RawValue>()? {
            list.push(Member { key, value: Json(value.get()), taken: false });
        }
        Ok(list)
    }
}

/// A key, borrowed unless it has escapes.
struct Key<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Key<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct KeyVisitor;

        impl<'de> Visitor<'de> for KeyVisitor {
            type Value = Key<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a key")
            }

            fn visit_borrowed_str<E: de::Error>(self, key: &'de str) -> Result<Self::Value, E> {
                Ok(Key(Cow::Borrowed(key)))
            }

            fn visit_str<E: de::Error>(self, key: &str) -> Result<Self::Value, E> {
                Ok(Key(Cow::Owned(key.to_owned())))
            }
        }

        deserializer.deserialize_str(KeyVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn members(text: &str) -> Members<'_> {
        Members::parse(text).unwrap()
    }

    #[test]
    fn what_is_not_taken_is_written_back_untouched() {
        let text = r#"{"a" : 1e400, "b":{"c":[1, 2]},"d":null,"é\n":12345678901234567890123}"#;

        assert_eq!(members(text).rest(), text.as_bytes());
        let mut partly = members(text);
        partly.take("a");
        assert_eq!(partly.rest(), r#"{"b":{"c":[1, 2]},"d":null,"é\n":12345678901234567890123}"#.as_bytes());
        for key in ["b", "d", "é\n"] {
            partly.take(key);
        }
        assert_eq!(partly.rest(), Bytes::new());
    }

    #[test]
    fn null_counts_as_absent_and_the_last_of_two_counts() {
        let mut object = members(r#"{"id":null,"n":1,"n":"2"}"#);

        assert_eq!(object.take_text(&["id", "n"]), "2");
        assert_eq!(object.get("n"), None);
        assert_eq!(object.take("id"), None);
        assert!(object.nothing_left());
    }

    #[test]
    fn a_value_of_the_wrong_type_is_left_alone() {
        let mut object = members(r#"{"sku":{"x":1},"flag":true}"#);

        assert_eq!(object.take_text(&["sku", "flag"]), "");
        assert_eq!(object.rest(), &br#"{"sku":{"x":1},"flag":true}"#[..]);
    }

    #[test]
    fn own_members_go_before_those_laid_under() {
        let mut own = members(r#"{"ip":"1.1.1.1"}"#);
        own.underlay(&members(r#"{"ip":"2.2.2.2","locale":"fr"}"#));

        assert_eq!(own.rest(), &br#"{"ip":"1.1.1.1","locale":"fr"}"#[..]);
    }

    #[test]
    fn skipping_deep_values_does_not_recurse() {
        let depth = 1_000_000;
        let text = format!("{{\"a\":{}{},\"b\":1}}", "[".repeat(depth), "]".repeat(depth));

        assert_eq!(members(&text).take_text(&["b"]), "1");
    }

    #[test]
    fn only_objects_have_members() {
        for text in ["", "[]", "1", "\"a\"", "{", "{}x", "{\"a\":}", "nul"] {
            assert!(Members::parse(text).is_none(), "{text}");
        }
    }
}

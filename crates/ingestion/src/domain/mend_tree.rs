//! JSON that is opened only where it is edited.

use super::json::{Json, Members, ObjectWriter};

/// A value: its text, or its parts once they were looked into.
#[derive(Debug, Clone)]
pub(super) enum Tree {
    Text(String),
    Object(Vec<(String, Tree)>),
    Array(Vec<Tree>),
}

/// Stands for every place of an array.
const EVERY: &str = "*";

impl Tree {
    pub(super) fn parse(text: &str) -> Option<Self> {
        Json::parse(text).map(|json| Self::Text(json.raw().to_owned()))
    }

    /// Returns the text of the value.
    pub(super) fn text(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Array(items) => {
                let items: Vec<String> = items.iter().map(Self::text).collect();
                format!("[{}]", items.join(","))
            }
            Self::Object(members) => {
                let mut object = ObjectWriter::default();
                for (key, value) in members {
                    object.put(key, &value.text());
                }
                if object.is_empty() {
                    return "{}".to_owned();
                }
                String::from_utf8(object.finish().into()).expect("texts make a text")
            }
        }
    }

    /// Sets the value at `path`; makes the objects on the way. Returns whether that changed anything.
    pub(super) fn set(&mut self, path: &[String], value: &str) -> bool {
        let Some((part, rest)) = path.split_first() else {
            let changes = self.text() != value;
            *self = Self::Text(value.to_owned());
            return changes;
        };
        self.open();
        match self {
            Self::Object(members) => {
                // Of several members with one key the last counts.
                if let Some((_, member)) = members.iter_mut().rev().find(|(key, _)| key == part) {
                    return member.set(rest, value);
                }
                let mut made = Self::Object(Vec::new());
                made.set(rest, value);
                members.push((part.clone(), made));
                true
            }
            Self::Array(items) if part == EVERY => {
                items.iter_mut().map(|item| item.set(rest, value)).filter(|changed| *changed).count() > 0
            }
            Self::Array(items) => match place(part, items.len()) {
                Some(index) if index < items.len() => items[index].set(rest, value),
                Some(_) if rest.is_empty() => {
                    items.push(Self::Text(value.to_owned()));
                    true
                }
                _ => false,
            },
            Self::Text(_) => false,
        }
    }

    /// Removes what is at `path`. Returns whether there was anything.
    pub(super) fn remove(&mut self, path: &[String]) -> bool {
        let Some((last, parents)) = path.split_last() else { return false };
        self.each(parents, &mut |parent| {
            parent.open();
            match parent {
                Self::Object(members) => {
                    let before = members.len();
                    members.retain(|(key, _)| key != last);
                    members.len() < before
                }
                Self::Array(items) if last == EVERY => {
                    let any = !items.is_empty();
                    items.clear();
                    any
                }
                Self::Array(items) => match place(last, items.len()).filter(|index| *index < items.len()) {
                    Some(index) => {
                        items.remove(index);
                        true
                    }
                    None => false,
                },
                Self::Text(_) => false,
            }
        })
    }

    /// Moves what is at `from` to `to`, unless there is something already.
    pub(super) fn rename(&mut self, from: &[String], to: &[String]) -> bool {
        let mut found = None;
        let mut taken = false;
        self.each(from, &mut |value| {
            found = Some(value.text());
            false
        });
        self.each(to, &mut |_| {
            taken = true;
            false
        });
        let Some(value) = found.filter(|_| !taken) else { return false };
        let mut moved = self.clone();
        if moved.remove(from) && moved.set(to, &value) {
            *self = moved;
            return true;
        }
        false
    }

    /// Changes the values at `path` as `change` says; `None` leaves one as it is.
    pub(super) fn change(&mut self, path: &[String], change: &dyn Fn(&str) -> Option<String>) -> bool {
        self.each(path, &mut |value| match change(&value.text()) {
            Some(changed) => {
                *value = Self::Text(changed);
                true
            }
            None => false,
        })
    }

    /// Calls `act` with each value at `path`. Returns whether any call did.
    fn each(&mut self, path: &[String], act: &mut dyn FnMut(&mut Self) -> bool) -> bool {
        let Some((part, rest)) = path.split_first() else { return act(self) };
        self.open();
        match self {
            Self::Object(members) => {
                let member = members.iter_mut().rev().find(|(key, _)| key == part);
                member.is_some_and(|(_, member)| member.each(rest, act))
            }
            Self::Array(items) if part == EVERY => {
                items.iter_mut().map(|item| item.each(rest, act)).filter(|changed| *changed).count() > 0
            }
            Self::Array(items) => {
                let index = place(part, items.len());
                index.and_then(|index| items.get_mut(index)).is_some_and(|item| item.each(rest, act))
            }
            Self::Text(_) => false,
        }
    }

    /// Looks into an object or an array; anything else stays as it is.
    fn open(&mut self) {
        let Self::Text(text) = self else { return };
        if let Some(members) = Members::parse(text) {
            let open = |(key, value): (&str, Json<'_>)| (key.to_owned(), Self::Text(value.raw().to_owned()));
            *self = Self::Object(members.left().map(open).collect());
        } else if let Some(items) = Json::parse(text).and_then(Json::items) {
            *self = Self::Array(items.into_iter().map(|item| Self::Text(item.raw().to_owned())).collect());
        }
    }
}

/// Returns the place that a part names in an array of `length`; `-` is the one behind the last.
fn place(part: &str, length: usize) -> Option<usize> {
    if part == "-" {
        return Some(length);
    }
    let is_number = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| part.parse().ok()).flatten().filter(|index| *index <= length)
}

//! Mending payloads by rule: a few edits at JSON Pointers. What no edit touches stays as it was, byte for byte.

use kit::Violations;
use proto::ingestion::v1::MendEdit;
use proto::ingestion::v1::mend_edit::{Edit as WireEdit, Type};

use super::decimal;
use super::json::Json;
use super::mend_tree::Tree;

/// Most edits of one rule.
const MAX_EDITS: usize = 20;
/// Longest pointer, in bytes, and most parts of one.
const MAX_POINTER_BYTES: usize = 512;
const MAX_PARTS: usize = 20;
/// Largest value that can be set, in bytes.
const MAX_VALUE_BYTES: usize = 64 << 10;

/// A list of edits, in the order in which they are made.
pub(crate) struct Edits(Vec<Edit>);

enum Edit {
    Set { at: Pointer, value: String },
    Remove { at: Pointer },
    Rename { from: Pointer, to: Pointer },
    Convert { at: Pointer, to: Type },
}

/// The parts of a JSON Pointer.
type Pointer = Vec<String>;

impl Edits {
    /// Reads edits; names all that is wrong with them.
    pub(crate) fn parse(edits: Vec<MendEdit>, violations: &mut Violations) -> Self {
        violations.check(edits.len() <= MAX_EDITS, "edits", format!("must be at most {MAX_EDITS}"));
        let mut parsed = Vec::new();
        for (index, edit) in edits.into_iter().take(MAX_EDITS).enumerate() {
            let field = format!("edits[{index}]");
            match parse_edit(edit) {
                Ok(edit) => parsed.push(edit),
                Err(rule) => violations.add(field, rule),
            }
        }
        Self(parsed)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Makes the edits in a JSON text. Returns the new text, if anything changed.
    pub(crate) fn apply(&self, text: &str) -> Option<String> {
        let mut tree = Tree::parse(text)?;
        let mut changed = false;
        for edit in &self.0 {
            changed |= match edit {
                Edit::Set { at, value } => tree.set(at, value),
                Edit::Remove { at } => tree.remove(at),
                Edit::Rename { from, to } => tree.rename(from, to),
                Edit::Convert { at, to } => tree.change(at, &|value| convert(value, *to)),
            };
        }
        changed.then(|| tree.text())
    }
}

fn parse_edit(edit: MendEdit) -> Result<Edit, &'static str> {
    match edit.edit {
        None => Err("must say what to do"),
        Some(WireEdit::Remove(at)) => Ok(Edit::Remove { at: pointer(&at)? }),
        Some(WireEdit::Set(set)) => {
            let value = std::str::from_utf8(&set.value_json).ok().filter(|value| value.len() <= MAX_VALUE_BYTES);
            let value = value.and_then(Json::parse).ok_or("value_json must be JSON in UTF-8, at most 64 KiB")?;
            Ok(Edit::Set { at: pointer(&set.pointer)?, value: value.raw().to_owned() })
        }
        Some(WireEdit::Rename(rename)) => {
            let (from, to) = (pointer(&rename.from)?, pointer(&rename.to)?);
            let is_exact = |pointer: &Pointer| pointer.iter().all(|part| part != "*");
            if !is_exact(&from) || !is_exact(&to) {
                return Err("a value is moved from one place to one place, without `*`");
            }
            Ok(Edit::Rename { from, to })
        }
        Some(WireEdit::Convert(convert)) => match convert.r#type() {
            Type::Unspecified => Err("must name the type"),
            to => Ok(Edit::Convert { at: pointer(&convert.pointer)?, to }),
        },
    }
}

fn pointer(text: &str) -> Result<Pointer, &'static str> {
    const RULE: &str = "a pointer must begin with / and have at most 20 parts and 512 bytes";
    let parts = text.strip_prefix('/').ok_or(RULE)?;
    let parts: Pointer = parts.split('/').map(|part| part.replace("~1", "/").replace("~0", "~")).collect();
    if text.len() > MAX_POINTER_BYTES || parts.len() > MAX_PARTS || text.contains('\0') {
        return Err(RULE);
    }
    Ok(parts)
}

/// Returns a value as another type; `None` where it is that already, or cannot be made.
fn convert(text: &str, to: Type) -> Option<String> {
    let value = Json::parse(text)?;
    match to {
        Type::Unspecified => None,
        Type::String => {
            let shown = value.number().map(str::to_owned).or_else(|| value.boolean().map(|truth| truth.to_string()))?;
            serde_json::to_string(&shown).ok()
        }
        Type::Number => number(value.string()?.trim()),
        Type::Boolean if value.boolean().is_some() => None,
        Type::Boolean => match value.scalar()?.trim().to_ascii_lowercase().as_str() {
            "true" | "yes" | "1" => Some("true".to_owned()),
            "false" | "no" | "0" => Some("false".to_owned()),
            _ => None,
        },
        Type::Array => (!text.starts_with('[') && !value.is_null()).then(|| format!("[{text}]")),
    }
}

/// Returns the number that a text stands for, digit by digit: "9.90", or "9,90" as half of Europe writes it.
fn number(text: &str) -> Option<String> {
    let with_point = match text.matches(',').count() {
        1 if !text.contains('.') => text.replace(',', "."),
        _ => text.to_owned(),
    };
    decimal::micros(&with_point)?;
    let number = with_point.trim_start_matches('+');
    // JSON wants a digit before the point, and no zeros before that.
    Json::parse(number).and_then(Json::number).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use proto::ingestion::v1::mend_edit::{Convert, Rename, Set};

    use super::*;

    fn set(pointer: &str, value: &str) -> MendEdit {
        let set = Set { pointer: pointer.into(), value_json: value.to_owned().into_bytes().into() };
        MendEdit { edit: Some(WireEdit::Set(set)) }
    }

    fn remove(pointer: &str) -> MendEdit {
        MendEdit { edit: Some(WireEdit::Remove(pointer.into())) }
    }

    fn rename(from: &str, to: &str) -> MendEdit {
        MendEdit { edit: Some(WireEdit::Rename(Rename { from: from.into(), to: to.into() })) }
    }

    fn to(pointer: &str, r#type: Type) -> MendEdit {
        let convert = Convert { pointer: pointer.into(), r#type: r#type.into() };
        MendEdit { edit: Some(WireEdit::Convert(convert)) }
    }

    fn parsed(edits: Vec<MendEdit>) -> Edits {
        let mut violations = Violations::new();
        let edits = Edits::parse(edits, &mut violations);
        violations.finish().unwrap();
        edits
    }

    #[test]
    fn edits_change_what_they_name_and_nothing_else() {
        let text = r#"{"a" : 1e400,"p":{"price":"9,90","ok":"yes","list":[{"n":"1"},{"n":"x"},{"n":2}]},"x/y":null}"#;
        for (edit, expected) in [
            (to("/p/price", Type::Number), Some((r#""9,90""#, "9.90"))),
            (to("/p/ok", Type::Boolean), Some((r#""yes""#, "true"))),
            (to("/p/list/*/n", Type::Number), Some((r#"{"n":"1"}"#, r#"{"n":1}"#))),
            (to("/p/list/2/n", Type::String), Some((r#"{"n":2}"#, r#"{"n":"2"}"#))),
            (to("/p/ok", Type::Array), Some((r#""yes""#, r#"["yes"]"#))),
            (set("/x~1y", "[1]"), Some((r#""x/y":null"#, r#""x/y":[1]"#))),
            (set("/p/list/-", "3"), Some((r#"{"n":2}]"#, r#"{"n":2},3]"#))),
            (remove("/p/list/0"), Some((r#"{"n":"1"},"#, ""))),
            (remove("/p/list"), Some((r#","list":[{"n":"1"},{"n":"x"},{"n":2}]"#, ""))),
            (
                rename("/p/ok", "/p/fine"),
                Some((
                    r#","ok":"yes","list":[{"n":"1"},{"n":"x"},{"n":2}]"#,
                    r#","list":[{"n":"1"},{"n":"x"},{"n":2}],"fine":"yes""#,
                )),
            ),
            (to("/p/price/deeper", Type::Number), None),
            (to("/p/list/1/n", Type::Number), None),
            (remove("/none/at/all"), None),
            (rename("/p/ok", "/p/price"), None),
        ] {
            let edits = parsed(vec![edit]);

            let mended = edits.apply(text);

            // Objects on the way are written anew: their members keep their text, not the blanks between.
            let expected = expected.map(|(from, into)| text.replacen("\"a\" : ", "\"a\":", 1).replacen(from, into, 1));
            assert_eq!(mended, expected);
        }
    }

    #[test]
    fn missing_objects_are_made_and_values_replaced() {
        let edits = parsed(vec![set("/context/consent/ok", "true"), set("/type", r#""track""#)]);

        let mended = edits.apply(r#"{"type":"trakc","context":{}}"#).unwrap();

        assert_eq!(mended, r#"{"type":"track","context":{"consent":{"ok":true}}}"#);
        assert_eq!(edits.apply(&mended), None, "the second time nothing changes");
        assert_eq!(edits.apply("[1"), None);
    }

    #[test]
    fn edits_that_cannot_be_made_are_named() {
        let edits = vec![
            set("a", "1"),
            set("/a", "nope"),
            rename("/a/*", "/b"),
            to("/a", Type::Unspecified),
            MendEdit { edit: None },
            remove(&"/x".repeat(21)),
        ];

        let mut violations = Violations::new();
        Edits::parse(edits, &mut violations);
        let refused = violations.finish().unwrap_err();

        let fields: Vec<&str> = refused.violations.iter().map(|violation| violation.field.as_str()).collect();
        assert_eq!(fields, ["edits[0]", "edits[1]", "edits[2]", "edits[3]", "edits[4]", "edits[5]"]);
    }
}

//! Holding a document against a schema.

use chrono::{DateTime, NaiveDate};
use serde_json::Value;

use super::schema::{Format, Others, Rule, Schema, Type};

/// Most findings in one event.
const MAX_FINDINGS: usize = 20;
/// Rules looked at for one event: a large event under a large schema must not hold up the intake.
const MAX_STEPS: u32 = 50_000;
/// Longest text that a pattern is tried on, in bytes. A longer one breaks every pattern.
const MAX_MATCHED_BYTES: usize = 4_096;

/// One field of an event that breaks one keyword. Holds no value of the event.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Finding {
    /// A JSON Pointer with `*` for the places of an array.
    pub(crate) field: String,
    pub(crate) rule: &'static str,
}

/// Returns what of `document` breaks `schema`, each field and keyword once.
pub(super) fn check(schema: &Schema, document: &Value) -> Vec<Finding> {
    let mut walk = Walk { path: Vec::new(), found: Vec::new(), failures: 0, quiet: 0, steps: 0 };
    walk.hold(schema, document);
    if walk.steps > MAX_STEPS {
        walk.found.push(Finding { field: String::new(), rule: "size" });
    }
    walk.found
}

/// The way from the document to a value.
#[derive(Clone, Copy)]
enum Part<'a> {
    /// A name in the schema.
    Planned(&'a str),
    /// A name that only the sender gave.
    Sent(&'a str),
    /// A place of an array.
    Place,
}

struct Walk<'a> {
    path: Vec<Part<'a>>,
    found: Vec<Finding>,
    /// Failures so far, told or not.
    failures: u32,
    /// How many alternatives are being tried: what fails within them is not told.
    quiet: u32,
    steps: u32,
}

impl<'a> Walk<'a> {
    fn hold(&mut self, schema: &'a Schema, value: &'a Value) {
        for rule in &schema.rules {
            self.steps += 1;
            if self.steps > MAX_STEPS {
                return;
            }
            self.rule(rule, value);
        }
    }

    fn rule(&mut self, rule: &'a Rule, value: &'a Value) {
        match (rule, value) {
            (Rule::Never, _) => self.fail("false"),
            (Rule::Type(types), value) => self.expect(types.iter().any(|one| is_a(value, *one)), "type"),
            (Rule::Enum(values), value) => self.expect(values.iter().any(|one| equal(one, value)), "enum"),
            (Rule::Const(constant), value) => self.expect(equal(constant, value), "const"),
            (Rule::Required(names), Value::Object(members)) => {
                for name in names.iter().filter(|name| !members.contains_key(*name)) {
                    self.path.push(Part::Planned(name));
                    self.fail("required");
                    self.path.pop();
                }
            }
            (Rule::Members { known, others }, Value::Object(members)) => {
                for (name, member) in members {
                    match (known.get_key_value(name), others) {
                        (Some((name, schema)), _) => self.within(Part::Planned(name), schema, member),
                        (None, Others::Any) => {}
                        (None, Others::Like(schema)) => self.within(Part::Sent(name), schema, member),
                        (None, Others::None) => {
                            self.path.push(Part::Sent(name));
                            self.fail("additionalProperties");
                            self.path.pop();
                        }
                    }
                }
            }
            (Rule::Items(schema), Value::Array(items)) => {
                for item in items {
                    self.within(Part::Place, schema, item);
                }
            }
            (Rule::MinItems(least), Value::Array(items)) => self.expect(items.len() as u64 >= *least, "minItems"),
            (Rule::MaxItems(most), Value::Array(items)) => self.expect(items.len() as u64 <= *most, "maxItems"),
            (Rule::Pattern(pattern), Value::String(text)) => {
                self.expect(text.len() <= MAX_MATCHED_BYTES && pattern.is_match(text), "pattern");
            }
            (Rule::MinLength(least), Value::String(text)) => {
                self.expect(text.chars().count() as u64 >= *least, "minLength");
            }
            (Rule::MaxLength(most), Value::String(text)) => {
                let fits = text.len() as u64 <= *most || text.chars().count() as u64 <= *most;
                self.expect(fits, "maxLength");
            }
            (Rule::Format(format), Value::String(text)) => self.expect(has_format(text, *format), "format"),
            (Rule::Minimum(least), Value::Number(number)) => {
                self.expect(number.as_f64().is_some_and(|number| number >= *least), "minimum");
            }
            (Rule::Maximum(most), Value::Number(number)) => {
                self.expect(number.as_f64().is_some_and(|number| number <= *most), "maximum");
            }
            (Rule::ExclusiveMinimum(bound), Value::Number(number)) => {
                self.expect(number.as_f64().is_some_and(|number| number > *bound), "exclusiveMinimum");
            }
            (Rule::ExclusiveMaximum(bound), Value::Number(number)) => {
                self.expect(number.as_f64().is_some_and(|number| number < *bound), "exclusiveMaximum");
            }
            (Rule::AllOf(schemas), value) => {
                for schema in schemas {
                    self.hold(schema, value);
                }
            }
            (Rule::AnyOf(schemas), value) => {
                let any = schemas.iter().any(|schema| self.holds(schema, value));
                self.expect(any, "anyOf");
            }
            (Rule::OneOf(schemas), value) => {
                let holding = schemas.iter().filter(|schema| self.holds(schema, value)).count();
                self.expect(holding == 1, "oneOf");
            }
            // The other keywords ask nothing of other types.
            _ => {}
        }
    }

    fn within(&mut self, part: Part<'a>, schema: &'a Schema, value: &'a Value) {
        self.path.push(part);
        self.hold(schema, value);
        self.path.pop();
    }

    fn holds(&mut self, schema: &'a Schema, value: &'a Value) -> bool {
        let before = self.failures;
        self.quiet += 1;
        self.hold(schema, value);
        self.quiet -= 1;
        self.failures == before
    }

    fn expect(&mut self, holds: bool, rule: &'static str) {
        if !holds {
            self.fail(rule);
        }
    }

    fn fail(&mut self, rule: &'static str) {
        self.failures += 1;
        if self.quiet > 0 || self.found.len() == MAX_FINDINGS {
            return;
        }
        let finding = Finding { field: pointer(&self.path), rule };
        if !self.found.contains(&finding) {
            self.found.push(finding);
        }
    }
}

fn pointer(path: &[Part<'_>]) -> String {
    let mut pointer = String::new();
    for part in path {
        pointer.push('/');
        match part {
            Part::Planned(name) => pointer.push_str(&escaped(name)),
            Part::Sent(name) if is_plain(name) => pointer.push_str(name),
            Part::Sent(_) | Part::Place => pointer.push('*'),
        }
    }
    pointer
}

/// Returns a name as a part of a JSON Pointer.
pub(super) fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

/// Whether a name looks like one that a programmer gave, and so tells nothing of a person: shops have sent addresses
/// and telephone numbers as names.
pub(crate) fn is_plain(name: &str) -> bool {
    let letters = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    let digits = name.bytes().filter(u8::is_ascii_digit).count();
    let begins = name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_');
    name.len() <= 64 && begins && digits <= 4 && name.bytes().all(letters)
}

fn is_a(value: &Value, wanted: Type) -> bool {
    match (value, wanted) {
        (Value::Null, Type::Null)
        | (Value::Bool(_), Type::Boolean)
        | (Value::Number(_), Type::Number)
        | (Value::String(_), Type::String)
        | (Value::Array(_), Type::Array)
        | (Value::Object(_), Type::Object) => true,
        (Value::Number(number), Type::Integer) => {
            number.is_i64() || number.is_u64() || number.as_f64().is_some_and(|number| number.fract() == 0.0)
        }
        _ => false,
    }
}

/// Whether two values are one in JSON, where 1 and 1.0 are the same number.
fn equal(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => one == other || one.as_f64() == other.as_f64(),
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| equal(one, other))
        }
        (Value::Object(one), Value::Object(other)) => {
            let same = |(name, value)| other.get(name).is_some_and(|other| equal(value, other));
            one.len() == other.len() && one.iter().all(same)
        }
        (one, other) => one == other,
    }
}

fn has_format(text: &str, format: Format) -> bool {
    match format {
        Format::DateTime => DateTime::parse_from_rfc3339(text).is_ok(),
        Format::Date => text.len() == 10 && NaiveDate::parse_from_str(text, "%Y-%m-%d").is_ok(),
        Format::Email => is_email(text),
        Format::Uri => is_uri(text),
        Format::Uuid => text.len() == 36 && uuid::Uuid::parse_str(text).is_ok(),
    }
}

fn is_email(text: &str) -> bool {
    let Some((local, domain)) = text.rsplit_once('@') else { return false };
    let plain = |character: char| !character.is_whitespace() && !character.is_control();
    let labels = |label: &str| !label.is_empty() && !label.starts_with('-') && !label.ends_with('-');
    (1..=64).contains(&local.len())
        && local.chars().all(|character| plain(character) && character != '@')
        && domain.len() <= 255
        && domain.split('.').all(labels)
        && domain.chars().all(|character| character.is_alphanumeric() || matches!(character, '-' | '.'))
}

/// Whether text has a scheme and no character that no address holds.
fn is_uri(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once(':') else { return false };
    let in_scheme = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.');
    let strange = |character: char| {
        character.is_whitespace()
            || character.is_control()
            || matches!(character, '<' | '>' | '"' | '{' | '}' | '|' | '\\' | '^' | '`')
    };
    scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme.bytes().all(in_scheme)
        && !rest.is_empty()
        && !rest.contains(strange)
}

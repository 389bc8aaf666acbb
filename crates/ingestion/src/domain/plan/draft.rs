//! A plan, learned from what was seen. Values are not kept: only types, ranges of numbers, and short lists of values
//! that many different people sent.

use std::collections::{BTreeMap, BTreeSet};

use proto::event::v1::Event;
use proto::event::v1::event::Body;
use proto::ingestion::v1::draft_tracking_plan_response::{Range, SeenEvent, SeenField};
use proto::ingestion::v1::tracking_plan::{Mode, Rule};
use proto::ingestion::v1::{DraftTrackingPlanResponse, TrackingPlan};
use serde_json::{Value, json};

use super::check::{escaped, is_plain};
use super::document::document;

/// Most names of events.
const MAX_EVENTS: usize = 500;
/// Most fields of one event.
const MAX_FIELDS: usize = 200;
/// Deepest field.
const MAX_DEPTH: usize = 6;
/// Longest list of values.
const MAX_VALUES: usize = 10;
/// A value is listed when so many people sent it: fewer could be known by it.
const PEOPLE: usize = 5;
/// A field is required when so many events had it, and none was without.
const SURE: u64 = 20;

/// Words in names of fields whose values may tell something of a person.
const PERSONAL: &[&str] = &[
    "name", "mail", "phone", "tel", "mobile", "address", "street", "city", "zip", "postal", "birth", "age", "gender",
    "user", "customer", "person", "ip", "id", "token", "key", "url", "path", "lat", "lon", "iban", "card", "query",
    "text", "body",
];

/// What was seen so far.
#[derive(Default)]
pub(crate) struct Draft {
    events: BTreeMap<String, Seen>,
}

#[derive(Default)]
struct Seen {
    count: u64,
    fields: usize,
    personal: bool,
    root: Field,
}

/// One place in the documents of one name.
#[derive(Default)]
struct Field {
    /// How often it was there.
    count: u64,
    types: BTreeSet<&'static str>,
    least: Option<f64>,
    greatest: Option<f64>,
    /// Texts with some of those who sent them; `None` when there are too many.
    values: Option<BTreeMap<String, BTreeSet<u32>>>,
    texts: u64,
    members: BTreeMap<String, Field>,
    items: Option<Box<Field>>,
}

impl Draft {
    /// Takes an event into account.
    pub(crate) fn see(&mut self, event: &Event) {
        if event.name.is_empty() || (self.events.len() == MAX_EVENTS && !self.events.contains_key(&event.name)) {
            return;
        }
        let person = event.identifiers.first().map_or(0, |first| crc32(first.value.as_bytes()));
        let seen = self.events.entry(event.name.clone()).or_default();
        seen.count += 1;
        seen.personal |= matches!(event.body, Some(Body::Identified(_) | Body::Grouped(_)));
        seen.root.see(&document(event), person, 0, &mut seen.fields);
    }

    /// Returns the plan with what it was made of.
    pub(crate) fn finish(self, source_id: &str) -> DraftTrackingPlanResponse {
        let mut rules = Vec::new();
        let mut shown = Vec::new();
        for (event_name, seen) in self.events {
            let schema = seen.root.schema("", seen.personal);
            rules.push(Rule { event_name: event_name.clone(), schema_json: schema.to_string().into() });
            let mut fields = Vec::new();
            seen.root.show(&mut String::new(), "", seen.personal, &mut fields);
            shown.push(SeenEvent { event_name, count: seen.count, fields });
        }
        let off = Mode::Off.into();
        let plan = TrackingPlan {
            source_id: source_id.to_owned(),
            mode: off,
            unplanned_mode: off,
            rules,
            ..TrackingPlan::default()
        };
        DraftTrackingPlanResponse { plan: Some(plan), seen: shown }
    }
}

impl Field {
    fn see(&mut self, value: &Value, person: u32, depth: usize, fields: &mut usize) {
        self.count += 1;
        self.types.insert(type_of(value));
        match value {
            Value::Number(number) => {
                let Some(number) = number.as_f64() else { return };
                self.least = Some(self.least.map_or(number, |least| least.min(number)));
                self.greatest = Some(self.greatest.map_or(number, |greatest| greatest.max(number)));
            }
            Value::String(text) => {
                if self.texts == 0 {
                    self.values = Some(BTreeMap::new());
                }
                self.texts += 1;
                self.see_text(text, person);
            }
            Value::Array(items) if depth < MAX_DEPTH => {
                let field = self.items.get_or_insert_default();
                items.iter().for_each(|item| field.see(item, person, depth + 1, fields));
            }
            Value::Object(members) if depth < MAX_DEPTH => {
                for (name, member) in members.iter().filter(|(name, _)| is_plain(name)) {
                    if !self.members.contains_key(name) {
                        if *fields == MAX_FIELDS {
                            continue;
                        }
                        *fields += 1;
                    }
                    self.members.entry(name.clone()).or_default().see(member, person, depth + 1, fields);
                }
            }
            _ => {}
        }
    }

    fn see_text(&mut self, text: &str, person: u32) {
        let Some(values) = &mut self.values else { return };
        let is_short = text.len() <= 40 && text.bytes().filter(u8::is_ascii_digit).count() <= 4 && !text.contains('@');
        let is_known = values.contains_key(text);
        if !is_short || (values.len() == MAX_VALUES && !is_known) {
            self.values = None;
            return;
        }
        let people = values.entry(text.to_owned()).or_default();
        if people.len() < PEOPLE {
            people.insert(person);
        }
    }

    fn schema(&self, name: &str, personal: bool) -> Value {
        let types: Vec<&str> = self.types.iter().copied().filter(|one| !self.is_covered(one)).collect();
        let mut schema = json!({ "type": if types.len() == 1 { json!(types[0]) } else { json!(types) } });
        if let Some(values) = self.listed_values(name, personal) {
            schema["enum"] = json!(values);
        }
        if let Some(items) = self.items.as_ref().filter(|items| items.count > 0) {
            schema["items"] = items.schema(name, personal);
        }
        if !self.members.is_empty() {
            let properties = self.members.iter().map(|(name, field)| (name.clone(), field.schema(name, personal)));
            schema["properties"] = Value::Object(properties.collect());
            let always = |field: &Field| field.count == self.count && self.count >= SURE;
            let required: Vec<&String> =
                self.members.iter().filter(|(_, field)| always(field)).map(|(name, _)| name).collect();
            if !required.is_empty() {
                schema["required"] = json!(required);
            }
        }
        schema
    }

    /// Whole numbers are numbers.
    fn is_covered(&self, one: &str) -> bool {
        one == "integer" && self.types.contains("number")
    }

    /// Returns the values of a field that is nothing but a short list of texts, each sent by several people.
    fn listed_values(&self, name: &str, personal: bool) -> Option<Vec<&String>> {
        let values = self.values.as_ref()?;
        let only_texts = self.types.len() == 1 && self.types.contains("string");
        let by_many = values.values().all(|people| people.len() >= PEOPLE);
        let tells_nothing = !personal && !is_personal(name);
        (only_texts && by_many && tells_nothing && self.texts >= SURE).then(|| values.keys().collect())
    }

    fn show(&self, path: &mut String, name: &str, personal: bool, fields: &mut Vec<SeenField>) {
        let children = self.members.iter().map(|(name, field)| (escaped(name), name.as_str(), field));
        let items = self.items.iter().map(|field| ("*".to_owned(), name, field.as_ref()));
        for (part, name, field) in children.chain(items) {
            if fields.len() == MAX_FIELDS {
                return;
            }
            let length = path.len();
            path.push('/');
            path.push_str(&part);
            let of = if part == "*" { field.count } else { self.count };
            let range = match (field.least, field.greatest) {
                (Some(least), Some(greatest)) if !personal && !is_personal(name) => Some(Range { least, greatest }),
                _ => None,
            };
            fields.push(SeenField {
                field: path.clone(),
                types: field.types.iter().map(|one| (*one).to_owned()).collect(),
                present_milli: u32::try_from(field.count * 1_000 / of.max(1)).unwrap_or(1_000),
                range,
            });
            field.show(path, name, personal, fields);
            path.truncate(length);
        }
    }
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// Whether the values of a field of this name may tell something of a person.
fn is_personal(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    PERSONAL.iter().any(|word| lower.contains(word))
}

/// Tells people apart well enough to count five of them.
fn crc32(bytes: &[u8]) -> u32 {
    use std::hash::Hasher;
    let mut hasher = std::hash::DefaultHasher::new();
    hasher.write(bytes);
    hasher.finish() as u32
}

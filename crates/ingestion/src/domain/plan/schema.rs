//! Schemas: the part of JSON Schema that tracking plans use, compiled. What is not understood is refused, never ignored.

use std::collections::HashMap;

use regex_automata::meta::{Config, Regex};
use regex_automata::util::syntax;
use serde_json::{Map, Value};

/// Largest schema of one event, in bytes.
const MAX_BYTES: usize = 64 << 10;
/// Deepest nesting of schemas.
const MAX_DEPTH: usize = 32;
/// Most schemas within one.
const MAX_NODES: usize = 2_000;
/// Longest pattern, in characters.
const MAX_PATTERN_CHARS: usize = 512;
/// Memory for all patterns of a plan.
const PATTERN_BYTES: usize = 8 << 20;
/// Most faults told of one schema.
const MAX_FAULTS: usize = 20;

/// What the schemas of one plan may use together.
pub(super) struct Budget {
    pattern_bytes: usize,
}

impl Budget {
    pub(super) fn of_plan() -> Self {
        Self { pattern_bytes: PATTERN_BYTES }
    }
}

/// A schema, compiled.
pub(super) struct Schema {
    pub(super) rules: Vec<Rule>,
}

/// One keyword.
pub(super) enum Rule {
    /// The schema `false`.
    Never,
    Type(Vec<Type>),
    Required(Vec<String>),
    Members {
        known: HashMap<String, Schema>,
        others: Others,
    },
    Enum(Vec<Value>),
    Const(Value),
    Pattern(Box<Regex>),
    MinLength(u64),
    MaxLength(u64),
    Minimum(f64),
    Maximum(f64),
    ExclusiveMinimum(f64),
    ExclusiveMaximum(f64),
    Items(Box<Schema>),
    MinItems(u64),
    MaxItems(u64),
    AnyOf(Vec<Schema>),
    OneOf(Vec<Schema>),
    AllOf(Vec<Schema>),
    Format(Format),
}

/// What members may stand beside those that are named.
pub(super) enum Others {
    Any,
    None,
    Like(Box<Schema>),
}

/// A JSON type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Type {
    Null,
    Boolean,
    Integer,
    Number,
    String,
    Array,
    Object,
}

/// A form of text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    DateTime,
    Date,
    Email,
    Uri,
    Uuid,
}

/// Keywords that say nothing about validity.
const ANNOTATIONS: &[&str] = &[
    "$schema",
    "$id",
    "$comment",
    "title",
    "description",
    "default",
    "examples",
    "deprecated",
    "readOnly",
    "writeOnly",
];

impl Schema {
    /// Compiles the text of a schema. Returns what is wrong with it otherwise.
    pub(super) fn compile(text: &[u8], budget: &mut Budget) -> Result<Self, Vec<String>> {
        if text.len() > MAX_BYTES {
            return Err(vec![format!("must be at most {MAX_BYTES} bytes")]);
        }
        let Ok(value) = serde_json::from_slice::<Value>(text) else {
            return Err(vec!["must be a JSON Schema in UTF-8".to_owned()]);
        };
        let mut compiler = Compiler { nodes: 0, faults: Vec::new(), budget };
        let schema = compiler.schema(&value, "", 0);
        if compiler.faults.is_empty() { Ok(schema) } else { Err(compiler.faults) }
    }
}

struct Compiler<'a> {
    nodes: usize,
    faults: Vec<String>,
    budget: &'a mut Budget,
}

impl Compiler<'_> {
    fn fault(&mut self, at: &str, what: impl AsRef<str>) {
        if self.faults.len() < MAX_FAULTS {
            let at = if at.is_empty() { "/" } else { at };
            self.faults.push(format!("at {at}: {}", what.as_ref()));
        }
    }

    fn schema(&mut self, value: &Value, at: &str, depth: usize) -> Schema {
        self.nodes += 1;
        if depth > MAX_DEPTH {
            self.fault(at, format!("schemas must nest at most {MAX_DEPTH} levels"));
            return Schema { rules: Vec::new() };
        }
        if self.nodes == MAX_NODES + 1 {
            self.fault(at, format!("a schema must hold at most {MAX_NODES} schemas"));
        }
        if self.nodes > MAX_NODES {
            return Schema { rules: Vec::new() };
        }
        match value {
            Value::Bool(true) => Schema { rules: Vec::new() },
            Value::Bool(false) => Schema { rules: vec![Rule::Never] },
            Value::Object(members) => self.keywords(members, at, depth),
            _ => {
                self.fault(at, "a schema must be an object, true or false");
                Schema { rules: Vec::new() }
            }
        }
    }

    fn keywords(&mut self, members: &Map<String, Value>, at: &str, depth: usize) -> Schema {
        let mut rules = Vec::new();
        for (keyword, value) in members {
            let here = format!("{at}/{keyword}");
            let rule = match keyword.as_str() {
                "type" => self.types(value, &here),
                "required" => self.texts(value, &here).map(Rule::Required),
                "enum" => self.list(value, &here).map(|values| Rule::Enum(values.to_vec())),
                "const" => Some(Rule::Const(value.clone())),
                "pattern" => self.pattern(value, &here),
                "minLength" => self.count(value, &here).map(Rule::MinLength),
                "maxLength" => self.count(value, &here).map(Rule::MaxLength),
                "minItems" => self.count(value, &here).map(Rule::MinItems),
                "maxItems" => self.count(value, &here).map(Rule::MaxItems),
                "minimum" => self.number(value, &here).map(Rule::Minimum),
                "maximum" => self.number(value, &here).map(Rule::Maximum),
                "exclusiveMinimum" => self.number(value, &here).map(Rule::ExclusiveMinimum),
                "exclusiveMaximum" => self.number(value, &here).map(Rule::ExclusiveMaximum),
                "items" if value.is_array() => {
                    self.fault(&here, "must be one schema for all items");
                    None
                }
                "items" => Some(Rule::Items(Box::new(self.schema(value, &here, depth + 1)))),
                "anyOf" => self.schemas(value, &here, depth).map(Rule::AnyOf),
                "oneOf" => self.schemas(value, &here, depth).map(Rule::OneOf),
                "allOf" => self.schemas(value, &here, depth).map(Rule::AllOf),
                "format" => self.format(value, &here),
                // Together below: which members are others depends on which are named.
                "properties" | "additionalProperties" => None,
                annotation if ANNOTATIONS.contains(&annotation) => None,
                _ => {
                    let shown: String = keyword.chars().take(64).collect();
                    self.fault(at, format!("the keyword `{shown}` is not understood"));
                    None
                }
            };
            rules.extend(rule);
        }
        if members.contains_key("properties") || members.contains_key("additionalProperties") {
            rules.push(self.members(members, at, depth));
        }
        Schema { rules }
    }

    fn members(&mut self, members: &Map<String, Value>, at: &str, depth: usize) -> Rule {
        let mut known = HashMap::new();
        match members.get("properties") {
            None => {}
            Some(Value::Object(properties)) => {
                for (name, value) in properties {
                    let here = format!("{at}/properties/{name}");
                    known.insert(name.clone(), self.schema(value, &here, depth + 1));
                }
            }
            Some(_) => self.fault(&format!("{at}/properties"), "must be an object"),
        }
        let others = match members.get("additionalProperties") {
            None | Some(Value::Bool(true)) => Others::Any,
            Some(Value::Bool(false)) => Others::None,
            Some(value) => {
                let here = format!("{at}/additionalProperties");
                Others::Like(Box::new(self.schema(value, &here, depth + 1)))
            }
        };
        Rule::Members { known, others }
    }

    fn types(&mut self, value: &Value, at: &str) -> Option<Rule> {
        let names: Vec<&Value> = match value {
            Value::Array(names) if !names.is_empty() => names.iter().collect(),
            one => vec![one],
        };
        let types: Option<Vec<Type>> = names.into_iter().map(|name| Type::parse(name.as_str()?)).collect();
        if types.is_none() {
            self.fault(at, "must be a type of JSON, or a list of them");
        }
        types.map(Rule::Type)
    }

    fn list<'v>(&mut self, value: &'v Value, at: &str) -> Option<&'v [Value]> {
        match value.as_array() {
            Some(items) if !items.is_empty() => Some(items),
            _ => {
                self.fault(at, "must be a list that is not empty");
                None
            }
        }
    }

    fn texts(&mut self, value: &Value, at: &str) -> Option<Vec<String>> {
        let texts = value.as_array().and_then(|items| {
            items.iter().map(|item| item.as_str().map(str::to_owned)).collect::<Option<Vec<String>>>()
        });
        if texts.is_none() {
            self.fault(at, "must be a list of names");
        }
        texts
    }

    fn schemas(&mut self, value: &Value, at: &str, depth: usize) -> Option<Vec<Schema>> {
        let items = self.list(value, at)?;
        let compile = |(index, item): (usize, &Value)| self.schema(item, &format!("{at}/{index}"), depth + 1);
        Some(items.iter().enumerate().map(compile).collect())
    }

    fn count(&mut self, value: &Value, at: &str) -> Option<u64> {
        let whole = value.as_f64().filter(|number| *number >= 0.0 && number.fract() == 0.0);
        if whole.is_none() {
            self.fault(at, "must be a whole number, not negative");
        }
        whole.map(|number| number as u64)
    }

    fn number(&mut self, value: &Value, at: &str) -> Option<f64> {
        if value.as_f64().is_none() {
            self.fault(at, "must be a number");
        }
        value.as_f64()
    }

    fn pattern(&mut self, value: &Value, at: &str) -> Option<Rule> {
        let Some(pattern) = value.as_str().filter(|pattern| pattern.chars().count() <= MAX_PATTERN_CHARS) else {
            self.fault(at, format!("must be a pattern of at most {MAX_PATTERN_CHARS} characters"));
            return None;
        };
        let limit = self.budget.pattern_bytes.min(1 << 20);
        let config = Config::new().nfa_size_limit(Some(limit)).onepass(false);
        let built = Regex::builder().configure(config).syntax(syntax::Config::new().nest_limit(50)).build(pattern);
        match built {
            Ok(regex) => {
                self.budget.pattern_bytes = self.budget.pattern_bytes.saturating_sub(regex.memory_usage());
                Some(Rule::Pattern(Box::new(regex)))
            }
            Err(_) => {
                self.fault(at, "must be a regular expression without look-around and back-references, not too large");
                None
            }
        }
    }

    fn format(&mut self, value: &Value, at: &str) -> Option<Rule> {
        let format = match value.as_str() {
            Some("date-time") => Format::DateTime,
            Some("date") => Format::Date,
            Some("email") => Format::Email,
            Some("uri") => Format::Uri,
            Some("uuid") => Format::Uuid,
            _ => {
                self.fault(at, "must be date-time, date, email, uri or uuid");
                return None;
            }
        };
        Some(Rule::Format(format))
    }
}

impl Type {
    fn parse(name: &str) -> Option<Self> {
        match name {
            "null" => Some(Self::Null),
            "boolean" => Some(Self::Boolean),
            "integer" => Some(Self::Integer),
            "number" => Some(Self::Number),
            "string" => Some(Self::String),
            "array" => Some(Self::Array),
            "object" => Some(Self::Object),
            _ => None,
        }
    }
}

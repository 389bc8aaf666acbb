//! Mapping files of records: which column is what, and whose knowledge it is.

use std::{collections::BTreeMap, path::Path};

use serde::Deserialize;

use super::RecordKind;
use crate::import::{
    ImportError,
    mapping::{FileFormat, Formats, ProvenanceRules, Source, from_toml, is_kind, read_text, refuse},
};

/// Most identifiers of one record: what an event may carry.
const MAX_IDENTIFIERS: usize = 20;
/// Most consents of one customer.
const MAX_CONSENTS: usize = 50;
/// Most further properties.
const MAX_PROPERTIES: usize = 200;

/// How the rows of a file are to be read. Which columns there are depends on what the rows are: see [`RecordKind`].
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordMapping {
    /// The file itself.
    #[serde(default)]
    pub file: FileFormat,
    /// Which column is what.
    #[serde(default)]
    pub columns: BTreeMap<String, Source>,
    /// Who it is about: the first that a row fills orders its events.
    #[serde(default)]
    pub identifiers: Vec<IdentifierColumn>,
    /// Customers only: answers to questions of consent.
    #[serde(default)]
    pub consents: Vec<ConsentColumns>,
    /// Further columns that pass through: traits of customers, properties of everything else.
    #[serde(default)]
    pub properties: BTreeMap<String, PropertyColumn>,
    /// Words that stand for an answer.
    #[serde(default)]
    pub answers: Answers,
    /// How values are written.
    #[serde(default)]
    pub formats: Formats,
    /// Whose knowledge it is; the source's word when not given.
    #[serde(default)]
    pub provenance: ProvenanceRules,
}

/// A column of identifiers.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IdentifierColumn {
    /// Kind: "user_id", "email", "phone", "loyalty_card", or the tenant's own.
    pub kind: String,
    /// Where the value is.
    pub value: Source,
}

/// The columns of one answer. A row without an answer states none.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConsentColumns {
    /// What for.
    pub purpose: String,
    /// On which channel; on every one when not given.
    #[serde(default)]
    pub channel: String,
    /// The answer, in one of the words of `[answers]`.
    pub state: Source,
    /// When it was given; the record's time when not.
    pub time: Option<Source>,
    /// How it can be proved.
    pub proof: Option<Source>,
}

/// A further column.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged, expecting = "expected a column name, { column = \"…\", type = \"number\" } or { value = \"…\" }")]
pub enum PropertyColumn {
    /// A column whose values are numbers, even where the file writes text.
    Typed(TypedColumn),
    /// A column, or the same in every row.
    Plain(Source),
}

/// A column with a type.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TypedColumn {
    /// The column.
    pub column: String,
    /// What its values are.
    #[serde(rename = "type")]
    pub kind: PropertyType,
}

/// What the values of a further column are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PropertyType {
    /// Text.
    Text,
    /// Numbers, written as `[formats]` says.
    Number,
}

/// Words that stand for an answer, in any case.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Answers {
    /// Yes.
    pub granted: Vec<String>,
    /// No.
    pub denied: Vec<String>,
}

impl Default for Answers {
    fn default() -> Self {
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        Self { granted: words(&["granted", "yes", "true", "1"]), denied: words(&["denied", "no", "false", "0"]) }
    }
}

macro_rules! shipped {
    ($($name:literal),+ $(,)?) => {
        /// Mappings that come with the command, by name.
        const SHIPPED: &[(&str, &str)] =
            &[$(($name, include_str!(concat!("../../../mappings/", $name, ".toml")))),+];
    };
}

shipped!("customers", "products", "reviews", "consents", "store-visits", "signals");

impl RecordMapping {
    /// Returns the mapping that comes with the command under this name, or the one in the file of this name.
    pub fn named_or_read(name_or_path: &str, kind: RecordKind) -> Result<Self, ImportError> {
        match SHIPPED.iter().find(|(name, _)| *name == name_or_path) {
            Some((_, text)) => Self::parse(text, kind),
            None => Self::parse(&read_text(Path::new(name_or_path))?, kind),
        }
    }

    /// Parses and checks a mapping.
    pub fn parse(text: &str, kind: RecordKind) -> Result<Self, ImportError> {
        let mapping: Self = from_toml(text)?;
        refuse(mapping.faults(kind))?;
        Ok(mapping)
    }

    fn faults(&self, kind: RecordKind) -> Vec<String> {
        let mut faults = Vec::new();
        self.file.check(&mut faults);
        self.formats.check(&mut faults);
        let known = kind.columns();
        for name in self.columns.keys().filter(|name| !known.iter().any(|(known, _)| known == name)) {
            let names: Vec<_> = known.iter().map(|(known, _)| *known).collect();
            faults.push(format!("columns.{name}: {} have {}", kind.name(), names.join(", ")));
        }
        for (name, _) in known.iter().filter(|(name, needed)| *needed && !self.columns.contains_key(*name)) {
            faults.push(format!("columns.{name}: must be given"));
        }
        if kind.needs_identifier() && self.identifiers.is_empty() {
            faults.push("identifiers: must name at least one".into());
        }
        if !kind.needs_identifier() && !self.identifiers.is_empty() {
            faults.push(format!("identifiers: {} are about nobody", kind.name()));
        }
        if kind != RecordKind::Customers && !self.consents.is_empty() {
            faults.push(format!("consents: {} state none by themselves", kind.name()));
        }
        if kind == RecordKind::Products && !self.properties.is_empty() {
            faults.push("properties: the catalogue keeps none".into());
        }
        for (what, count, limit) in [
            ("identifiers", self.identifiers.len(), MAX_IDENTIFIERS),
            ("consents", self.consents.len(), MAX_CONSENTS),
            ("properties", self.properties.len(), MAX_PROPERTIES),
        ] {
            if count > limit {
                faults.push(format!("{what}: at most {limit}"));
            }
        }
        let words = self.identifiers.iter().map(|identifier| ("identifiers.kind", identifier.kind.as_str()));
        let purposes = self.consents.iter().map(|consent| ("consents.purpose", consent.purpose.as_str()));
        let channels = self.consents.iter().map(|consent| ("consents.channel", consent.channel.as_str()));
        for (key, word) in words.chain(purposes).chain(channels.filter(|(_, channel)| !channel.is_empty())) {
            if !is_kind(word) {
                faults.push(format!("{key}: {word} must be 1 to 64 characters of a-z, 0-9 and _"));
            }
        }
        for (key, source) in self.sources() {
            source.check(&key, &mut faults);
        }
        for (name, property) in &self.properties {
            if let PropertyColumn::Plain(source) = property {
                source.check(&format!("properties.{name}"), &mut faults);
            }
        }
        faults
    }

    /// Returns every source with the key that names it.
    pub(super) fn sources(&self) -> Vec<(String, &Source)> {
        let mut sources = Vec::new();
        sources.extend(self.columns.iter().map(|(name, source)| (format!("columns.{name}"), source)));
        for (index, identifier) in self.identifiers.iter().enumerate() {
            sources.push((format!("identifiers.{index}"), &identifier.value));
        }
        for (index, consent) in self.consents.iter().enumerate() {
            sources.push((format!("consents.{index}.state"), &consent.state));
            sources.extend(consent.time.iter().map(|time| (format!("consents.{index}.time"), time)));
            sources.extend(consent.proof.iter().map(|proof| (format!("consents.{index}.proof"), proof)));
        }
        sources
    }

    /// Returns each column that the file must have, with the key that names it.
    pub(super) fn wanted_columns(&self) -> Vec<(String, String)> {
        let sources = self.sources().into_iter().filter_map(|(key, source)| match source {
            Source::Column(column) => Some((key, column.clone())),
            Source::Constant(_) => None,
        });
        let properties = self.properties.iter().filter_map(|(name, property)| match property {
            PropertyColumn::Typed(typed) => Some((format!("properties.{name}"), typed.column.clone())),
            PropertyColumn::Plain(Source::Column(column)) => Some((format!("properties.{name}"), column.clone())),
            PropertyColumn::Plain(Source::Constant(_)) => None,
        });
        sources.chain(properties).collect()
    }
}

//! Mapping files: which column is what, and how it is written.

use std::{fs::File, io::Read, path::Path};

use proto::event::v1::{Medium, Party, Provenance};
use serde::{Deserialize, Deserializer};

use super::ImportError;

/// Largest mapping file, in bytes: it is written by hand.
const MAX_MAPPING_BYTES: u64 = 64 * 1024;
/// Longest value that is the same in every row, in characters: it comes again with each.
const MAX_CONSTANT_CHARS: usize = 1_000;
/// Longest pattern of dates, in bytes: every row is read by it.
const MAX_PATTERN_BYTES: usize = 100;
/// Most faults told of at once.
const MAX_FAULTS: usize = 20;

/// How the columns of a file of order lines are to be read. One row is one line of an order.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mapping {
    /// The file itself.
    #[serde(default)]
    pub file: FileFormat,
    /// Which column is what.
    pub columns: Columns,
    /// How values are written.
    #[serde(default)]
    pub formats: Formats,
    /// What makes a row an order or a cancellation.
    #[serde(default)]
    pub orders: OrderRules,
    /// Whose knowledge it is; the source's word when not given.
    #[serde(default)]
    pub provenance: ProvenanceRules,
}

/// The file itself.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FileFormat {
    /// `csv`, `jsonl` or `parquet`; by the file's ending when unset.
    pub format: Option<Format>,
    /// CSV only: the character between fields; a comma when unset.
    pub delimiter: Option<char>,
}

/// Kinds of files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// Comma-separated values with a header line.
    Csv,
    /// JSON Lines: one object a line. A dot in a column's name leads into an object: `address.city`.
    #[serde(rename = "jsonl")]
    JsonLines,
    /// Apache Parquet.
    Parquet,
}

/// Which column is what.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Columns {
    /// Order or invoice number.
    pub order: Source,
    /// Who bought.
    pub customer: Source,
    /// Product.
    pub product: Source,
    /// Title of the product.
    pub product_name: Option<Source>,
    /// Category of the product.
    pub category: Option<Source>,
    /// Pieces.
    pub quantity: Source,
    /// Price of one piece.
    pub price: Source,
    /// ISO 4217 currency.
    pub currency: Source,
    /// When it was ordered.
    pub date: Source,
    /// Where it went.
    pub country: Option<Source>,
    /// E-mail of the customer.
    pub email: Option<Source>,
}

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A column of the file.
    Column(String),
    /// The same in every row.
    Constant(String),
}

impl<'de> Deserialize<'de> for Source {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Constant {
            value: String,
        }
        #[derive(Deserialize)]
        #[serde(untagged, expecting = "expected a column name, or { value = \"…\" } for the same in every row")]
        enum Either {
            Column(String),
            Constant(Constant),
        }
        Ok(match Either::deserialize(deserializer)? {
            Either::Column(name) => Self::Column(name),
            Either::Constant(constant) => Self::Constant(constant.value),
        })
    }
}

impl Source {
    pub(super) fn check(&self, key: &str, faults: &mut Vec<String>) {
        if let Self::Constant(value) = self
            && value.chars().count() > MAX_CONSTANT_CHARS
        {
            faults.push(format!("{key}: must be at most {MAX_CONSTANT_CHARS} characters"));
        }
    }
}

/// How values are written.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Formats {
    /// Dates as text: a `strftime` pattern. RFC 3339 and `YYYY-MM-DD[ HH:MM[:SS]]` are understood without one.
    pub date: Option<String>,
    /// IANA zone of dates that name none.
    pub timezone: String,
    /// The character before the fraction of a number.
    pub decimal_separator: char,
}

impl Default for Formats {
    fn default() -> Self {
        Self { date: None, timezone: "UTC".into(), decimal_separator: '.' }
    }
}

impl FileFormat {
    pub(super) fn check(&self, faults: &mut Vec<String>) {
        let cannot_part = |delimiter: char| !delimiter.is_ascii() || matches!(delimiter, '"' | '\n' | '\r' | '\0');
        if self.delimiter.is_some_and(cannot_part) {
            faults.push("file.delimiter: must be one ASCII character other than a quote or a line break".into());
        }
    }
}

impl Formats {
    pub(super) fn check(&self, faults: &mut Vec<String>) {
        if self.timezone.parse::<chrono_tz::Tz>().is_err() {
            faults.push(format!("formats.timezone: {} is not an IANA time zone", self.timezone));
        }
        if self.decimal_separator.is_ascii_alphanumeric() || "+-".contains(self.decimal_separator) {
            faults.push("formats.decimal_separator: must be neither a letter, a digit nor a sign".into());
        }
        if self.date.as_ref().is_some_and(|pattern| pattern.len() > MAX_PATTERN_BYTES) {
            faults.push(format!("formats.date: must be at most {MAX_PATTERN_BYTES} bytes"));
        } else if let Some(pattern) = &self.date
            && chrono::format::StrftimeItems::new(pattern).any(|item| matches!(item, chrono::format::Item::Error))
        {
            faults.push(format!("formats.date: {pattern} is not a strftime pattern"));
        }
    }
}

/// Whether a word can be the kind of an identifier, a purpose or a channel.
pub(super) fn is_kind(word: &str) -> bool {
    let is_kind_byte = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_');
    (1..=64).contains(&word.len()) && word.bytes().all(is_kind_byte)
}

/// Reads a mapping file, which is no larger than a person writes: what a device or a pipe says of its size is nothing.
pub(super) fn read_text(path: &Path) -> Result<String, ImportError> {
    let unreadable = |error| ImportError::unreadable(path, error);
    let mut text = String::new();
    let mut limited = File::open(path).map_err(unreadable)?.take(MAX_MAPPING_BYTES + 1);
    limited.read_to_string(&mut text).map_err(unreadable)?;
    if text.len() as u64 > MAX_MAPPING_BYTES {
        return Err(ImportError::Mapping(format!("{} is larger than {MAX_MAPPING_BYTES} bytes", path.display())));
    }
    Ok(text)
}

/// Returns what is wrong with a mapping as one error: the first faults, and how many more there are.
pub(super) fn refuse(mut faults: Vec<String>) -> Result<(), ImportError> {
    let more = faults.len().saturating_sub(MAX_FAULTS);
    faults.truncate(MAX_FAULTS);
    if more > 0 {
        faults.push(format!("and {more} more"));
    }
    if faults.is_empty() { Ok(()) } else { Err(ImportError::Mapping(in_short(&faults.join("; ")))) }
}

/// Reads TOML, as long as a person writes: the parser recurses over faults, and so many of them overflow the stack.
pub(super) fn from_toml<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, ImportError> {
    if text.len() as u64 > MAX_MAPPING_BYTES {
        return Err(ImportError::Mapping(format!("it is larger than {MAX_MAPPING_BYTES} bytes")));
    }
    toml::from_str(text).map_err(|error| ImportError::Mapping(in_short(&error.to_string())))
}

/// Cuts the lines of what is told of faults: one of them may show a line or a value of the file, however long that is.
fn in_short(told: &str) -> String {
    /// Most characters of a line.
    const MOST: usize = 2_000;
    let lines = told.lines().map(|line| match line.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}...", &line[..end]),
        None => line.to_owned(),
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// What makes a row an order or a cancellation.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OrderRules {
    /// Orders whose number starts so are cancellations: their value, with negative quantities, is given back.
    pub cancellation_prefix: Option<String>,
    /// Kind of identifier that the customer column holds.
    pub customer_kind: String,
}

impl Default for OrderRules {
    fn default() -> Self {
        Self { cancellation_prefix: None, customer_kind: "user_id".into() }
    }
}

/// Whose knowledge it is.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ProvenanceRules {
    /// Who gathered it.
    pub party: Option<PartyName>,
    /// Where.
    pub medium: Option<MediumName>,
}

/// Who gathered the data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PartyName {
    /// The tenant itself.
    First,
    /// A partner.
    Second,
    /// Bought or public.
    Third,
}

/// Where the data were gathered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MediumName {
    /// Site, app, e-mail.
    Online,
    /// Till, call centre, counter.
    Offline,
}

impl ProvenanceRules {
    /// Returns the provenance of what is imported.
    pub(in crate::import) fn provenance(&self) -> Provenance {
        Provenance {
            party: self.party().into(),
            medium: self.medium().into(),
            library: concat!("comptoir-import/", env!("CARGO_PKG_VERSION")).to_owned(),
            bot: false,
        }
    }

    pub(in crate::import) fn party(&self) -> Party {
        match self.party {
            None => Party::Unspecified,
            Some(PartyName::First) => Party::First,
            Some(PartyName::Second) => Party::Second,
            Some(PartyName::Third) => Party::Third,
        }
    }

    pub(in crate::import) fn medium(&self) -> Medium {
        match self.medium {
            None => Medium::Unspecified,
            Some(MediumName::Online) => Medium::Online,
            Some(MediumName::Offline) => Medium::Offline,
        }
    }
}

/// Mappings that come with the command, by name.
const SHIPPED: &[(&str, &str)] = &[("online_retail_ii", include_str!("../../mappings/online_retail_ii.toml"))];

impl Mapping {
    /// Returns the mapping that comes with the command under this name, or the one in the file of this name.
    pub fn named_or_read(name_or_path: &str) -> Result<Self, ImportError> {
        match SHIPPED.iter().find(|(name, _)| *name == name_or_path) {
            Some((_, text)) => Self::parse(text),
            None => Self::read(Path::new(name_or_path)),
        }
    }

    /// Returns the names of the mappings that come with the command.
    pub fn shipped() -> impl Iterator<Item = &'static str> {
        SHIPPED.iter().map(|(name, _)| *name)
    }

    /// Reads and checks a mapping file.
    pub fn read(path: &Path) -> Result<Self, ImportError> {
        Self::parse(&read_text(path)?)
    }

    /// Parses and checks a mapping.
    pub fn parse(text: &str) -> Result<Self, ImportError> {
        let mapping: Self = from_toml(text)?;
        mapping.check()?;
        Ok(mapping)
    }

    fn check(&self) -> Result<(), ImportError> {
        let mut faults = Vec::new();
        self.file.check(&mut faults);
        self.formats.check(&mut faults);
        if !is_kind(&self.orders.customer_kind) {
            faults.push("orders.customer_kind: must be 1 to 64 characters of a-z, 0-9 and _".into());
        }
        if self.orders.cancellation_prefix.as_deref() == Some("") {
            faults.push("orders.cancellation_prefix: must not be empty; leave it out instead".into());
        }
        if let Source::Constant(currency) = &self.columns.currency
            && (currency.len() != 3 || !currency.bytes().all(|byte| byte.is_ascii_uppercase()))
        {
            faults.push(format!("columns.currency: {currency} is not an ISO 4217 code such as EUR"));
        }
        for (key, source) in self.sources() {
            source.check(key, &mut faults);
        }
        refuse(faults)
    }

    /// Returns every source with the key that names it.
    fn sources(&self) -> impl Iterator<Item = (&'static str, &Source)> {
        let columns = &self.columns;
        let all = [
            ("columns.order", Some(&columns.order)),
            ("columns.customer", Some(&columns.customer)),
            ("columns.product", Some(&columns.product)),
            ("columns.quantity", Some(&columns.quantity)),
            ("columns.price", Some(&columns.price)),
            ("columns.currency", Some(&columns.currency)),
            ("columns.date", Some(&columns.date)),
            ("columns.product_name", columns.product_name.as_ref()),
            ("columns.category", columns.category.as_ref()),
            ("columns.country", columns.country.as_ref()),
            ("columns.email", columns.email.as_ref()),
        ];
        all.into_iter().filter_map(|(key, source)| Some((key, source?)))
    }

    /// Returns the columns that the file must have, with the key that names each.
    pub fn wanted_columns(&self) -> Vec<(&'static str, &str)> {
        let named = self.sources().filter_map(|(key, source)| match source {
            Source::Column(name) => Some((key, name.as_str())),
            Source::Constant(_) => None,
        });
        named.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"
        [columns]
        order = "Invoice"
        customer = "Customer ID"
        product = "StockCode"
        quantity = "Quantity"
        price = "Price"
        currency = { value = "GBP" }
        date = "InvoiceDate"
    "#;

    #[test]
    fn a_mapping_names_columns_and_constants() {
        let mapping = Mapping::parse(GOOD).unwrap();

        assert_eq!(mapping.columns.currency, Source::Constant("GBP".into()));
        assert_eq!(mapping.wanted_columns().len(), 6);
    }

    #[test]
    fn what_is_wrong_with_a_mapping_is_named() {
        let cases = [
            (GOOD.replace("GBP", "pounds"), "columns.currency: pounds"),
            (GOOD.replace("date =", "day ="), "unknown field `day`"),
            (GOOD.replace("order =", "# order ="), "missing field `order`"),
            (format!("{GOOD}\n[formats]\ntimezone = \"Mars/Olympus\""), "formats.timezone: Mars/Olympus"),
            (format!("{GOOD}\n[formats]\ndate = \"%Q!\""), "formats.date"),
            ("[columns".into(), "TOML"),
            (format!("{GOOD}\n[file]\ndelimiter = '\"'"), "file.delimiter"),
            (format!("{GOOD}\n[orders]\ncustomer_kind = \"Loyalty Card\""), "orders.customer_kind"),
            (GOOD.replace("\"Price\"", "[1]"), "expected a column name"),
        ];
        for (text, expected) in cases {
            let error = Mapping::parse(&text).unwrap_err().to_string();
            assert!(error.contains(expected), "{error} should contain {expected}");
        }
    }

    #[test]
    fn every_shipped_mapping_is_one() {
        for name in Mapping::shipped() {
            Mapping::named_or_read(name).unwrap();
        }
        assert!(matches!(Mapping::named_or_read("no-such-file"), Err(ImportError::Unreadable { .. })));
    }

    #[test]
    fn nested_values_do_not_blow_up() {
        let bomb = format!("{GOOD}\nx = {}1{}", "[".repeat(20_000), "]".repeat(20_000));
        let faults = format!("{GOOD}\n{}", "[[x]]\ny = \"z\nw = 1\n".repeat(60_000));

        assert!(Mapping::parse(&bomb).is_err());
        assert!(Mapping::parse(&faults).unwrap_err().to_string().contains("larger than"));
    }
}

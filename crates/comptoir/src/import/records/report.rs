use std::{collections::BTreeMap, fmt};

use serde::Serialize;

/// Why a line is not a record. A line that breaks several rules is counted under the first of them in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RecordReason {
    /// It is not a row of the file's columns.
    BrokenLine,
    /// It names nobody.
    MissingIdentifier,
    /// A value that must be there is missing.
    MissingValue,
    /// A time is missing, cannot be read, or lies before 1970.
    BadTime,
    /// A time lies more than a day ahead.
    TimeInFuture,
    /// A number cannot be read or is out of bounds.
    BadNumber,
    /// A currency is not three letters.
    BadCurrency,
    /// An answer to a question of consent is none of the words of the mapping.
    BadAnswer,
    /// A purpose, channel or method is not written in small letters, digits and underscores.
    BadWord,
    /// An id is longer than events may carry.
    IdTooLong,
    /// The record is larger than an event may be.
    TooLarge,
}

impl RecordReason {
    /// Returns the stable name, as in the rejects file.
    pub fn name(self) -> &'static str {
        match self {
            Self::BrokenLine => "broken_line",
            Self::MissingIdentifier => "missing_identifier",
            Self::MissingValue => "missing_value",
            Self::BadTime => "bad_time",
            Self::TimeInFuture => "time_in_future",
            Self::BadNumber => "bad_number",
            Self::BadCurrency => "bad_currency",
            Self::BadAnswer => "bad_answer",
            Self::BadWord => "bad_word",
            Self::IdTooLong => "id_too_long",
            Self::TooLarge => "too_large",
        }
    }

    /// Returns what it means, for a person to read.
    pub fn explanation(self) -> &'static str {
        match self {
            Self::BrokenLine => "not a row of the file's columns",
            Self::MissingIdentifier => "names nobody",
            Self::MissingValue => "a value that must be there is missing",
            Self::BadTime => "a time is missing or cannot be read",
            Self::TimeInFuture => "a time lies more than a day ahead",
            Self::BadNumber => "a number cannot be read or is out of bounds",
            Self::BadCurrency => "the currency is not three letters",
            Self::BadAnswer => "the answer is none of the words of [answers]",
            Self::BadWord => "a purpose or channel is not of a-z, 0-9 and _",
            Self::IdTooLong => "an id is longer than events may carry",
            Self::TooLarge => "larger than an event may be",
        }
    }
}

/// What became of a file. `lines = records + Σ rejected`, and `records = skipped + accepted + duplicates + quarantined` unless
/// it was a dry run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct RecordReport {
    /// Rows of the file, without header and blank lines.
    pub lines: u64,
    /// Rows that are records.
    pub records: u64,
    /// Rows that are not, by reason.
    pub rejected: BTreeMap<RecordReason, u64>,
    /// Records that an earlier run sent already.
    pub skipped: u64,
    /// Records committed: events in the log, products in the catalogue.
    pub accepted: u64,
    /// Events known already.
    pub duplicates: u64,
    /// Events kept as dead letters, by reason.
    pub quarantined: BTreeMap<String, u64>,
}

impl RecordReport {
    /// Returns the number of rejected lines.
    pub fn lines_rejected(&self) -> u64 {
        self.rejected.values().sum()
    }

    /// Returns the number of events kept as dead letters.
    pub fn events_quarantined(&self) -> u64 {
        self.quarantined.values().sum()
    }
}

impl fmt::Display for RecordReport {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "{:>9} lines read", self.lines)?;
        writeln!(formatter, "{:>9} records", self.records)?;
        for (reason, lines) in &self.rejected {
            writeln!(formatter, "{lines:>9} lines rejected: {} ({})", reason.explanation(), reason.name())?;
        }
        if self.skipped > 0 {
            writeln!(formatter, "{:>9} records sent by an earlier run", self.skipped)?;
        }
        writeln!(formatter, "{:>9} records accepted", self.accepted)?;
        write!(formatter, "{:>9} records known already", self.duplicates)?;
        for (reason, events) in &self.quarantined {
            write!(formatter, "\n{events:>9} records kept as dead letters: {reason}")?;
        }
        Ok(())
    }
}

//! Customers, products, reviews, consents, visits to shops and context signals out of files: one row is one record.
//!
//! | kind | becomes |
//! |---|---|
//! | customers | an `Identified` event with the row's identifiers, traits and consents |
//! | consents | a `ConsentChanged` event with the row's answer |
//! | reviews | a `ProductReviewed` event |
//! | store-visits | a `StoreVisited` event |
//! | signals | a `ContextSignal` event, without a person |
//! | products | an entry of the catalogue, by its own API |
//!
//! The file is read twice: first whole, to check and count and to write down every rejected line with its reason, which is all
//! that a dry run does; then again to send, so memory does not grow with the file. The message id of a record follows from its
//! content, so sending it twice adds nothing; how far an import came is noted beside the rejects, and the next run goes on there.
//!
//! To add a kind: a variant of [`RecordKind`], its columns in `mapping.rs`, and what a row becomes in `build.rs`.

mod build;
mod checkpoint;
mod mapping;
mod report;
mod run;
mod values;

pub(super) use self::run::check_rows;
pub use self::{
    mapping::RecordMapping,
    report::{RecordReason, RecordReport},
    run::{RecordImport, RecordStep, import_records},
};

/// What the rows of a file are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecordKind {
    /// People with their traits and consents.
    Customers,
    /// Products for the catalogue.
    Products,
    /// What people think of products.
    Reviews,
    /// Answers to questions of consent.
    Consents,
    /// People seen in physical shops.
    StoreVisits,
    /// Weather, TV spots, trends, holidays, stock.
    Signals,
}

impl RecordKind {
    /// Every kind.
    pub const ALL: [Self; 6] =
        [Self::Customers, Self::Products, Self::Reviews, Self::Consents, Self::StoreVisits, Self::Signals];

    /// Returns the name, as on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Customers => "customers",
            Self::Products => "products",
            Self::Reviews => "reviews",
            Self::Consents => "consents",
            Self::StoreVisits => "store-visits",
            Self::Signals => "signals",
        }
    }

    /// Returns the columns that a mapping of this kind may name, and whether it must.
    pub(super) fn columns(self) -> &'static [(&'static str, bool)] {
        match self {
            Self::Customers => &[
                ("time", false),
                ("first_name", false),
                ("last_name", false),
                ("birth_date", false),
                ("gender", false),
                ("street", false),
                ("city", false),
                ("region", false),
                ("postal_code", false),
                ("country", false),
            ],
            Self::Products => &[
                ("product", true),
                ("title", true),
                ("category", false),
                ("brand", false),
                ("price", false),
                ("currency", false),
                ("stock", false),
                ("url", false),
                ("image_url", false),
            ],
            Self::Reviews => {
                &[("product", true), ("time", true), ("review", false), ("text", false), ("rating", false)]
            }
            Self::Consents => &[
                ("purpose", true),
                ("state", true),
                ("time", true),
                ("channel", false),
                ("proof", false),
                ("origin", false),
            ],
            Self::StoreVisits => &[("store_location", true), ("time", true), ("method", false)],
            Self::Signals => &[
                ("signal", true),
                ("start_time", true),
                ("end_time", false),
                ("country", false),
                ("region", false),
                ("city", false),
                ("postal_code", false),
            ],
        }
    }

    /// Whether a record is about a person.
    pub(super) fn needs_identifier(self) -> bool {
        !matches!(self, Self::Products | Self::Signals)
    }
}

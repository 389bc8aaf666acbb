//! Orders out of files: CSV and Parquet, read as a mapping says, through the same door as every other event.
//!
//! One row is one line of an order. Rows become lines ([`Reason`] says why one does not), lines become orders, an order
//! becomes one event, and events go to ingestion in batches. A line is never lost silently: it is in an event, or it is
//! counted and written to the rejects file with its number and reason. The message id of an order's event follows from
//! its order id, so an import that is begun again adds nothing twice.
//!
//! To read another kind of file: a variant of [`Format`](mapping::Format), a reader beside `csv.rs`, an arm in
//! `reader.rs`. To add a column: a field of [`Columns`](mapping::Columns) and what `line.rs` makes of it.

mod cell;
mod csv;
mod error;
mod event;
mod fields;
#[doc(hidden)]
pub mod fuzzing;
mod json_lines;
mod line;
mod lines;
pub mod mapping;
mod orders;
mod parquet;
mod products;
mod read;
mod reader;
pub mod records;
mod rejects;
mod report;
mod run;
mod send;
mod texts;

#[cfg(test)]
mod tests;

pub use self::{
    error::ImportError,
    mapping::Mapping,
    report::{ImportReport, Reason, Turnover},
    run::{ImportOptions, Step, import_orders},
};

//! The Segment vocabulary as its SDKs speak it over HTTP.
//!
//! To understand another e-commerce event, add its name to `vocabulary.rs` and its reading to `commerce/`. To keep
//! another field of the context, add it to `context.rs`; until then it passes through in `extra_json`.

mod commerce;
mod consent;
mod context;
mod message;
mod people;
mod request;
#[cfg(test)]
mod spec_tests;
#[cfg(test)]
mod tests;

pub(crate) use consent::take_signals;
pub(crate) use message::{HttpArrival, kept_payload, read};
pub(crate) use request::{BodyError, Call, Request, Route, Shared, split};

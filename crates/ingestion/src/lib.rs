//! The door: every signal comes in here, is checked, told from its repetitions, and kept before it is acknowledged.
//!
//! This crate owns the event log, the sources with their write keys, quotas and tracking plans, the dead letters and the
//! deduplication window. It alone knows the Segment vocabulary. It promises that an acknowledged event is committed,
//! once for each message id of a source within the window; that a bad event harms none of its neighbours and is kept
//! with the reason; and that what cannot be stored is never acknowledged. One transaction serves all requests that wait:
//! it decides what is a duplicate, appends, counts, and keeps the dead letters. See `intake/commit.rs`.
//!
//! To add an event type: add its body to `comptoir.event.v1`, its rules to `domain/check_body.rs` and
//! `domain/texts.rs`, and for Segment clients its name to `domain/vocabulary.rs` and its reading to
//! `domain/segment/commerce/`. To add a door: make [`Item`](intake::Item)s out of what comes in, and submit them.

mod app;
mod config;
mod consent_policies;
mod directory;
mod domain;
mod door;
#[doc(hidden)]
pub mod fuzzing;
mod geo_file;
mod grpc;
mod history;
mod intake;
mod metrics;
#[cfg(test)]
#[path = "../tests/rpc/mmdb.rs"]
mod mmdb;
mod plans;
mod quotas;
mod registry;
mod seal;
mod service;
mod store;
mod ttl_cache;
mod upkeep;
pub mod window;

pub use config::{BootstrapConfig, CollectConfig, Config, ConsentConfig, EnrichConfig};
pub use service::{Deps, Ingestion, LOG};

/// The tables of this service; migrated beside those of [`eventlog::MIGRATIONS`].
pub static MIGRATIONS: ::store::Migrations = ::store::migrations!("ingestion");

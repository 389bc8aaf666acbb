//! Scoring: worth what, about to do what?
//!
//! This crate owns the statistics of each person, the RFM scores, and the rule segments with who is in them. It
//! follows the profile log, folds each event once, and publishes entries and exits of segments in the score log, in the
//! transaction that made them. It promises that statistics depend on what was told and never on the order of arrival;
//! that an order counts once per person however often it is told; that a merge or split leaves the same state as if the
//! people had been known that way all along; that scores are computed when they are read; and that membership follows
//! events, rules, and time alone.
//!
//! It keeps state, not scores. People live in shards, one per partition of the profile log; whoever changes people of a
//! shard holds its lock in the database, so the follower and the keeper (time, changed rules, moved cuts) never
//! interleave, across replicas too.
//!
//! To add a statistic: fold it in `domain/state.rs`, store it in `store/blob.rs`, show it in `wire.rs`. To let rules see
//! it: name it in `domain/rule/vocabulary.rs`. To add an RPC: one file under `grpc/`.

mod config;
mod domain;
mod engine;
mod follower;
mod grpc;
mod pending;
mod service;
mod store;
mod wire;

pub use config::{Config, ScoringConfig};
pub use pending::{due_work, next_due_us};
pub use service::{Deps, Scoring};

/// The tables of scoring.
pub static MIGRATIONS: ::store::Migrations = ::store::migrations!("scoring");

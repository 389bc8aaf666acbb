//! Who is this? Identity owns identifiers, evidence, profiles, golden records, consents, the timeline index and the
//! profile log.
//!
//! It promises that people are a pure function of the evidence and the rules: the order in which events arrive, how they
//! are batched and how often the process dies in between change nothing. Every effect of an event is committed with the
//! follower's cursor and with what is published. One writer per tenant at a time, by the tenant's row; see
//! the `registry` module.
//!
//! To add a kind of identifier: name it in the defaults of `domain/rules.rs`, and its normal form in
//! `domain/identifier.rs`. To add a rule that refuses evidence: add a variant to `Refusal` in `domain/canon.rs`, its text
//! in `domain/explain.rs`, and teach the reference in `domain/laws.rs`. To add an RPC: a file under `grpc/` and a line in
//! `grpc/mod.rs`.

mod config;
mod domain;
mod follower;
mod grpc;
mod reading;
mod registry;
mod render;
mod service;
mod store;

pub use self::{
    config::{Config, FollowerConfig, LogConfig},
    domain::rules::{KindRule, Rules},
    service::{Deps, Identity},
};

/// The service's own tables; those of [`eventlog::MIGRATIONS`] stand beside them.
pub static MIGRATIONS: ::store::Migrations = ::store::migrations!("identity");

/// Under this name identity keeps its cursors and reports its lag.
pub(crate) const FOLLOWER: &str = "identity";
/// The log that it follows.
pub(crate) const FOLLOWED_LOG: &str = "events";
/// The log that it publishes.
pub(crate) const PUBLISHED_LOG: &str = "profiles";

//! The whole of Comptoir in one process, and the command that runs, feeds, checks and measures it.
//!
//! It owns no data of its own. [`platform`] wires the six services together over channels inside the process, each on its own
//! store; [`import`] reads files of orders; [`commands`] are what a person types. The services do not know that they share a
//! process: they call each other with the same clients, credentials and layers as over the network.
//!
//! To add a command: a file in `commands/`, a variant in `commands::Command`. To add a service to the all-in-one: a field of
//! [`platform::Config`] and a few lines in `platform::build`.

pub mod api;
pub mod cluster;
pub mod commands;
pub mod import;
pub mod platform;
pub mod progress;
pub mod shop;
pub mod web;

//! Rules and algorithms: who is one person, and what is known of them. Pure: no I/O, no clock, no SQL, no protobuf.

pub(crate) mod canon;
pub(crate) mod component;
pub(crate) mod explain;
pub(crate) mod fingerprint;
pub(crate) mod graph;
pub(crate) mod identifier;
pub(crate) mod person;
mod phone;
pub(crate) mod policy;
pub(crate) mod restate;
pub(crate) mod rules;
pub(crate) mod settle;
pub(crate) mod timeline;

#[cfg(test)]
mod laws;

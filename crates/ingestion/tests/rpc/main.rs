//! The service as its callers see it, on both engines.

mod collect;
mod consent;
mod consent_changes;
mod dead_letters;
mod enrich;
mod harness;
mod http;
mod load;
mod mend;
mod mmdb;
mod plans;
mod signals;
mod sources;
mod speed;
mod stream;
mod trouble;

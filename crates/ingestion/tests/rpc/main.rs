//! The service as its callers see it, on both engines.

mod collect;
mod dead_letters;
mod harness;
mod http;
mod load;
mod mend;
mod plans;
mod signals;
mod sources;
mod speed;
mod stream;
mod trouble;

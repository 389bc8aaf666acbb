//! The harness of the end-to-end tests: the whole product, in one process or as six, on either engine, with a mail server and
//! a trace collector of its own.
//!
//! [`Embedded`] and [`Clustered`] are the two ways to run; both are a [`Subject`], so that one scenario serves both.
//! [`scenario`] lives a simulated shop through one of them, [`Picture`] is what the public API then shows, written so that
//! two runs can be compared. Nothing here looks into a store; [`event_log`](log::event_log) reads the log by its RPCs.
//!
//! To add a test: a file under `tests/suite/`. To compare one more thing between runs: a section in `picture.rs`.

pub mod clustered;
pub mod collector;
pub mod databases;
pub mod embedded;
pub mod feed;
pub mod http;
pub mod log;
pub mod picture;
pub mod read;
pub mod scenario;
pub mod subject;

pub use self::{
    clustered::Clustered, collector::Collector, databases::Engine, embedded::Embedded, picture::Picture,
    subject::Subject,
};

//! What every service needs and none owns: configuration, telemetry, serving, calling, credentials, errors, clock and shutdown.
//!
//! It promises that a call behaves the same whether the other service lives in this process or behind a socket, that no handler
//! runs without a verified credential, that no internal detail or personal data reaches the wire, and that a process stops in
//! order: not ready, no new calls, drained, flushed.
//!
//! To add a service: implement [`binary::Service`] on its type and call [`binary::serve`] from `main.rs`; mount its gRPC servers with
//! [`server::Services`]; reach other services through [`channel`]. To add an error reason: pass a new constant to one of the
//! constructors of [`Error`]. To add a configuration key: add a field with a default to a section.

pub mod auth;
pub mod binary;
pub mod channel;
mod clock;
pub mod config;
mod currency;
mod error;
pub mod metrics;
mod origins;
pub mod paging;
pub mod server;
pub mod shutdown;
pub mod status;
pub mod telemetry;
mod tenant;
pub mod time;

pub use clock::Clock;
pub use currency::Currency;
pub use error::{Error, FieldViolation, Kind, Violations};
pub use origins::Origins;
pub use tenant::TenantId;

/// Largest gRPC message, in bytes, that servers and clients accept.
///
/// Set it on every generated server and client (`.max_decoding_message_size(kit::MAX_MESSAGE_BYTES)`): their own default is 4 MiB.
pub const MAX_MESSAGE_BYTES: usize = 32 << 20;

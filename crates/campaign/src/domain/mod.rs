//! Rules: pure, without I/O, async, SQL or gRPC.

pub(crate) mod agent;
pub(crate) mod backoff;
pub(crate) mod basket;
pub(crate) mod campaign;
pub(crate) mod contact;
pub(crate) mod content;
pub(crate) mod gates;
pub(crate) mod ids;
pub(crate) mod links;
pub(crate) mod membership;
pub(crate) mod message;
pub(crate) mod policy;
pub(crate) mod quiet;
pub(crate) mod template;
pub(crate) mod time;
pub(crate) mod token;

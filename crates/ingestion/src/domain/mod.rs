//! What makes an event a good one: reading the Segment vocabulary, checking, correcting clocks. Pure: no I/O, no SQL,
//! no gRPC.
//!
//! The domain's own word for an event is `comptoir.event.v1.Event` itself. The contract is what this service exists to
//! produce; a second hierarchy of the same thirty types would only be copied from and to.

pub(crate) mod bot;
pub(crate) mod check;
pub(crate) mod check_body;
pub(crate) mod consent;
pub(crate) mod decimal;
pub(crate) mod edge;
pub(crate) mod event_json;
pub(crate) mod finish;
pub(crate) mod inflate;
pub(crate) mod instant;
pub(crate) mod json;
pub(crate) mod json_scan;
pub(crate) mod limits;
pub(crate) mod mask;
pub(crate) mod mend;
mod mend_tree;
pub(crate) mod plan;
pub(crate) mod problem;
pub(crate) mod quota;
pub(crate) mod segment;
pub(crate) mod signal;
pub(crate) mod source;
#[cfg(test)]
mod speed;
pub(crate) mod texts;
pub(crate) mod typed;
pub(crate) mod vocabulary;
pub(crate) mod write_key;

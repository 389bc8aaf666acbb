//! What the door adds to an event before it is kept: the visitor's software, a coarse place, the way they came. And what
//! it takes away: the end of the network address.

mod address;
mod click;
mod client;
mod enricher;
mod geography;
mod hosts;
mod touchpoint;

pub(crate) use address::{cut, cut_text};
pub(crate) use enricher::Enricher;
pub(crate) use geography::GeoTable;

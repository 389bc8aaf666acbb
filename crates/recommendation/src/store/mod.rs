//! The only SQL.

pub(crate) mod catalogue;
mod codec;
pub(crate) mod items;
pub(crate) mod orders;
pub(crate) mod profiles;

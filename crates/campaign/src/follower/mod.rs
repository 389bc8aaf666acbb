//! What campaign does with each record of the logs that it follows.

pub(crate) mod plan;
pub(crate) mod profiles;
pub(crate) mod recent;
pub(crate) mod scan;
pub(crate) mod scores;
pub(crate) mod signal;

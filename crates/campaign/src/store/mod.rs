//! The only SQL of campaign.

pub(crate) mod campaigns;
pub(crate) mod contacts;
pub(crate) mod due;
pub(crate) mod feedback;
pub(crate) mod gone;
pub(crate) mod leases;
pub(crate) mod listing;
pub(crate) mod memberships;
pub(crate) mod messages;
pub(crate) mod policies;
pub(crate) mod suppressions;
pub(crate) mod templates;

use ::store::Error;
use prost::Message;

/// Reads what we wrote ourselves.
fn unpack<M: Message + Default>(bytes: &[u8], what: &str) -> Result<M, Error> {
    M::decode(bytes).map_err(|_| Error::Damaged(format!("a stored {what}")))
}

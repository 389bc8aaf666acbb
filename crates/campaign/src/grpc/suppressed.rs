//! Reading requests about suppressions.

use kit::{Error, TenantId, Violations};
use lettre::Address;
use proto::campaign::v1::Channel;

use super::Rpc;

/// Returns the channel and the keyed hash of an address.
pub(super) fn target(
    rpc: &Rpc,
    tenant: &TenantId,
    channel: Channel,
    address: &str,
    mut wrong: Violations,
) -> Result<(i32, Vec<u8>), Error> {
    wrong.check(channel == Channel::Email, "channel", "must be CHANNEL_EMAIL");
    wrong.check(address.trim().parse::<Address>().is_ok(), "address", "must be an e-mail address");
    wrong.finish()?;
    let channel = i32::from(channel);
    Ok((channel, rpc.engine.keys.address_hash(tenant, channel, address)))
}

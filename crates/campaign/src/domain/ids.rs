//! Ids that are derived from what caused them, never drawn: the same cause gives the same id in every replica and replay.

use kit::TenantId;
use sha2::{Digest, Sha256};
use uuid::Uuid;

/// Root of all ids that campaign derives.
const NAMESPACE: Uuid = Uuid::from_u128(0x7b2f_53c6_9a0e_5d41_8c1f_2e66_0d3a_b417);

/// Returns the id of the message that `cause` sets off in a campaign.
pub(crate) fn message_id(tenant: &TenantId, campaign_id: &str, cause: &str) -> Uuid {
    derive(&[tenant.as_str(), campaign_id, cause])
}

/// Returns the id of an event that tells what became of a message.
pub(crate) fn event_id(tenant: &TenantId, message_id: &str, what: &str) -> String {
    derive(&[tenant.as_str(), message_id, "event", what]).to_string()
}

/// Returns the request id under which a tenant's source is created.
pub(crate) fn source_request_id(tenant: &TenantId) -> String {
    derive(&[tenant.as_str(), "source"]).to_string()
}

/// Cause of a post-purchase message: an order, however often it is told.
pub(crate) fn order_cause(order_id: &str) -> String {
    format!("order:{order_id}")
}

/// Cause of an abandoned-basket message: the last change of the basket.
pub(crate) fn basket_cause(event_id: &str) -> String {
    format!("basket:{event_id}")
}

/// Cause of a segment message: one entry of one person.
pub(crate) fn segment_cause(segment_id: &str, profile_id: &str, enter_us: i64) -> String {
    format!("segment:{segment_id}:{profile_id}:{enter_us}")
}

/// Whether a person is left out of a campaign to measure what it brings: `milli` of 1,000 people are, for good.
///
/// After a merge the survivor's id counts, so a person who was in may be out from then on; identity keeps the elder id.
pub(crate) fn is_held_out(tenant: &TenantId, campaign_id: &str, profile_id: &str, milli: i32) -> bool {
    let digest = Sha256::digest(parts(&[tenant.as_str(), "holdout", campaign_id, profile_id]));
    let drawn = u64::from_be_bytes(digest[..8].try_into().expect("a digest is longer than 8 bytes"));
    i32::try_from(drawn % 1_000).is_ok_and(|bucket| bucket < milli)
}

fn derive(of: &[&str]) -> Uuid {
    Uuid::new_v5(&NAMESPACE, &parts(of))
}

/// Joins texts so that no two lists give the same bytes.
fn parts(of: &[&str]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for part in of {
        bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
        bytes.extend_from_slice(part.as_bytes());
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shop() -> TenantId {
        "shop".try_into().unwrap()
    }

    #[test]
    fn an_id_is_the_same_for_the_same_cause_and_another_for_another() {
        let id = message_id(&shop(), "basket", "basket:e1");

        assert_eq!(id, message_id(&shop(), "basket", "basket:e1"));
        assert_eq!(id.get_version_num(), 5);
        assert_ne!(id, message_id(&shop(), "basket", "basket:e2"));
        assert_ne!(message_id(&shop(), "ab", "c"), message_id(&shop(), "a", "bc"));
    }

    #[test]
    fn the_hold_out_has_about_its_share_and_each_person_stays() {
        let people: Vec<String> = (0..10_000).map(|number| format!("p{number}")).collect();
        let held = |milli| people.iter().filter(|id| is_held_out(&shop(), "c", id, milli)).count();

        assert_eq!(held(0), 0);
        assert!((900..1_100).contains(&held(100)), "{}", held(100));
        let grown =
            people.iter().filter(|id| is_held_out(&shop(), "c", id, 100)).all(|id| is_held_out(&shop(), "c", id, 200));
        assert!(grown, "who is out stays out when the share grows");
    }
}

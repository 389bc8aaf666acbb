//! The person for whom is asked, and how far their past may be used.

use kit::{Error, Kind, MAX_MESSAGE_BYTES, TenantId, channel::for_tenant};
use proto::identity::v1::{
    GetProfileRequest, get_profile_request::Key, identity_service_client::IdentityServiceClient,
};

use super::Rpc;
use crate::{domain::profile::Profile, store::profiles};

/// The person said no to the purpose `personalisation`.
const PERSONALISATION_DENIED: &str = "PERSONALISATION_DENIED";
/// Nothing is known of what the profile did, or nobody has it.
const NOTHING_KNOWN: &str = "NOTHING_KNOWN";

/// A person as far as their past may decide.
#[derive(Default)]
pub(super) struct Person {
    /// What they did; nothing when it must not be used.
    pub(super) profile: Profile,
    /// Why nothing is used of it; empty when it is, and for visitors without a profile.
    pub(super) not_personal_reason: &'static str,
}

/// Finds the person whom a profile id names, under the profile that has absorbed it if it was merged.
pub(super) async fn find(rpc: &Rpc, tenant: &TenantId, profile_id: &str) -> Result<Person, Error> {
    if profile_id.is_empty() {
        return Ok(Person::default());
    }
    let mut found = profiles::find(&rpc.db, tenant, profile_id).await?;
    if found.is_none()
        && let Some(survivor_id) = survivor(rpc, tenant, profile_id).await
    {
        found = profiles::find(&rpc.db, tenant, &survivor_id).await?;
    }
    Ok(match found {
        None => Person { not_personal_reason: NOTHING_KNOWN, ..Person::default() },
        Some(profile) if profile.denies_personalisation => {
            Person { not_personal_reason: PERSONALISATION_DENIED, ..Person::default() }
        }
        Some(profile) => Person { profile, not_personal_reason: "" },
    })
}

/// Asks identity who a profile has become. When it cannot say, a person of whom nothing is known is good enough: a page
/// must not wait for it.
async fn survivor(rpc: &Rpc, tenant: &TenantId, profile_id: &str) -> Option<String> {
    let request = GetProfileRequest { key: Some(Key::ProfileId(profile_id.to_owned())) };
    let mut identity = IdentityServiceClient::new(rpc.identity.clone()).max_decoding_message_size(MAX_MESSAGE_BYTES);
    match identity.get_profile(for_tenant(tenant, request)).await {
        Ok(found) => found.into_inner().profile.map(|profile| profile.profile_id).filter(|id| id != profile_id),
        Err(status) => {
            let error = Error::from(status);
            if !matches!(error.kind, Kind::NotFound | Kind::InvalidArgument) {
                tracing::debug!(
                    error = &error as &dyn std::error::Error,
                    "identity does not say who a profile has become"
                );
            }
            None
        }
    }
}

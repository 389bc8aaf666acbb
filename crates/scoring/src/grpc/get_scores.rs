use kit::channel::{Channel, for_tenant};
use kit::time::timestamp;
use kit::{Error, MAX_MESSAGE_BYTES, TenantId, Violations};
use proto::identity::v1::identity_service_client::IdentityServiceClient;
use proto::identity::v1::{GetProfileRequest, get_profile_request::Key};
use proto::scoring::v1::{GetScoresRequest, GetScoresResponse};
use tonic::Code;

use super::{check_profile_id, profile_not_found};
use crate::domain::state::State;
use crate::engine::Engine;
use crate::store::profiles;
use crate::wire::{rfm, statistics};

/// Returns the statistics and scores of one person, as of now.
pub(super) async fn get_scores(
    engine: &Engine,
    identity: &Channel,
    tenant: &TenantId,
    request: GetScoresRequest,
) -> Result<GetScoresResponse, Error> {
    let mut violations = Violations::new();
    check_profile_id(&request.profile_id, &mut violations);
    violations.finish()?;

    let mut profile_id = request.profile_id;
    let mut found = find(engine, tenant, &profile_id).await?;
    if found.is_none()
        && let Some(survivor_id) = survivor(identity, tenant, &profile_id).await?
    {
        found = find(engine, tenant, &survivor_id).await?;
        profile_id = survivor_id;
    }
    let Some(state) = found else { return Err(profile_not_found(&profile_id)) };
    let bench = engine.bench(tenant).await?;
    let is_in_force = |segment_id: &str, created_version: i64| {
        let known = bench.rules.segments.iter().find(|segment| segment.segment_id == segment_id);
        known.is_some_and(|segment| segment.created_version == created_version)
    };
    let memberships = state.memberships.iter();
    let in_force = memberships.filter(|membership| is_in_force(&membership.segment_id, membership.created_version));
    let segment_ids = in_force.map(|membership| membership.segment_id.clone()).collect();

    let now_us = engine.clock.now_us();
    let mut response = GetScoresResponse {
        profile_id,
        statistics: Some(statistics(&state.stats)),
        rfm: None,
        segment_ids,
        as_of_time: Some(timestamp(now_us)),
        explanation: "no order that counts, so no RFM cell".to_owned(),
    };
    if state.stats.order_count > 0 {
        let cuts = engine.ranks.cuts(&engine.db, tenant).await?;
        let cuts = cuts.at(now_us);
        if let Some(buyer) = state.buyer(cuts.currency()) {
            response.rfm = Some(rfm(cuts.cell(buyer)));
            response.explanation = cuts.explain(buyer);
        }
    }
    Ok(response)
}

async fn find(engine: &Engine, tenant: &TenantId, profile_id: &str) -> Result<Option<State>, Error> {
    let state = profiles::find(&engine.db, tenant, profile_id).await?;
    Ok(state.filter(|state| state.stats.event_count > 0))
}

/// Asks identity who a profile of which nothing is known has become; none when nobody has it, or it is itself.
async fn survivor(identity: &Channel, tenant: &TenantId, profile_id: &str) -> Result<Option<String>, Error> {
    let request = GetProfileRequest { key: Some(Key::ProfileId(profile_id.to_owned())) };
    let mut identity = IdentityServiceClient::new(identity.clone()).max_decoding_message_size(MAX_MESSAGE_BYTES);
    match identity.get_profile(for_tenant(tenant, request)).await {
        Ok(found) => Ok(found.into_inner().profile.map(|profile| profile.profile_id).filter(|id| id != profile_id)),
        // An id that identity does not take, or a stand-in for identity that only has a log.
        Err(status) if matches!(status.code(), Code::NotFound | Code::InvalidArgument | Code::Unimplemented) => {
            Ok(None)
        }
        Err(status) => Err(status.into()),
    }
}

use kit::time::timestamp;
use kit::{Error, TenantId, Violations};
use proto::scoring::v1::{GetScoresRequest, GetScoresResponse};

use super::{check_profile_id, profile_not_found};
use crate::engine::Engine;
use crate::store::profiles;
use crate::wire::{rfm, statistics};

/// Returns the statistics and scores of one person, as of now.
pub(super) async fn get_scores(
    engine: &Engine,
    tenant: &TenantId,
    request: GetScoresRequest,
) -> Result<GetScoresResponse, Error> {
    let mut violations = Violations::new();
    check_profile_id(&request.profile_id, &mut violations);
    violations.finish()?;

    let state = profiles::find(&engine.db, tenant, &request.profile_id).await?;
    let Some(state) = state.filter(|state| state.stats.event_count > 0) else {
        return Err(profile_not_found(&request.profile_id));
    };
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
        profile_id: request.profile_id,
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

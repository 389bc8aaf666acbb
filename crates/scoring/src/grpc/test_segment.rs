use kit::{Error, TenantId, Violations};
use proto::scoring::v1::{TestSegmentRequest, TestSegmentResponse};

use super::segment::compiled;
use super::{check_profile_id, profile_not_found};
use crate::domain::rule::View;
use crate::engine::Engine;
use crate::store::profiles;
use kit::time::timestamp;

/// Judges one person by a rule, as of now, and shows the values it saw.
pub(super) async fn test_segment(
    engine: &Engine,
    tenant: &TenantId,
    request: TestSegmentRequest,
) -> Result<TestSegmentResponse, Error> {
    let mut violations = Violations::new();
    check_profile_id(&request.profile_id, &mut violations);
    let rule = violations.take(compiled(&request.expression).await?, "expression");
    violations.finish()?;

    let state = profiles::find(&engine.db, tenant, &request.profile_id).await?;
    let (Some(state), Some(rule)) = (state, rule) else { return Err(profile_not_found(&request.profile_id)) };
    let now_us = engine.clock.now_us();
    let cuts = engine.ranks.cuts(&engine.db, tenant).await?;
    let cuts = cuts.at(now_us);
    let buyer = state.buyer(cuts.currency());
    let view = View { state: &state, now_us, rfm: buyer.map(|buyer| cuts.cell(buyer)), currency: cuts.currency() };
    Ok(TestSegmentResponse {
        matches: rule.matches(&view),
        variables_json: view.to_json().to_string().into_bytes().into(),
        next_change_time: rule.next_change_us(&state, now_us).map(timestamp),
    })
}

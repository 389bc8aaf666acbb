use kit::{Error, TenantId};
use proto::campaign::v1::{GetCampaignRequest, GetCampaignResponse};

use super::Rpc;
use crate::{domain::campaign::shown, store::campaigns};

pub(super) async fn handle(
    rpc: &Rpc,
    tenant: &TenantId,
    request: GetCampaignRequest,
) -> Result<GetCampaignResponse, Error> {
    let found = campaigns::find(&rpc.engine.db, tenant, &request.campaign_id).await?;
    let kept = found.ok_or_else(|| Error::not_found("CAMPAIGN_NOT_FOUND", "there is no such campaign"))?;
    Ok(GetCampaignResponse { campaign: Some(shown(kept.campaign, kept.put_us, kept.paused)) })
}

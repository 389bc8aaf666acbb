use kit::{Error, TenantId};
use proto::campaign::v1::{SetCampaignPausedRequest, SetCampaignPausedResponse};

use super::Rpc;
use crate::{domain::campaign::shown, store::campaigns};

pub(super) async fn handle(
    rpc: &Rpc,
    tenant: &TenantId,
    request: SetCampaignPausedRequest,
) -> Result<SetCampaignPausedResponse, Error> {
    let unknown = || Error::not_found("CAMPAIGN_NOT_FOUND", "there is no such campaign");
    let mut tx = rpc.engine.db.begin().await?;
    if !campaigns::pause(&mut tx, tenant, &request.campaign_id, request.paused).await? {
        return Err(unknown());
    }
    tx.commit().await?;

    let kept = campaigns::find(&rpc.engine.db, tenant, &request.campaign_id).await?.ok_or_else(unknown)?;
    Ok(SetCampaignPausedResponse { campaign: Some(shown(kept.campaign, kept.put_us, kept.paused)) })
}

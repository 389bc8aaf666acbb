use kit::{Error, TenantId};
use proto::campaign::v1::{PutCampaignRequest, PutCampaignResponse};

use super::Rpc;
use crate::{
    domain::campaign,
    store::{campaigns, templates},
};

pub(super) async fn handle(
    rpc: &Rpc,
    tenant: &TenantId,
    request: PutCampaignRequest,
) -> Result<PutCampaignResponse, Error> {
    let asked = campaign::check(request.campaign.unwrap_or_default())?;
    if templates::find(&rpc.engine.db, tenant, &asked.template_id).await?.is_none() {
        return Err(Error::failed_precondition("TEMPLATE_NOT_FOUND", "the template of the campaign must be put first"));
    }

    let mut tx = rpc.engine.db.begin().await?;
    campaigns::put(&mut tx, tenant, &asked, rpc.engine.clock.now_us()).await?;
    tx.commit().await?;
    rpc.engine.wake.new_campaign();

    let kept = campaigns::find(&rpc.engine.db, tenant, &asked.campaign_id).await?;
    let campaign = kept.map(|kept| campaign::shown(kept.campaign, kept.put_us, kept.paused));
    Ok(PutCampaignResponse { campaign })
}

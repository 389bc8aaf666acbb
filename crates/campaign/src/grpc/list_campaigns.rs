use kit::{Error, TenantId};
use proto::campaign::v1::{ListCampaignsRequest, ListCampaignsResponse};

use super::{Rpc, page};
use crate::{domain::campaign::shown, store::campaigns};

pub(super) async fn handle(
    rpc: &Rpc,
    tenant: &TenantId,
    request: ListCampaignsRequest,
) -> Result<ListCampaignsResponse, Error> {
    let size = page::size(request.page_size, 100, 1_000)?;
    let after = page::after(&request.page_token)?;
    let mut kept = campaigns::list(&rpc.engine.db, tenant, &after, size + 1).await?;
    let next_page_token = page::cut(&mut kept, size, |kept| kept.campaign.campaign_id.clone());
    let campaigns = kept.into_iter().map(|kept| shown(kept.campaign, kept.put_us, kept.paused)).collect();
    Ok(ListCampaignsResponse { campaigns, next_page_token })
}

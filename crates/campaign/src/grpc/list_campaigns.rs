use kit::{Error, TenantId, Violations, paging};
use proto::campaign::v1::{ListCampaignsRequest, ListCampaignsResponse};

use super::Rpc;
use crate::{domain::campaign::shown, store::campaigns};

pub(super) async fn handle(
    rpc: &Rpc,
    tenant: &TenantId,
    request: ListCampaignsRequest,
) -> Result<ListCampaignsResponse, Error> {
    let mut violations = Violations::new();
    let size = paging::size(request.page_size, 100, 1_000, &mut violations);
    let after = paging::after(&request.page_token, &mut violations);
    violations.finish()?;

    let mut kept = campaigns::list(&rpc.engine.db, tenant, &after, size as i64 + 1).await?;
    let next_page_token = paging::cut(&mut kept, size, |kept| kept.campaign.campaign_id.clone());
    let campaigns = kept.into_iter().map(|kept| shown(kept.campaign, kept.put_us, kept.paused)).collect();
    Ok(ListCampaignsResponse { campaigns, next_page_token })
}

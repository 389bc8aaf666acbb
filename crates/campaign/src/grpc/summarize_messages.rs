use std::collections::BTreeMap;

use kit::{Error, TenantId};
use proto::campaign::v1::{SummarizeMessagesRequest, SummarizeMessagesResponse, summarize_messages_response::Count};

use super::Rpc;
use crate::store::listing;

pub(super) async fn handle(
    rpc: &Rpc,
    tenant: &TenantId,
    _request: SummarizeMessagesRequest,
) -> Result<SummarizeMessagesResponse, Error> {
    // Several stored states may be shown as one.
    let mut summed: BTreeMap<(String, i32, i32), u64> = BTreeMap::new();
    for (campaign_id, state, reason, count) in listing::count(&rpc.engine.db, tenant).await? {
        *summed.entry((campaign_id, state.shown().into(), reason)).or_default() += count;
    }
    let (opened, clicked, unsubscribed) = listing::reactions(&rpc.engine.db, tenant).await?;

    let counts = summed
        .into_iter()
        .map(|((campaign_id, state, reason), count)| Count { campaign_id, state, reason, count })
        .collect();
    Ok(SummarizeMessagesResponse { counts, opened, clicked, unsubscribed })
}

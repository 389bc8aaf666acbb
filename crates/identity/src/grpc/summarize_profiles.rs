use kit::auth::{caller, scope};
use proto::identity::v1::{SummarizeProfilesRequest, SummarizeProfilesResponse};
use tonic::Request;

use crate::{registry::Shared, store as sql};

pub(super) async fn handle(
    shared: &Shared,
    request: Request<SummarizeProfilesRequest>,
) -> Result<SummarizeProfilesResponse, kit::Error> {
    let caller = caller(&request, scope::PROFILES_READ)?;
    let totals = sql::summary(&shared.db, &caller.tenant).await?;
    let count = |total: i64| u64::try_from(total).unwrap_or_default();
    Ok(SummarizeProfilesResponse {
        profiles: count(totals.profiles),
        identified_profiles: count(totals.identified),
        identifiers: count(totals.identifiers),
        merges: count(totals.merges),
        splits: count(totals.splits),
        refused_evidence: count(totals.refused),
        events: count(totals.events),
    })
}

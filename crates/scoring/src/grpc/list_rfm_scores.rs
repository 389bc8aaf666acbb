use std::collections::BTreeMap;

use kit::{Error, TenantId, Violations, paging};
use proto::scoring::v1::list_rfm_scores_response::Entry;
use proto::scoring::v1::{ListRfmScoresRequest, ListRfmScoresResponse};

use crate::domain::rfm::{Cell, SEGMENTS};
use crate::domain::state::State;
use crate::engine::Engine;
use crate::store::{buyers, profiles};
use crate::wire::{rfm, statistics};

/// Lists people with their RFM cells, by profile id.
pub(super) async fn list_rfm_scores(
    engine: &Engine,
    tenant: &TenantId,
    request: ListRfmScoresRequest,
) -> Result<ListRfmScoresResponse, Error> {
    let mut violations = Violations::new();
    let size = paging::size(request.page_size, 100, 10_000, &mut violations);
    let mut after = paging::after(&request.page_token, &mut violations);
    let is_known = request.segment.is_empty() || SEGMENTS.contains(&request.segment.as_str());
    violations.check(is_known, "segment", format!("must be empty or one of {}", SEGMENTS.join(", ")));
    violations.finish()?;

    let cuts = engine.ranks.cuts(&engine.db, tenant).await?;
    let cuts = cuts.at(engine.clock.now_us());
    let mut wanted: Vec<(String, Cell)> = Vec::new();
    let mut has_more = true;
    while has_more && wanted.len() <= size {
        let page = buyers::page(&engine.db, tenant, cuts.currency(), &after).await?;
        has_more = page.has_more;
        if let Some((profile_id, _)) = page.buyers.last() {
            after.clone_from(profile_id);
        }
        let celled = page.buyers.into_iter().map(|(profile_id, buyer)| (profile_id, cuts.cell(buyer)));
        wanted.extend(celled.filter(|(_, cell)| request.segment.is_empty() || cell.segment() == request.segment));
    }
    let next_page_token = paging::cut(&mut wanted, size, |(profile_id, _)| profile_id.clone());

    let profile_ids: Vec<&str> = wanted.iter().map(|(profile_id, _)| profile_id.as_str()).collect();
    let found = profiles::find_all(&engine.db, tenant, &profile_ids).await?;
    let states: BTreeMap<String, State> = found.into_iter().collect();
    let entry = |(profile_id, cell): (String, Cell)| {
        // Somebody may have been merged away between the two reads.
        let statistics = statistics(&states.get(&profile_id)?.stats);
        Some(Entry { profile_id, rfm: Some(rfm(cell)), statistics: Some(statistics) })
    };
    Ok(ListRfmScoresResponse { entries: wanted.into_iter().filter_map(entry).collect(), next_page_token })
}

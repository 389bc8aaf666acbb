use kit::auth::{caller, scope};
use kit::{Error, Violations};
use proto::ingestion::v1::{DeadLetterFilter, DiscardDeadLettersRequest, DiscardDeadLettersResponse};
use tonic::Request;

use super::letter_filter;
use crate::app::App;
use crate::store::dead_letters;

/// Most that one call removes.
const MOST: usize = 500;

/// Removes dead letters for good, by id or by filter.
pub(super) async fn discard_dead_letters(
    app: &App,
    request: Request<DiscardDeadLettersRequest>,
) -> Result<DiscardDeadLettersResponse, Error> {
    let tenant = caller(&request, scope::SOURCES_WRITE)?.tenant;
    let DiscardDeadLettersRequest { dead_letter_ids: ids, filter } = request.into_inner();
    let mut violations = Violations::new();
    match &filter {
        None => {
            violations.check((1..=MOST).contains(&ids.len()), "dead_letter_ids", format!("must be 1 to {MOST}"));
        }
        Some(filter) => {
            violations.check(ids.is_empty(), "dead_letter_ids", "must be empty beside a filter");
            // What is gone is gone: everything must be said, not left out.
            violations.check(*filter != DeadLetterFilter::default(), "filter", "must set at least one part");
        }
    }
    let filter = filter.map(|filter| letter_filter::parse(Some(filter), &mut violations));
    violations.finish()?;

    let mut tx = app.db.begin().await?;
    let discarded = match &filter {
        Some(filter) => dead_letters::delete_oldest(&mut tx, &tenant, filter, MOST as i64).await?,
        None => dead_letters::delete(&mut tx, &tenant, &ids).await?,
    };
    tx.commit().await?;
    Ok(DiscardDeadLettersResponse { discarded: u32::try_from(discarded).expect("at most 500 are removed") })
}

use kit::Error;
use kit::auth::{caller, scope};
use proto::ingestion::v1::{DiscardDeadLettersRequest, DiscardDeadLettersResponse};
use tonic::Request;

use crate::app::App;
use crate::store::dead_letters;

/// Removes dead letters for good.
pub(super) async fn discard_dead_letters(
    app: &App,
    request: Request<DiscardDeadLettersRequest>,
) -> Result<DiscardDeadLettersResponse, Error> {
    let caller = caller(&request, scope::SOURCES_WRITE)?;
    let ids = request.into_inner().dead_letter_ids;
    if !(1..=500).contains(&ids.len()) {
        return Err(Error::violations([("dead_letter_ids", "must be 1 to 500")]));
    }
    let mut tx = app.db.begin().await?;
    let discarded = dead_letters::delete(&mut tx, &caller.tenant, &ids).await?;
    tx.commit().await?;
    Ok(DiscardDeadLettersResponse { discarded: u32::try_from(discarded).expect("at most 500 were named") })
}

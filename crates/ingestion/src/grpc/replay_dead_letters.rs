use kit::Error;
use kit::auth::{caller, scope};
use proto::ingestion::v1::{ReplayDeadLettersRequest, ReplayDeadLettersResponse};
use tonic::Request;

use crate::app::App;
use crate::door::replay;

/// Sends dead letters through the front door again.
pub(super) async fn replay_dead_letters(
    app: &App,
    request: Request<ReplayDeadLettersRequest>,
) -> Result<ReplayDeadLettersResponse, Error> {
    let caller = caller(&request, scope::SOURCES_WRITE)?;
    let items = request.into_inner().items;
    if !(1..=500).contains(&items.len()) {
        return Err(Error::violations([("items", "must be 1 to 500")]));
    }
    let verdicts = replay::replay(app, &caller.tenant, items).await?;
    Ok(ReplayDeadLettersResponse { verdicts })
}

use kit::Error;
use kit::auth::{caller, scope};
use proto::ingestion::v1::{GetSourceRequest, GetSourceResponse};
use tonic::Request;

use super::render;
use crate::app::{App, source_not_found};
use crate::store::{controls, sources, write_keys};

/// Returns one source.
pub(super) async fn get_source(app: &App, request: Request<GetSourceRequest>) -> Result<GetSourceResponse, Error> {
    let caller = caller(&request, scope::SOURCES_WRITE)?;
    let source_id = request.into_inner().source_id;
    let found = sources::find(&app.db, &caller.tenant, &source_id).await?;
    let row = found.ok_or_else(source_not_found)?;
    let keys = write_keys::list(&app.db, &caller.tenant, &[&source_id]).await?;
    let held = controls::find(&app.db, &caller.tenant, &source_id).await?;
    Ok(GetSourceResponse { source: Some(render::source(row, &keys, Some(&held))) })
}

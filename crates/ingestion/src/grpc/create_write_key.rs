use kit::Error;
use kit::auth::{caller, scope};
use proto::ingestion::v1::{CreateWriteKeyRequest, CreateWriteKeyResponse};
use tonic::Request;

use super::render;
use crate::app::App;

/// Adds a write key to a source.
pub(super) async fn create_write_key(
    app: &App,
    request: Request<CreateWriteKeyRequest>,
) -> Result<CreateWriteKeyResponse, Error> {
    let caller = caller(&request, scope::SOURCES_WRITE)?;
    let (key, secret) = app.make_key(&caller.tenant, &request.into_inner().source_id).await?;
    Ok(CreateWriteKeyResponse { write_key: Some(render::write_key(&key)), secret })
}

use kit::Error;
use kit::auth::{caller, scope};
use proto::ingestion::v1::{RevokeWriteKeyRequest, RevokeWriteKeyResponse};
use tonic::Request;

use crate::app::App;
use crate::store::write_keys;

/// Ends a write key: here at once, at other replicas as soon as their caches ask again.
pub(super) async fn revoke_write_key(
    app: &App,
    request: Request<RevokeWriteKeyRequest>,
) -> Result<RevokeWriteKeyResponse, Error> {
    let caller = caller(&request, scope::SOURCES_WRITE)?;
    let write_key_id = request.into_inner().write_key_id;
    let mut tx = app.db.begin().await?;
    let hash = write_keys::revoke(&mut tx, &caller.tenant, &write_key_id, app.clock.now_us()).await?;
    tx.commit().await?;

    let hash = hash.ok_or_else(|| Error::not_found("WRITE_KEY_NOT_FOUND", "the tenant has no such write key"))?;
    if let Ok(hash) = hash.as_slice().try_into() {
        app.directory.forget_key(&hash);
    }
    Ok(RevokeWriteKeyResponse {})
}

use kit::{Error, TenantId, Violations};
use proto::scoring::v1::{DeleteSegmentRequest, DeleteSegmentResponse};

use super::segment::{self, check_segment_id};
use crate::engine::Engine;
use crate::store::{segments, shards};

/// Deletes a segment; nobody is told.
pub(super) async fn delete_segment(
    engine: &Engine,
    tenant: &TenantId,
    request: DeleteSegmentRequest,
) -> Result<DeleteSegmentResponse, Error> {
    let mut violations = Violations::new();
    check_segment_id(&request.segment_id, "segment_id", &mut violations);
    violations.finish()?;

    let mut tx = engine.db.begin().await?;
    if segments::find_in(&mut tx, tenant, &request.segment_id).await?.is_none() {
        return Ok(DeleteSegmentResponse {});
    }
    // Whoever is judging by the old rules ends first, so that no member is written after the members are removed.
    shards::lock_all(&mut tx, tenant).await?;
    shards::next_rules_version(&mut tx, tenant).await?;
    segments::remove(&mut tx, tenant, &request.segment_id).await?;
    segment::note_what_is_read(&mut tx, tenant).await?;
    tx.commit().await?;
    engine.wake_keeper();
    Ok(DeleteSegmentResponse {})
}

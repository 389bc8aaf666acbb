use kit::auth::{caller, scope};
use kit::{Error, Violations};
use proto::ingestion::v1::{SetSourceQuotaRequest, SetSourceQuotaResponse};
use tonic::Request;

use crate::app::App;
use crate::domain::quota::Quota;
use crate::store::controls;

/// Sets how much a source may send: here at once, at other replicas as soon as their caches ask again.
pub(super) async fn set_source_quota(
    app: &App,
    request: Request<SetSourceQuotaRequest>,
) -> Result<SetSourceQuotaResponse, Error> {
    let tenant = caller(&request, scope::SOURCES_WRITE)?.tenant;
    let SetSourceQuotaRequest { source_id, quota } = request.into_inner();
    let asked = quota.unwrap_or_default();
    let quota = Quota { events_per_second: asked.events_per_second, bytes_per_second: asked.bytes_per_second };
    let mut violations = Violations::new();
    let events_fit = quota.events_per_second <= Quota::MAX_EVENTS;
    violations.check(events_fit, "quota.events_per_second", "must be at most 10,000,000");
    let bytes_fit = quota.bytes_per_second <= Quota::MAX_BYTES;
    violations.check(bytes_fit, "quota.bytes_per_second", format!("must be at most {}", Quota::MAX_BYTES));
    violations.finish()?;
    app.source(&tenant, &source_id).await?;

    let mut tx = app.db.begin().await?;
    controls::put_quota(&mut tx, &tenant, &source_id, quota).await?;
    tx.commit().await?;
    app.directory.forget_controls(&tenant, &source_id);
    app.quotas.forget(&tenant, &source_id);
    Ok(SetSourceQuotaResponse { quota: quota.to_wire() })
}

use kit::Violations;
use proto::log::v1::{ReportProgressRequest, ReportProgressResponse};

use super::follow::{check_follower, parse_cursors};
use crate::log::EventLog;
use crate::store::followers;

pub(super) async fn report_progress(
    log: &EventLog,
    request: ReportProgressRequest,
) -> Result<ReportProgressResponse, kit::Error> {
    let mut violations = Violations::new();
    check_follower(&mut violations, &request.follower);
    let cursors = parse_cursors(&mut violations, &request.cursors);
    violations.finish()?;

    let mut tx = log.inner.db.begin().await?;
    let now_us = log.inner.clock.now_us();
    followers::report(&mut tx, log.inner.name, &request.follower, &cursors, now_us).await?;
    tx.commit().await?;
    Ok(ReportProgressResponse {})
}

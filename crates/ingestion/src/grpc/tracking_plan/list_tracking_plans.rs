use kit::auth::{caller, scope};
use kit::{Error, Violations, paging};
use proto::ingestion::v1::{ListTrackingPlansRequest, ListTrackingPlansResponse, TrackingPlan};
use tonic::Request;

use crate::app::App;
use crate::plans::stored;
use crate::store::plans;

/// Lists plans by source id.
pub(super) async fn list_tracking_plans(
    app: &App,
    request: Request<ListTrackingPlansRequest>,
) -> Result<ListTrackingPlansResponse, Error> {
    let tenant = caller(&request, scope::SOURCES_WRITE)?.tenant;
    let request = request.into_inner();
    // A plan has up to 1 MiB, and a page must fit into a message.
    let mut violations = Violations::new();
    let size = paging::size(request.page_size, 10, 20, &mut violations);
    let after = paging::after(&request.page_token, &mut violations);
    violations.finish()?;

    let mut rows = plans::list_after(&app.db, &tenant, &after, size as i64 + 1).await?;
    let next_page_token = paging::cut(&mut rows, size, |last| last.source_id.clone());
    let plans: Vec<TrackingPlan> = rows.into_iter().map(stored).collect::<Result<_, _>>()?;
    Ok(ListTrackingPlansResponse { plans, next_page_token })
}

use kit::Error;
use kit::auth::{caller, scope};
use proto::ingestion::v1::summarize_events_response::SourceSummary;
use proto::ingestion::v1::{SummarizeEventsRequest, SummarizeEventsResponse};
use tonic::Request;

use crate::app::{App, source_not_found};
use crate::store::counts::{self, Counts};

/// Counts what the sources sent.
pub(super) async fn summarize_events(
    app: &App,
    request: Request<SummarizeEventsRequest>,
) -> Result<SummarizeEventsResponse, Error> {
    let caller = caller(&request, scope::EVENTS_WRITE)?;
    let source_id = request.into_inner().source_id;
    let counts = counts::list(&app.db, &caller.tenant, &source_id).await?;
    if counts.is_empty() && !source_id.is_empty() {
        return Err(source_not_found());
    }
    Ok(SummarizeEventsResponse { sources: counts.into_iter().map(summary).collect() })
}

fn summary((source_id, counts): (String, Counts)) -> SourceSummary {
    SourceSummary {
        source_id,
        accepted: counts.accepted.unsigned_abs(),
        duplicate: counts.duplicate.unsigned_abs(),
        quarantined: counts.quarantined.unsigned_abs(),
        bot: counts.bot.unsigned_abs(),
        late: counts.late.unsigned_abs(),
        invalid: counts.invalid.unsigned_abs(),
        off_plan: counts.off_plan.unsigned_abs(),
    }
}

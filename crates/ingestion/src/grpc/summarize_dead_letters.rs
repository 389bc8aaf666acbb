use kit::Error;
use kit::auth::{caller, scope};
use proto::ingestion::v1::summarize_dead_letters_response::Waiting;
use proto::ingestion::v1::{SummarizeDeadLettersRequest, SummarizeDeadLettersResponse};
use tonic::Request;

use crate::app::App;
use crate::store::letter_care::{self, WaitingRow};
use kit::time::timestamp;

const MOST: i64 = 1_000;

/// Counts the dead letters that wait.
pub(super) async fn summarize_dead_letters(
    app: &App,
    request: Request<SummarizeDeadLettersRequest>,
) -> Result<SummarizeDeadLettersResponse, Error> {
    let tenant = caller(&request, scope::SOURCES_WRITE)?.tenant;
    let rows = letter_care::summarize(&app.db, &tenant, &request.into_inner().source_id, MOST).await?;
    Ok(SummarizeDeadLettersResponse { waiting: rows.into_iter().map(render).collect() })
}

fn render(row: WaitingRow) -> Waiting {
    Waiting {
        source_id: row.source_id,
        reason: row.reason,
        count: row.letters.unsigned_abs(),
        unread: row.unread.unsigned_abs(),
        oldest_time: Some(timestamp(row.oldest_us)),
    }
}

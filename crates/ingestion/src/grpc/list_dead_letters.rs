use std::time::Duration;

use kit::auth::{caller, scope};
use kit::{Error, TenantId, Violations, paging};
use proto::ingestion::v1::{DeadLetter, ListDeadLettersRequest, ListDeadLettersResponse};
use tonic::Request;

use super::letter_filter;
use crate::app::App;
use crate::store::dead_letters::{self, DeadLetterRow, Order};
use crate::store::letter_care;
use kit::time::timestamp;

/// How long a list waits for the note that it was read.
const NOTE_TIMEOUT: Duration = Duration::from_secs(2);

/// Lists dead letters, newest first, and notes that they were read.
pub(super) async fn list_dead_letters(
    app: &App,
    request: Request<ListDeadLettersRequest>,
) -> Result<ListDeadLettersResponse, Error> {
    let tenant = caller(&request, scope::SOURCES_WRITE)?.tenant;
    let request = request.into_inner();
    let mut violations = Violations::new();
    let size = paging::size(request.page_size, 50, 500, &mut violations);
    let beyond = letter_filter::place(&request.page_token, Order::NewestFirst, &mut violations);
    let mut filter = letter_filter::parse(request.filter, &mut violations);
    violations.finish()?;
    for (part, asked) in [(&mut filter.source_id, request.source_id), (&mut filter.reason, request.reason)] {
        if part.is_empty() {
            *part = asked;
        } else if !asked.is_empty() && *part != asked {
            return Ok(ListDeadLettersResponse::default());
        }
    }

    let mut rows = dead_letters::list(&app.db, &tenant, &filter, Order::NewestFirst, &beyond, size as i64 + 1).await?;
    let next_page_token = letter_filter::cut(&mut rows, size);
    mark_read(app, &tenant, &rows).await;
    let dead_letters = rows.into_iter().map(|row| render(row, app.dead_letter_life_us)).collect();
    Ok(ListDeadLettersResponse { dead_letters, next_page_token })
}

/// A list is worth answering even when the note cannot be made.
async fn mark_read(app: &App, tenant: &TenantId, rows: &[DeadLetterRow]) {
    let ids: Vec<&str> = rows.iter().map(|row| row.dead_letter_id.as_str()).collect();
    if ids.is_empty() {
        return;
    }
    let noted = async {
        let mut tx = app.db.begin().await?;
        letter_care::mark_read(&mut tx, tenant, &ids, app.clock.now_us()).await?;
        tx.commit().await
    };
    match tokio::time::timeout(NOTE_TIMEOUT, noted).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => {
            tracing::warn!(error = &error as &dyn std::error::Error, "dead letters were read, and that was not noted");
        }
        Err(_) => tracing::warn!("dead letters were read, and that was not noted: the store is slow"),
    }
}

fn render(row: DeadLetterRow, life_us: Option<i64>) -> DeadLetter {
    DeadLetter {
        expire_time: life_us.map(|life_us| timestamp(row.receive_us.saturating_add(life_us))),
        dead_letter_id: row.dead_letter_id,
        source_id: row.source_id,
        reason: row.reason,
        message: row.message,
        payload: row.payload.into(),
        encoding: i32::try_from(row.encoding).unwrap_or_default(),
        library: row.library,
        receive_time: Some(timestamp(row.receive_us)),
        event_name: row.event_name,
    }
}

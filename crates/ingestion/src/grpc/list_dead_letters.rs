use kit::auth::{caller, scope};
use kit::{Error, Violations, paging};
use proto::ingestion::v1::{DeadLetter, ListDeadLettersRequest, ListDeadLettersResponse};
use tonic::Request;

use crate::app::App;
use crate::store::dead_letters::{self, DeadLetterRow, Place};

/// Payloads of one page, unless a single one is larger: a page must fit into a message.
const PAGE_BYTES: usize = 16 << 20;

/// Lists dead letters, newest first.
pub(super) async fn list_dead_letters(
    app: &App,
    request: Request<ListDeadLettersRequest>,
) -> Result<ListDeadLettersResponse, Error> {
    let tenant = caller(&request, scope::SOURCES_WRITE)?.tenant;
    let request = request.into_inner();
    let mut violations = Violations::new();
    let size = paging::size(request.page_size, 50, 500, &mut violations);
    let before = paging::place(&request.page_token, place, &mut violations);
    violations.finish()?;

    let before = before.unwrap_or_else(|| Place { receive_us: i64::MAX, dead_letter_id: String::new() });
    let (source_id, reason) = (&request.source_id, &request.reason);
    let mut rows = dead_letters::list(&app.db, &tenant, source_id, reason, &before, size as i64 + 1).await?;
    let size = fitting(&rows).min(size);
    let next_page_token = paging::cut(&mut rows, size, |last| format!("{}:{}", last.receive_us, last.dead_letter_id));
    Ok(ListDeadLettersResponse { dead_letters: rows.into_iter().map(render).collect(), next_page_token })
}

fn fitting(rows: &[DeadLetterRow]) -> usize {
    let mut bytes = 0;
    let beyond = rows.iter().position(|row| {
        bytes += row.payload.len();
        bytes > PAGE_BYTES
    });
    beyond.unwrap_or(rows.len()).max(1)
}

fn place(key: &str) -> Option<Place> {
    let (receive_us, dead_letter_id) = key.split_once(':')?;
    Some(Place { receive_us: receive_us.parse().ok()?, dead_letter_id: dead_letter_id.to_owned() })
}

fn render(row: DeadLetterRow) -> DeadLetter {
    DeadLetter {
        dead_letter_id: row.dead_letter_id,
        source_id: row.source_id,
        reason: row.reason,
        message: row.message,
        payload: row.payload.into(),
        encoding: i32::try_from(row.encoding).unwrap_or_default(),
        library: row.library,
        receive_time: Some(kit::time::timestamp(row.receive_us)),
    }
}

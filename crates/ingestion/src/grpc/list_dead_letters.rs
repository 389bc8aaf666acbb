use kit::Error;
use kit::auth::{caller, scope};
use proto::ingestion::v1::{DeadLetter, ListDeadLettersRequest, ListDeadLettersResponse};
use tonic::Request;

use super::paging;
use crate::app::App;
use crate::domain::instant::to_timestamp;
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
    let size = paging::page_size(request.page_size, 50, 500)?;
    let before = place(&request.page_token)?;

    let (source_id, reason) = (&request.source_id, &request.reason);
    let mut rows = dead_letters::list(&app.db, &tenant, source_id, reason, &before, size as i64 + 1).await?;
    let all = rows.len();
    rows.truncate(fitting(&rows).min(size));
    let next_page_token = match rows.last() {
        Some(last) if rows.len() < all => paging::token(&format!("{}:{}", last.receive_us, last.dead_letter_id)),
        _ => String::new(),
    };
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

fn place(token: &str) -> Result<Place, Error> {
    let Some(place) = paging::place(token)? else {
        return Ok(Place { receive_us: i64::MAX, dead_letter_id: String::new() });
    };
    let (receive_us, dead_letter_id) = place.split_once(':').ok_or_else(paging::invalid_token)?;
    let receive_us = receive_us.parse().map_err(|_| paging::invalid_token())?;
    Ok(Place { receive_us, dead_letter_id: dead_letter_id.to_owned() })
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
        receive_time: Some(to_timestamp(row.receive_us)),
    }
}

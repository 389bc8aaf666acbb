use kit::auth::{caller, scope};
use kit::{Error, Violations, paging};
use proto::ingestion::v1::{MendDeadLettersRequest, MendDeadLettersResponse};
use tonic::Request;

use super::letter_filter;
use crate::app::App;
use crate::domain::mend::Edits;
use crate::door::mend;
use crate::store::dead_letters::{self, Order};

/// Mends dead letters by one rule and replays them, oldest first.
pub(super) async fn mend_dead_letters(
    app: &App,
    request: Request<MendDeadLettersRequest>,
) -> Result<MendDeadLettersResponse, Error> {
    let tenant = caller(&request, scope::SOURCES_WRITE)?.tenant;
    let request = request.into_inner();
    let mut violations = Violations::new();
    let size = paging::size(request.page_size, 100, 500, &mut violations);
    let beyond = letter_filter::place(&request.page_token, Order::OldestFirst, &mut violations);
    let filter = letter_filter::parse(request.filter, &mut violations);
    let edits = Edits::parse(request.edits, &mut violations);
    violations.finish()?;

    let mut rows = dead_letters::list(&app.db, &tenant, &filter, Order::OldestFirst, &beyond, size as i64 + 1).await?;
    let next_page_token = letter_filter::cut(&mut rows, size);
    let mended = mend::mend(app, &tenant, rows, &edits, request.dry_run).await?;
    Ok(MendDeadLettersResponse { mended, next_page_token })
}

use kit::auth::{caller, scope};
use kit::{Error, Violations, paging};
use proto::ingestion::v1::{ListViolationsRequest, ListViolationsResponse, Violation};
use tonic::Request;

use crate::app::App;
use crate::store::violations::{self, Place, ViolationRow};
use kit::time::timestamp;

/// Lists what broke the plan of a source.
pub(super) async fn list_violations(
    app: &App,
    request: Request<ListViolationsRequest>,
) -> Result<ListViolationsResponse, Error> {
    let tenant = caller(&request, scope::SOURCES_WRITE)?.tenant;
    let request = request.into_inner();
    let mut violations = Violations::new();
    let size = paging::size(request.page_size, 100, 1_000, &mut violations);
    let place = |key: &str| serde_json::from_str(key).ok();
    let after: Place = paging::place(&request.page_token, place, &mut violations).unwrap_or_default();
    violations.finish()?;
    let source_id = app.source(&tenant, &request.source_id).await?.source_id.clone();

    let filters = [source_id.as_str(), &request.event_name, &request.library];
    let mut rows = violations::list_after(&app.db, &tenant, filters, &after, size as i64 + 1).await?;
    let next_page_token = paging::cut(&mut rows, size, key);
    let violations = rows.into_iter().map(|row| render(row, &source_id)).collect();
    Ok(ListViolationsResponse { violations, next_page_token })
}

fn key(row: &ViolationRow) -> String {
    let place: [&str; 4] = [&row.event_name, &row.field, &row.rule, &row.library];
    serde_json::to_string(&place).expect("four texts are JSON")
}

fn render(row: ViolationRow, source_id: &str) -> Violation {
    Violation {
        source_id: source_id.to_owned(),
        event_name: row.event_name,
        field: row.field,
        rule: row.rule,
        library: row.library,
        count: row.violations.unsigned_abs(),
        first_time: Some(timestamp(row.first_us)),
        last_time: Some(timestamp(row.last_us)),
    }
}

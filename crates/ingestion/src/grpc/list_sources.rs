use kit::auth::{caller, scope};
use kit::{Error, Violations, paging};
use proto::ingestion::v1::{ListSourcesRequest, ListSourcesResponse};
use tonic::Request;

use super::render;
use crate::app::App;
use crate::store::sources::{self, SourceRow};
use crate::store::{controls, write_keys};

/// Lists sources by name.
pub(super) async fn list_sources(
    app: &App,
    request: Request<ListSourcesRequest>,
) -> Result<ListSourcesResponse, Error> {
    let tenant = caller(&request, scope::SOURCES_WRITE)?.tenant;
    let request = request.into_inner();
    let mut violations = Violations::new();
    let size = paging::size(request.page_size, 100, 1_000, &mut violations);
    let after = paging::after(&request.page_token, &mut violations);
    violations.finish()?;

    let mut rows = sources::list_after(&app.db, &tenant, &after, size as i64 + 1).await?;
    let next_page_token = paging::cut(&mut rows, size, |last| last.name.clone());
    let ids: Vec<&str> = rows.iter().map(|row| row.source_id.as_str()).collect();
    let keys = write_keys::list(&app.db, &tenant, &ids).await?;
    let controls = controls::list(&app.db, &tenant, &ids).await?;
    let render = |row: SourceRow| {
        let held = controls.get(&row.source_id);
        render::source(row, &keys, held)
    };
    let sources = rows.into_iter().map(render).collect();
    Ok(ListSourcesResponse { sources, next_page_token })
}

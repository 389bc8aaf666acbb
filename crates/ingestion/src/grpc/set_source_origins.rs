use kit::auth::{caller, scope};
use kit::{Error, Origins, Violations};
use proto::ingestion::v1::{SetSourceOriginsRequest, SetSourceOriginsResponse};
use tonic::Request;

use crate::app::App;
use crate::store::controls;

/// Sets from which sites browsers may send: here at once, at other replicas as soon as their caches ask again.
pub(super) async fn set_source_origins(
    app: &App,
    request: Request<SetSourceOriginsRequest>,
) -> Result<SetSourceOriginsResponse, Error> {
    let tenant = caller(&request, scope::SOURCES_WRITE)?.tenant;
    let SetSourceOriginsRequest { source_id, allowed_origins } = request.into_inner();
    let mut violations = Violations::new();
    let few = allowed_origins.len() <= Origins::MAX;
    violations.check(few, "allowed_origins", format!("must be at most {}", Origins::MAX));
    let origins = Origins::parse(&allowed_origins).unwrap_or_else(|wrong| {
        for index in wrong {
            let rule =
                "must be scheme://host or scheme://host:port of at most 255 characters, like https://shop.example";
            violations.add(format!("allowed_origins[{index}]"), rule);
        }
        Origins::default()
    });
    violations.finish()?;
    app.source(&tenant, &source_id).await?;

    let mut tx = app.db.begin().await?;
    controls::put_origins(&mut tx, &tenant, &source_id, &origins).await?;
    tx.commit().await?;
    app.directory.forget_controls(&tenant, &source_id);
    Ok(SetSourceOriginsResponse { allowed_origins: origins.list().to_vec() })
}

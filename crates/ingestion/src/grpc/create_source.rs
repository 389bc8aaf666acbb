use kit::auth::{caller, scope};
use kit::{Error, Violations};
use proto::event::v1::{Medium, Party};
use proto::ingestion::v1::{CreateSourceRequest, CreateSourceResponse};
use tonic::Request;
use uuid::Uuid;

use super::render;
use crate::app::App;
use crate::domain::limits::fits;
use crate::domain::write_key;
use crate::registry::NewSource;
use kit::Currency;

/// Creates a source with its first write key.
pub(super) async fn create_source(
    app: &App,
    request: Request<CreateSourceRequest>,
) -> Result<CreateSourceResponse, Error> {
    let caller = caller(&request, scope::SOURCES_WRITE)?;
    let new = parse(request.into_inner())?;
    let made = app.make_source(&caller.tenant, new).await?;
    Ok(CreateSourceResponse { source: Some(render::source(made.source, &made.keys, None)), write_key: made.secret })
}

fn parse(request: CreateSourceRequest) -> Result<NewSource, Error> {
    let CreateSourceRequest { request_id, source, write_key } = request;
    let source = source.unwrap_or_default();
    let currency = source.default_currency.trim();
    let is_plain = |text: &str, limit| fits(text, limit) && !text.contains('\0');

    let mut violations = Violations::new();
    violations.check(
        !source.name.is_empty() && is_plain(&source.name, 100),
        "source.name",
        "must be 1 to 100 characters",
    );
    violations.check(is_plain(&source.kind, 64), "source.kind", "must be at most 64 characters");
    violations.check(Party::try_from(source.party).is_ok(), "source.party", "must be a known value");
    violations.check(Medium::try_from(source.medium).is_ok(), "source.medium", "must be a known value");
    violations.check(
        currency.is_empty() || Currency::parse(currency).is_some(),
        "source.default_currency",
        "must be an active code of ISO 4217",
    );
    violations.check(
        write_key.is_empty() || write_key::is_well_formed(&write_key),
        "write_key",
        "must be 8 to 100 characters of [A-Za-z0-9_-]",
    );
    let is_uuid = request_id.is_empty() || Uuid::parse_str(&request_id).is_ok();
    violations.check(is_uuid, "request_id", "must be a UUID");
    violations.finish()?;

    Ok(NewSource {
        default_currency: Currency::parse(currency).map(Currency::code).unwrap_or_default().to_owned(),
        name: source.name,
        kind: source.kind,
        party: source.party,
        medium: source.medium,
        write_key,
        request_id: (!request_id.is_empty()).then(|| request_id.to_ascii_lowercase()),
    })
}

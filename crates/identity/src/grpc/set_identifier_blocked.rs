use kit::{
    Violations,
    auth::{caller, scope},
};
use proto::identity::v1::{SetIdentifierBlockedRequest, SetIdentifierBlockedResponse};
use tonic::Request;

use super::parse;
use crate::{
    registry::{Registry, Shared},
    store::Decision,
};

pub(super) async fn handle(
    shared: &Shared,
    request: Request<SetIdentifierBlockedRequest>,
) -> Result<SetIdentifierBlockedResponse, kit::Error> {
    let caller = caller(&request, scope::PROFILES_WRITE)?;
    let request = request.into_inner();
    let mut violations = Violations::new();
    let ident = parse::identifier(request.identifier.as_ref(), "identifier", &shared.rules, &mut violations);
    parse::reason(&request.reason, &mut violations);
    violations.finish()?;
    let Some(ident) = ident else {
        return Err(kit::Error::invalid("IDENTIFIER_REQUIRED", "an identifier is needed"));
    };

    let decision =
        Decision { reason: &request.reason, subject: &caller.subject, decide_time_us: shared.clock.now_us() };
    let mut registry = Registry::new(shared.clone(), caller.tenant);
    let mut tx = shared.db.begin().await?;
    let outcome = registry.set_blocked(&mut tx, &ident, request.blocked, &decision).await?;
    tx.commit().await?;
    Ok(SetIdentifierBlockedResponse { profile_ids: outcome.profiles.iter().map(ToString::to_string).collect() })
}

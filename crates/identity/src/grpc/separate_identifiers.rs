use kit::{
    Violations,
    auth::{caller, scope},
};
use proto::identity::v1::{SeparateIdentifiersRequest, SeparateIdentifiersResponse};
use tonic::Request;

use super::parse;
use crate::{
    registry::{Registry, Separated, Shared},
    store::Decision,
};

pub(super) async fn handle(
    shared: &Shared,
    request: Request<SeparateIdentifiersRequest>,
) -> Result<SeparateIdentifiersResponse, kit::Error> {
    let caller = caller(&request, scope::PROFILES_WRITE)?;
    let request = request.into_inner();
    let mut violations = Violations::new();
    let first = parse::identifier(request.first.as_ref(), "first", &shared.rules, &mut violations);
    let second = parse::identifier(request.second.as_ref(), "second", &shared.rules, &mut violations);
    parse::reason(&request.reason, &mut violations);
    if let (Some(first), Some(second)) = (&first, &second) {
        violations.check(first.key != second.key, "second", "must be another identifier than first");
    }
    violations.finish()?;
    let (Some(first), Some(second)) = (first, second) else {
        return Err(kit::Error::invalid("IDENTIFIER_REQUIRED", "two identifiers are needed"));
    };

    let decision =
        Decision { reason: &request.reason, subject: &caller.subject, decide_time_us: shared.clock.now_us() };
    let mut registry = Registry::new(shared.clone(), caller.tenant);
    let mut tx = shared.db.begin().await?;
    match registry.separate(&mut tx, &first, &second, &decision).await? {
        Separated::Apart(first, second) => {
            tx.commit().await?;
            Ok(SeparateIdentifiersResponse {
                first_profile_id: first.to_string(),
                second_profile_id: second.to_string(),
            })
        }
        Separated::Unknown => {
            tx.rollback().await?;
            Err(kit::Error::not_found("IDENTIFIER_NOT_FOUND", "one of the identifiers was never seen"))
        }
    }
}

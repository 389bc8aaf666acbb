use kit::{
    Violations,
    auth::{caller, scope},
};
use proto::identity::v1::{ExplainLinkRequest, ExplainLinkResponse};
use tonic::Request;

use super::parse;
use crate::{domain::explain::explain, registry::Shared, render};

pub(super) async fn handle(
    shared: &Shared,
    request: Request<ExplainLinkRequest>,
) -> Result<ExplainLinkResponse, kit::Error> {
    let caller = caller(&request, scope::PROFILES_READ)?;
    let request = request.into_inner();
    let mut violations = Violations::new();
    let first = parse::identifier(request.first.as_ref(), "first", &shared.rules, &mut violations);
    let second = parse::identifier(request.second.as_ref(), "second", &shared.rules, &mut violations);
    violations.finish()?;
    let (Some(first), Some(second)) = (first, second) else {
        return Err(kit::Error::invalid("IDENTIFIER_REQUIRED", "two identifiers are needed"));
    };

    let policy = shared.policy(&caller.tenant).await?;
    let one = shared.component_of(&caller.tenant, first.key).await?;
    let other = shared.component_of(&caller.tenant, second.key).await?;
    let explanation = explain(&first, &second, [one.as_ref(), other.as_ref()], &policy);
    Ok(ExplainLinkResponse {
        linked: explanation.linked,
        path: explanation.path.iter().map(render::finding).collect(),
        refused: explanation.refused.iter().map(render::finding).collect(),
        summary: explanation.summary,
    })
}

//! Consent policies: parse, call, render.

use kit::auth::{caller, scope};
use kit::{Error, Violations, paging};
use proto::ingestion::v1::consent_service_server::ConsentService;
use proto::ingestion::v1::summarize_consent_response::SourceSummary;
use proto::ingestion::v1::{
    DeleteConsentPolicyRequest, DeleteConsentPolicyResponse, ExplainConsentRequest, ExplainConsentResponse,
    GetConsentPolicyRequest, GetConsentPolicyResponse, ListConsentPoliciesRequest, ListConsentPoliciesResponse,
    PutConsentPolicyRequest, PutConsentPolicyResponse, SummarizeConsentRequest, SummarizeConsentResponse,
};
use tonic::{Request, Response, Status};

use super::Rpc;
use crate::app::App;
use crate::directory::policy_of;
use crate::store::{consent_counts, consent_policies};

#[tonic::async_trait]
impl ConsentService for Rpc {
    async fn put_consent_policy(
        &self,
        request: Request<PutConsentPolicyRequest>,
    ) -> Result<Response<PutConsentPolicyResponse>, Status> {
        Ok(Response::new(put(&self.app, request).await?))
    }

    async fn get_consent_policy(
        &self,
        request: Request<GetConsentPolicyRequest>,
    ) -> Result<Response<GetConsentPolicyResponse>, Status> {
        Ok(Response::new(get(&self.app, request).await?))
    }

    async fn list_consent_policies(
        &self,
        request: Request<ListConsentPoliciesRequest>,
    ) -> Result<Response<ListConsentPoliciesResponse>, Status> {
        Ok(Response::new(list(&self.app, request).await?))
    }

    async fn delete_consent_policy(
        &self,
        request: Request<DeleteConsentPolicyRequest>,
    ) -> Result<Response<DeleteConsentPolicyResponse>, Status> {
        Ok(Response::new(delete(&self.app, request).await?))
    }

    async fn explain_consent(
        &self,
        request: Request<ExplainConsentRequest>,
    ) -> Result<Response<ExplainConsentResponse>, Status> {
        Ok(Response::new(explain(&self.app, request).await?))
    }

    async fn summarize_consent(
        &self,
        request: Request<SummarizeConsentRequest>,
    ) -> Result<Response<SummarizeConsentResponse>, Status> {
        Ok(Response::new(summarize(&self.app, request).await?))
    }
}

/// Puts the policy of a source, or of the tenant.
async fn put(app: &App, request: Request<PutConsentPolicyRequest>) -> Result<PutConsentPolicyResponse, Error> {
    let tenant = caller(&request, scope::SOURCES_WRITE)?.tenant;
    let policy = request.into_inner().policy.ok_or_else(|| Error::violations([("policy", "must be given")]))?;
    Ok(PutConsentPolicyResponse { policy: Some(app.put_policy(&tenant, policy).await?) })
}

/// Returns the policy in force.
async fn get(app: &App, request: Request<GetConsentPolicyRequest>) -> Result<GetConsentPolicyResponse, Error> {
    let tenant = caller(&request, scope::SOURCES_WRITE)?.tenant;
    let policy = app.policy(&tenant, &request.into_inner().source_id).await?;
    Ok(GetConsentPolicyResponse { policy: Some(policy) })
}

/// Lists the policies that were put.
async fn list(app: &App, request: Request<ListConsentPoliciesRequest>) -> Result<ListConsentPoliciesResponse, Error> {
    let tenant = caller(&request, scope::SOURCES_WRITE)?.tenant;
    let request = request.into_inner();
    let mut violations = Violations::new();
    let size = paging::size(request.page_size, 100, 1_000, &mut violations);
    // The place is where the page begins: the policy of the tenant has no source, so nothing lies before it.
    let from = paging::after(&request.page_token, &mut violations);
    violations.finish()?;

    // One more than asked is where the next page begins.
    let mut rows = consent_policies::list_from(&app.db, &tenant, &from, size as i64 + 1).await?;
    let next_page_token = rows.get(size).map(|next| paging::token(&next.source_id)).unwrap_or_default();
    rows.truncate(size);
    let policies = rows.iter().map(policy_of).collect::<Result<_, _>>()?;
    Ok(ListConsentPoliciesResponse { policies, next_page_token })
}

/// Removes a policy.
async fn delete(app: &App, request: Request<DeleteConsentPolicyRequest>) -> Result<DeleteConsentPolicyResponse, Error> {
    let tenant = caller(&request, scope::SOURCES_WRITE)?.tenant;
    app.remove_policy(&tenant, &request.into_inner().source_id).await?;
    Ok(DeleteConsentPolicyResponse {})
}

/// Says how signals would be read.
async fn explain(app: &App, request: Request<ExplainConsentRequest>) -> Result<ExplainConsentResponse, Error> {
    let tenant = caller(&request, scope::SOURCES_WRITE)?.tenant;
    app.explain_consent(&tenant, request.into_inner()).await
}

/// Counts what became of events for want of consent.
async fn summarize(app: &App, request: Request<SummarizeConsentRequest>) -> Result<SummarizeConsentResponse, Error> {
    let tenant = caller(&request, scope::SOURCES_WRITE)?.tenant;
    let counted = consent_counts::list(&app.db, &tenant, &request.into_inner().source_id).await?;
    let sources = counted.into_iter().map(|(source_id, counts)| SourceSummary {
        source_id,
        denied: counts.denied.unsigned_abs(),
        held: counts.held.unsigned_abs(),
        released: counts.released.unsigned_abs(),
        destroyed: counts.destroyed.unsigned_abs(),
    });
    Ok(SummarizeConsentResponse { sources: sources.collect() })
}

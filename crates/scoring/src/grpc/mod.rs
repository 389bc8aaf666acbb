//! The RPCs: one file each.

mod delete_segment;
mod get_rfm_matrix;
mod get_scores;
mod list_rfm_scores;
mod list_segment_members;
mod list_segments;
mod put_segment;
mod segment;
mod summarize_orders;
mod test_segment;

use kit::auth::{caller, scope};
use kit::channel::Channel;
use proto::scoring::v1::scoring_service_server::ScoringService;
use proto::scoring::v1::segment_service_server::SegmentService;
use proto::scoring::v1::{
    DeleteSegmentRequest, DeleteSegmentResponse, GetRfmMatrixRequest, GetRfmMatrixResponse, GetScoresRequest,
    GetScoresResponse, ListRfmScoresRequest, ListRfmScoresResponse, ListSegmentMembersRequest,
    ListSegmentMembersResponse, ListSegmentsRequest, ListSegmentsResponse, PutSegmentRequest, PutSegmentResponse,
    SummarizeOrdersRequest, SummarizeOrdersResponse, TestSegmentRequest, TestSegmentResponse,
};
use tonic::{Request, Response, Status};

use crate::engine::Engine;

/// Largest length of ids that callers send, in characters.
const MAX_ID_CHARS: usize = 128;

/// Statistics and scores.
pub(crate) struct ScoringRpc {
    pub(crate) engine: Engine,
    /// Leads to identity, which knows who a profile has become.
    pub(crate) identity: Channel,
}

/// Rule segments.
pub(crate) struct SegmentRpc {
    pub(crate) engine: Engine,
}

#[tonic::async_trait]
impl ScoringService for ScoringRpc {
    async fn get_scores(&self, request: Request<GetScoresRequest>) -> Result<Response<GetScoresResponse>, Status> {
        let tenant = caller(&request, scope::SCORES_READ)?.tenant;
        let response = get_scores::get_scores(&self.engine, &self.identity, &tenant, request.into_inner()).await?;
        Ok(Response::new(response))
    }

    async fn get_rfm_matrix(
        &self,
        request: Request<GetRfmMatrixRequest>,
    ) -> Result<Response<GetRfmMatrixResponse>, Status> {
        let tenant = caller(&request, scope::SCORES_READ)?.tenant;
        let response = get_rfm_matrix::get_rfm_matrix(&self.engine, &tenant, request.into_inner()).await?;
        Ok(Response::new(response))
    }

    async fn list_rfm_scores(
        &self,
        request: Request<ListRfmScoresRequest>,
    ) -> Result<Response<ListRfmScoresResponse>, Status> {
        let tenant = caller(&request, scope::SCORES_READ)?.tenant;
        let response = list_rfm_scores::list_rfm_scores(&self.engine, &tenant, request.into_inner()).await?;
        Ok(Response::new(response))
    }

    async fn summarize_orders(
        &self,
        request: Request<SummarizeOrdersRequest>,
    ) -> Result<Response<SummarizeOrdersResponse>, Status> {
        let tenant = caller(&request, scope::SCORES_READ)?.tenant;
        let response = summarize_orders::summarize_orders(&self.engine, &tenant).await?;
        Ok(Response::new(response))
    }
}

#[tonic::async_trait]
impl SegmentService for SegmentRpc {
    async fn put_segment(&self, request: Request<PutSegmentRequest>) -> Result<Response<PutSegmentResponse>, Status> {
        let tenant = caller(&request, scope::SCORES_WRITE)?.tenant;
        let response = put_segment::put_segment(&self.engine, &tenant, request.into_inner()).await?;
        Ok(Response::new(response))
    }

    async fn list_segments(
        &self,
        request: Request<ListSegmentsRequest>,
    ) -> Result<Response<ListSegmentsResponse>, Status> {
        let tenant = caller(&request, scope::SCORES_READ)?.tenant;
        let response = list_segments::list_segments(&self.engine, &tenant, request.into_inner()).await?;
        Ok(Response::new(response))
    }

    async fn delete_segment(
        &self,
        request: Request<DeleteSegmentRequest>,
    ) -> Result<Response<DeleteSegmentResponse>, Status> {
        let tenant = caller(&request, scope::SCORES_WRITE)?.tenant;
        let response = delete_segment::delete_segment(&self.engine, &tenant, request.into_inner()).await?;
        Ok(Response::new(response))
    }

    async fn list_segment_members(
        &self,
        request: Request<ListSegmentMembersRequest>,
    ) -> Result<Response<ListSegmentMembersResponse>, Status> {
        let tenant = caller(&request, scope::SCORES_READ)?.tenant;
        let response = list_segment_members::list_segment_members(&self.engine, &tenant, request.into_inner()).await?;
        Ok(Response::new(response))
    }

    async fn test_segment(
        &self,
        request: Request<TestSegmentRequest>,
    ) -> Result<Response<TestSegmentResponse>, Status> {
        let tenant = caller(&request, scope::SCORES_READ)?.tenant;
        let response = test_segment::test_segment(&self.engine, &tenant, request.into_inner()).await?;
        Ok(Response::new(response))
    }
}

fn check_profile_id(profile_id: &str, violations: &mut kit::Violations) {
    let length = profile_id.chars().count();
    violations.check((1..=MAX_ID_CHARS).contains(&length), "profile_id", "must be 1 to 128 characters");
}

fn profile_not_found(profile_id: &str) -> kit::Error {
    kit::Error::not_found("PROFILE_NOT_FOUND", format!("nobody with profile id {profile_id} has left an event"))
}

//! `TrackingPlanService`, one file per RPC.

mod delete_tracking_plan;
mod draft_tracking_plan;
mod get_tracking_plan;
mod list_tracking_plans;
mod list_violations;
mod put_tracking_plan;
mod try_tracking_plan;

use kit::Violations;
use proto::ingestion::v1::tracking_plan_service_server::TrackingPlanService;
use proto::ingestion::v1::{
    DeleteTrackingPlanRequest, DeleteTrackingPlanResponse, DraftTrackingPlanRequest, DraftTrackingPlanResponse,
    GetTrackingPlanRequest, GetTrackingPlanResponse, ListTrackingPlansRequest, ListTrackingPlansResponse,
    ListViolationsRequest, ListViolationsResponse, PutTrackingPlanRequest, PutTrackingPlanResponse,
    TryTrackingPlanRequest, TryTrackingPlanResponse,
};
use tonic::{Request, Response, Status};

use super::Rpc;

/// Returns how many of the last events are looked at: 1,000 when 0, never more than 20,000.
fn events_to_look_at(asked: i32, violations: &mut Violations) -> usize {
    violations.check(asked >= 0, "events", "must not be negative");
    match usize::try_from(asked) {
        Ok(0) | Err(_) => 1_000,
        Ok(asked) => asked.min(20_000),
    }
}

#[tonic::async_trait]
impl TrackingPlanService for Rpc {
    async fn put_tracking_plan(
        &self,
        request: Request<PutTrackingPlanRequest>,
    ) -> Result<Response<PutTrackingPlanResponse>, Status> {
        Ok(Response::new(put_tracking_plan::put_tracking_plan(&self.app, request).await?))
    }

    async fn get_tracking_plan(
        &self,
        request: Request<GetTrackingPlanRequest>,
    ) -> Result<Response<GetTrackingPlanResponse>, Status> {
        Ok(Response::new(get_tracking_plan::get_tracking_plan(&self.app, request).await?))
    }

    async fn list_tracking_plans(
        &self,
        request: Request<ListTrackingPlansRequest>,
    ) -> Result<Response<ListTrackingPlansResponse>, Status> {
        Ok(Response::new(list_tracking_plans::list_tracking_plans(&self.app, request).await?))
    }

    async fn delete_tracking_plan(
        &self,
        request: Request<DeleteTrackingPlanRequest>,
    ) -> Result<Response<DeleteTrackingPlanResponse>, Status> {
        Ok(Response::new(delete_tracking_plan::delete_tracking_plan(&self.app, request).await?))
    }

    async fn try_tracking_plan(
        &self,
        request: Request<TryTrackingPlanRequest>,
    ) -> Result<Response<TryTrackingPlanResponse>, Status> {
        Ok(Response::new(try_tracking_plan::try_tracking_plan(&self.app, request).await?))
    }

    async fn draft_tracking_plan(
        &self,
        request: Request<DraftTrackingPlanRequest>,
    ) -> Result<Response<DraftTrackingPlanResponse>, Status> {
        Ok(Response::new(draft_tracking_plan::draft_tracking_plan(&self.app, request).await?))
    }

    async fn list_violations(
        &self,
        request: Request<ListViolationsRequest>,
    ) -> Result<Response<ListViolationsResponse>, Status> {
        Ok(Response::new(list_violations::list_violations(&self.app, request).await?))
    }
}

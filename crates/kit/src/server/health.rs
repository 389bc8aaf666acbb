use futures::{StreamExt, stream::BoxStream};
use tonic::{Request, Response, Status};
use tonic_health::pb::{
    HealthCheckRequest, HealthCheckResponse, health_check_response::ServingStatus, health_server::Health,
};

use super::Readiness;
use crate::Error;

/// gRPC health that says whether the process can do its job, for every service it serves.
pub(super) struct ReadinessHealth {
    readiness: Readiness,
    grpc_names: Vec<&'static str>,
}

impl ReadinessHealth {
    pub(super) fn new(readiness: Readiness, grpc_names: Vec<&'static str>) -> Self {
        Self { readiness, grpc_names }
    }

    fn require_known(&self, service: &str) -> Result<(), Error> {
        if service.is_empty() || self.grpc_names.contains(&service) {
            return Ok(());
        }
        Err(Error::not_found("SERVICE_UNKNOWN", "no such service here"))
    }
}

#[tonic::async_trait]
impl Health for ReadinessHealth {
    type WatchStream = BoxStream<'static, Result<HealthCheckResponse, Status>>;

    async fn check(&self, request: Request<HealthCheckRequest>) -> Result<Response<HealthCheckResponse>, Status> {
        self.require_known(&request.get_ref().service)?;
        Ok(Response::new(answer(self.readiness.is_ready())))
    }

    async fn watch(&self, request: Request<HealthCheckRequest>) -> Result<Response<Self::WatchStream>, Status> {
        self.require_known(&request.get_ref().service)?;
        let answers = self.readiness.changes().map(|ready| Ok(answer(ready)));
        Ok(Response::new(answers.boxed()))
    }
}

fn answer(ready: bool) -> HealthCheckResponse {
    let status = if ready { ServingStatus::Serving } else { ServingStatus::NotServing };
    HealthCheckResponse { status: status.into() }
}

//! `LogService`: how other services reach a log.

mod follow;
mod list_lags;
mod list_partitions;
mod report_progress;

use std::pin::Pin;
use std::sync::Arc;

use futures::Stream;
use kit::shutdown::Shutdown;
use proto::log::v1::log_service_server::LogService;
use proto::log::v1::{
    FollowRequest, FollowResponse, ListLagsRequest, ListLagsResponse, ListPartitionsRequest, ListPartitionsResponse,
    ReportProgressRequest, ReportProgressResponse,
};
use tokio_util::sync::DropGuard;
use tonic::{Request, Response, Status};

use crate::log::EventLog;
use crate::watch::watch;

/// The RPCs of one log; wrap it in `LogServiceServer`. Only services may call it.
#[derive(Clone)]
pub struct LogRpc {
    pub(crate) log: EventLog,
    /// Ends the watch over other replicas' appends with the last clone.
    _watching: Arc<DropGuard>,
}

impl EventLog {
    /// Returns the RPCs of this log and starts to watch for what other replicas append, until shutdown begins.
    ///
    /// Must be called inside a Tokio runtime.
    pub fn service(&self, shutdown: &Shutdown) -> LogRpc {
        let ending = shutdown.token.child_token();
        shutdown.spawn("log watch", watch(Arc::downgrade(&self.inner), ending.clone()));
        LogRpc { log: self.clone(), _watching: Arc::new(ending.drop_guard()) }
    }
}

#[tonic::async_trait]
impl LogService for LogRpc {
    type FollowStream = Pin<Box<dyn Stream<Item = Result<FollowResponse, Status>> + Send>>;

    async fn list_partitions(
        &self,
        request: Request<ListPartitionsRequest>,
    ) -> Result<Response<ListPartitionsResponse>, Status> {
        kit::auth::service_caller(&request)?;
        Ok(Response::new(list_partitions::list_partitions(&self.log).await?))
    }

    async fn follow(&self, request: Request<FollowRequest>) -> Result<Response<Self::FollowStream>, Status> {
        kit::auth::service_caller(&request)?;
        Ok(Response::new(Box::pin(follow::follow(self.clone(), request.into_inner())?)))
    }

    async fn report_progress(
        &self,
        request: Request<ReportProgressRequest>,
    ) -> Result<Response<ReportProgressResponse>, Status> {
        kit::auth::service_caller(&request)?;
        Ok(Response::new(report_progress::report_progress(&self.log, request.into_inner()).await?))
    }

    async fn list_lags(&self, request: Request<ListLagsRequest>) -> Result<Response<ListLagsResponse>, Status> {
        kit::auth::service_caller(&request)?;
        Ok(Response::new(list_lags::list_lags(&self.log).await?))
    }
}

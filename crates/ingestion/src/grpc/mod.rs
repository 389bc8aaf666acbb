//! The RPCs, one file each, those of a small service together: parse, call, render.

mod collect;
mod collect_http;
mod collect_stream;
mod consent;
mod create_source;
mod create_write_key;
mod describe_write_key;
mod discard_dead_letters;
mod get_source;
mod letter_filter;
mod list_dead_letters;
mod list_signals;
mod list_sources;
mod mend_dead_letters;
mod render;
mod replay_dead_letters;
mod revoke_write_key;
mod set_source_origins;
mod set_source_quota;
mod summarize_dead_letters;
mod summarize_events;
mod tail_events;
mod tracking_plan;

use std::pin::Pin;
use std::sync::Arc;

use futures::Stream;
use proto::ingestion::v1::context_service_server::ContextService;
use proto::ingestion::v1::dead_letter_service_server::DeadLetterService;
use proto::ingestion::v1::ingestion_service_server::IngestionService;
use proto::ingestion::v1::source_service_server::SourceService;
use proto::ingestion::v1::{
    CollectHttpRequest, CollectHttpResponse, CollectRequest, CollectResponse, CollectStreamRequest,
    CollectStreamResponse, CreateSourceRequest, CreateSourceResponse, CreateWriteKeyRequest, CreateWriteKeyResponse,
    DescribeWriteKeyRequest, DescribeWriteKeyResponse, DiscardDeadLettersRequest, DiscardDeadLettersResponse,
    GetSourceRequest, GetSourceResponse, ListDeadLettersRequest, ListDeadLettersResponse, ListSignalsRequest,
    ListSignalsResponse, ListSourcesRequest, ListSourcesResponse, MendDeadLettersRequest, MendDeadLettersResponse,
    ReplayDeadLettersRequest, ReplayDeadLettersResponse, RevokeWriteKeyRequest, RevokeWriteKeyResponse,
    SetSourceOriginsRequest, SetSourceOriginsResponse, SetSourceQuotaRequest, SetSourceQuotaResponse,
    SummarizeDeadLettersRequest, SummarizeDeadLettersResponse, SummarizeEventsRequest, SummarizeEventsResponse,
    TailEventsRequest, TailEventsResponse,
};
use tonic::{Request, Response, Status, Streaming};

use crate::app::App;

/// Serves every RPC of this service. Cloning shares the parts.
#[derive(Clone)]
pub(crate) struct Rpc {
    app: Arc<App>,
}

impl Rpc {
    pub(crate) fn new(app: Arc<App>) -> Self {
        Self { app }
    }
}

#[tonic::async_trait]
impl IngestionService for Rpc {
    async fn collect(&self, request: Request<CollectRequest>) -> Result<Response<CollectResponse>, Status> {
        Ok(Response::new(collect::collect(&self.app, request).await?))
    }

    type CollectStreamStream = Pin<Box<dyn Stream<Item = Result<CollectStreamResponse, Status>> + Send>>;

    async fn collect_stream(
        &self,
        request: Request<Streaming<CollectStreamRequest>>,
    ) -> Result<Response<Self::CollectStreamStream>, Status> {
        Ok(Response::new(Box::pin(collect_stream::collect_stream(Arc::clone(&self.app), request)?)))
    }

    async fn collect_http(
        &self,
        request: Request<CollectHttpRequest>,
    ) -> Result<Response<CollectHttpResponse>, Status> {
        Ok(Response::new(collect_http::collect_http(&self.app, request).await?))
    }

    async fn summarize_events(
        &self,
        request: Request<SummarizeEventsRequest>,
    ) -> Result<Response<SummarizeEventsResponse>, Status> {
        Ok(Response::new(summarize_events::summarize_events(&self.app, request).await?))
    }
}

#[tonic::async_trait]
impl SourceService for Rpc {
    async fn create_source(
        &self,
        request: Request<CreateSourceRequest>,
    ) -> Result<Response<CreateSourceResponse>, Status> {
        Ok(Response::new(create_source::create_source(&self.app, request).await?))
    }

    async fn get_source(&self, request: Request<GetSourceRequest>) -> Result<Response<GetSourceResponse>, Status> {
        Ok(Response::new(get_source::get_source(&self.app, request).await?))
    }

    async fn list_sources(
        &self,
        request: Request<ListSourcesRequest>,
    ) -> Result<Response<ListSourcesResponse>, Status> {
        Ok(Response::new(list_sources::list_sources(&self.app, request).await?))
    }

    async fn create_write_key(
        &self,
        request: Request<CreateWriteKeyRequest>,
    ) -> Result<Response<CreateWriteKeyResponse>, Status> {
        Ok(Response::new(create_write_key::create_write_key(&self.app, request).await?))
    }

    async fn revoke_write_key(
        &self,
        request: Request<RevokeWriteKeyRequest>,
    ) -> Result<Response<RevokeWriteKeyResponse>, Status> {
        Ok(Response::new(revoke_write_key::revoke_write_key(&self.app, request).await?))
    }

    async fn set_source_quota(
        &self,
        request: Request<SetSourceQuotaRequest>,
    ) -> Result<Response<SetSourceQuotaResponse>, Status> {
        Ok(Response::new(set_source_quota::set_source_quota(&self.app, request).await?))
    }

    async fn set_source_origins(
        &self,
        request: Request<SetSourceOriginsRequest>,
    ) -> Result<Response<SetSourceOriginsResponse>, Status> {
        Ok(Response::new(set_source_origins::set_source_origins(&self.app, request).await?))
    }

    async fn describe_write_key(
        &self,
        request: Request<DescribeWriteKeyRequest>,
    ) -> Result<Response<DescribeWriteKeyResponse>, Status> {
        Ok(Response::new(describe_write_key::describe_write_key(&self.app, request).await?))
    }

    type TailEventsStream = Pin<Box<dyn Stream<Item = Result<TailEventsResponse, Status>> + Send>>;

    async fn tail_events(
        &self,
        request: Request<TailEventsRequest>,
    ) -> Result<Response<Self::TailEventsStream>, Status> {
        Ok(Response::new(Box::pin(tail_events::tail_events(&self.app, request).await?)))
    }
}

#[tonic::async_trait]
impl DeadLetterService for Rpc {
    async fn list_dead_letters(
        &self,
        request: Request<ListDeadLettersRequest>,
    ) -> Result<Response<ListDeadLettersResponse>, Status> {
        Ok(Response::new(list_dead_letters::list_dead_letters(&self.app, request).await?))
    }

    async fn replay_dead_letters(
        &self,
        request: Request<ReplayDeadLettersRequest>,
    ) -> Result<Response<ReplayDeadLettersResponse>, Status> {
        Ok(Response::new(replay_dead_letters::replay_dead_letters(&self.app, request).await?))
    }

    async fn discard_dead_letters(
        &self,
        request: Request<DiscardDeadLettersRequest>,
    ) -> Result<Response<DiscardDeadLettersResponse>, Status> {
        Ok(Response::new(discard_dead_letters::discard_dead_letters(&self.app, request).await?))
    }

    async fn mend_dead_letters(
        &self,
        request: Request<MendDeadLettersRequest>,
    ) -> Result<Response<MendDeadLettersResponse>, Status> {
        Ok(Response::new(mend_dead_letters::mend_dead_letters(&self.app, request).await?))
    }

    async fn summarize_dead_letters(
        &self,
        request: Request<SummarizeDeadLettersRequest>,
    ) -> Result<Response<SummarizeDeadLettersResponse>, Status> {
        Ok(Response::new(summarize_dead_letters::summarize_dead_letters(&self.app, request).await?))
    }
}

#[tonic::async_trait]
impl ContextService for Rpc {
    async fn list_signals(
        &self,
        request: Request<ListSignalsRequest>,
    ) -> Result<Response<ListSignalsResponse>, Status> {
        Ok(Response::new(list_signals::list_signals(&self.app, request).await?))
    }
}

//! The services around campaign, as far as it sees them.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, Ordering},
};

use eventlog::{EventLog, LogOptions, Record};
use kit::{
    Clock, TenantId,
    channel::{self, Channel, ChannelOptions, Credential},
    metrics::Metrics,
    server::{Readiness, Services},
};
use prost::Message;
use proto::{
    event::v1::{Event, MessageActivity, event::Body, message_activity},
    ingestion::v1::{
        CollectHttpRequest, CollectHttpResponse, CollectRequest, CollectResponse, CollectStreamRequest,
        CollectStreamResponse, CreateSourceRequest, CreateSourceResponse, CreateWriteKeyRequest,
        CreateWriteKeyResponse, DescribeWriteKeyRequest, DescribeWriteKeyResponse, GetSourceRequest, GetSourceResponse,
        ListSourcesRequest, ListSourcesResponse, RevokeWriteKeyRequest, RevokeWriteKeyResponse,
        SetSourceOriginsRequest, SetSourceOriginsResponse, SetSourceQuotaRequest, SetSourceQuotaResponse, Source,
        SummarizeEventsRequest, SummarizeEventsResponse, TailEventsRequest, TailEventsResponse, Verdict,
        ingestion_service_server::{IngestionService, IngestionServiceServer},
        source_service_server::{SourceService, SourceServiceServer},
        verdict::Outcome,
    },
    log::v1::log_service_server::LogServiceServer,
    recommendation::v1::{
        Product, RecommendRequest, RecommendResponse,
        recommend_response::Item,
        recommendation_service_server::{RecommendationService, RecommendationServiceServer},
    },
};
use store::testing::TestDb;
use tonic::{Request, Response, Status, Streaming};

use crate::harness::authority;

/// A service that publishes a log.
pub(crate) struct Publisher {
    db: TestDb,
    pub(crate) log: EventLog,
}

impl Publisher {
    pub(crate) async fn start(name: &'static str) -> Self {
        let db = store::testing::sqlite(&[&eventlog::MIGRATIONS]).await;
        let log = EventLog::new(db.handle(), name, LogOptions::default(), Clock::system(), &Metrics::new());
        Self { db, log }
    }

    /// Appends records, each in the partition of its key.
    pub(crate) async fn publish<M: Message>(&self, tenant: &str, records: &[(String, M)], traceparent: Option<&str>) {
        let tenant = TenantId::try_from(tenant).unwrap();
        let records = records
            .iter()
            .map(|(key, record)| Record {
                key: key.clone().into(),
                payload: record.encode_to_vec().into(),
                event_time_us: 1,
                traceparent: traceparent.map(str::to_owned),
            })
            .collect();
        let mut tx = self.db.begin().await.unwrap();
        self.log.append(&mut tx, &tenant, records).await.unwrap();
        tx.commit().await.unwrap();
    }

    pub(crate) fn channel(&self) -> Channel {
        let server = LogServiceServer::new(self.log.service(&kit::shutdown::Shutdown::new()))
            .max_decoding_message_size(kit::MAX_MESSAGE_BYTES);
        let routes = Services::new("log", authority(), Metrics::new(), Readiness::new()).add(server).build();
        local(routes)
    }
}

/// Recommendation and ingestion.
#[derive(Clone, Default)]
pub(crate) struct Neighbours {
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    silent: AtomicBool,
    asked: Mutex<Vec<RecommendRequest>>,
    sources: Mutex<Vec<Source>>,
    events: Mutex<Vec<Event>>,
}

impl Neighbours {
    pub(crate) fn recommendation(&self) -> Channel {
        let server = RecommendationServiceServer::new(self.clone());
        let routes = Services::new("recommendation", authority(), Metrics::new(), Readiness::new()).add(server);
        local(routes.build())
    }

    pub(crate) fn ingestion(&self) -> Channel {
        let services = Services::new("ingestion", authority(), Metrics::new(), Readiness::new());
        let routes =
            services.add(IngestionServiceServer::new(self.clone())).add(SourceServiceServer::new(self.clone()));
        local(routes.build())
    }

    /// Makes recommendation fail, or work again.
    pub(crate) fn silence_recommendation(&self, silent: bool) {
        self.state.silent.store(silent, Ordering::SeqCst);
    }

    pub(crate) fn recommendations_asked(&self) -> Vec<RecommendRequest> {
        self.state.asked.lock().unwrap().clone()
    }

    pub(crate) fn sources(&self) -> Vec<Source> {
        self.state.sources.lock().unwrap().clone()
    }

    /// The events taken, each once, oldest first.
    pub(crate) fn events(&self) -> Vec<Event> {
        self.state.events.lock().unwrap().clone()
    }

    /// What was told of messages: action and event.
    pub(crate) fn activities(&self, wanted: message_activity::Action) -> Vec<(MessageActivity, Event)> {
        let of = |event: Event| match event.body.clone() {
            Some(Body::MessageActivity(activity)) if activity.action() == wanted => Some((activity, event)),
            _ => None,
        };
        self.events().into_iter().filter_map(of).collect()
    }
}

fn local(routes: tonic::service::Routes) -> Channel {
    let options = ChannelOptions::new(Credential::service(&authority(), "campaign")).retries(0);
    channel::local(routes, options)
}

#[tonic::async_trait]
impl RecommendationService for Neighbours {
    async fn recommend(&self, request: Request<RecommendRequest>) -> Result<Response<RecommendResponse>, Status> {
        if self.state.silent.load(Ordering::SeqCst) {
            return Err(Status::unavailable("silent"));
        }
        let request = request.into_inner();
        let limit = request.limit;
        self.state.asked.lock().unwrap().push(request);
        let item = |number: i32| Item {
            product: Some(Product {
                product_id: format!("r{number}"),
                title: format!("Candle & Co {number}"),
                url: format!("https://shop.example/p?id=r{number}&from=mail"),
                ..Product::default()
            }),
            ..Item::default()
        };
        Ok(Response::new(RecommendResponse {
            items: (0..limit).map(item).collect(),
            rule_effects: Vec::new(),
            not_personal_reason: String::new(),
        }))
    }
}

#[tonic::async_trait]
impl IngestionService for Neighbours {
    async fn collect(&self, request: Request<CollectRequest>) -> Result<Response<CollectResponse>, Status> {
        let request = request.into_inner();
        if !self.sources().iter().any(|source| source.source_id == request.source_id) {
            return Err(Status::not_found("no such source"));
        }
        let mut events = self.state.events.lock().unwrap();
        let mut verdicts = Vec::new();
        for event in request.events {
            let known = events.iter().any(|known| known.message_id == event.message_id);
            let outcome = if known { Outcome::Duplicate } else { Outcome::Accepted };
            verdicts.push(Verdict { outcome: outcome.into(), ..Verdict::default() });
            if !known {
                events.push(event);
            }
        }
        Ok(Response::new(CollectResponse { verdicts }))
    }

    type CollectStreamStream = tokio_stream::Empty<Result<CollectStreamResponse, Status>>;

    async fn collect_stream(
        &self,
        _request: Request<Streaming<CollectStreamRequest>>,
    ) -> Result<Response<Self::CollectStreamStream>, Status> {
        Err(Status::unavailable("not here"))
    }

    async fn collect_http(
        &self,
        _request: Request<CollectHttpRequest>,
    ) -> Result<Response<CollectHttpResponse>, Status> {
        Err(Status::unavailable("not here"))
    }

    async fn summarize_events(
        &self,
        _request: Request<SummarizeEventsRequest>,
    ) -> Result<Response<SummarizeEventsResponse>, Status> {
        Err(Status::unavailable("not here"))
    }
}

#[tonic::async_trait]
impl SourceService for Neighbours {
    async fn create_source(
        &self,
        request: Request<CreateSourceRequest>,
    ) -> Result<Response<CreateSourceResponse>, Status> {
        let mut sources = self.state.sources.lock().unwrap();
        let mut source = request.into_inner().source.unwrap_or_default();
        source.source_id = format!("source-{}", sources.len());
        sources.push(source.clone());
        Ok(Response::new(CreateSourceResponse { source: Some(source), write_key: "key".into() }))
    }

    async fn get_source(&self, _request: Request<GetSourceRequest>) -> Result<Response<GetSourceResponse>, Status> {
        Err(Status::unavailable("not here"))
    }

    async fn list_sources(
        &self,
        _request: Request<ListSourcesRequest>,
    ) -> Result<Response<ListSourcesResponse>, Status> {
        Ok(Response::new(ListSourcesResponse { sources: self.sources(), next_page_token: String::new() }))
    }

    async fn create_write_key(
        &self,
        _request: Request<CreateWriteKeyRequest>,
    ) -> Result<Response<CreateWriteKeyResponse>, Status> {
        Err(Status::unavailable("not here"))
    }

    async fn revoke_write_key(
        &self,
        _request: Request<RevokeWriteKeyRequest>,
    ) -> Result<Response<RevokeWriteKeyResponse>, Status> {
        Err(Status::unavailable("not here"))
    }

    async fn set_source_quota(
        &self,
        _request: Request<SetSourceQuotaRequest>,
    ) -> Result<Response<SetSourceQuotaResponse>, Status> {
        Err(Status::unavailable("not here"))
    }

    async fn set_source_origins(
        &self,
        _request: Request<SetSourceOriginsRequest>,
    ) -> Result<Response<SetSourceOriginsResponse>, Status> {
        Err(Status::unavailable("not here"))
    }

    async fn describe_write_key(
        &self,
        _request: Request<DescribeWriteKeyRequest>,
    ) -> Result<Response<DescribeWriteKeyResponse>, Status> {
        Err(Status::unavailable("not here"))
    }

    type TailEventsStream = tokio_stream::Empty<Result<TailEventsResponse, Status>>;

    async fn tail_events(
        &self,
        _request: Request<TailEventsRequest>,
    ) -> Result<Response<Self::TailEventsStream>, Status> {
        Err(Status::unavailable("not here"))
    }
}

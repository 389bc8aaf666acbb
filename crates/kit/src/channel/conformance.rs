//! One test of behaviour, run over a local and a remote channel: a caller cannot tell them apart.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use futures::{StreamExt, stream::BoxStream};
use opentelemetry_sdk::trace::SdkTracerProvider;
use proto::log::v1::{
    FollowRequest, FollowResponse, ListLagsRequest, ListLagsResponse, ListPartitionsRequest, ListPartitionsResponse,
    ReportProgressRequest, ReportProgressResponse,
    log_service_client::LogServiceClient,
    log_service_server::{LogService, LogServiceServer},
};
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};
use tonic::{Code, Request, Response, Status};
use tonic_types::StatusExt;
use tracing::Instrument;
use tracing_subscriber::layer::SubscriberExt;

use super::*;
use crate::{
    MAX_MESSAGE_BYTES,
    auth::{Authority, caller, scope, service_caller},
    metrics::Metrics,
    server::{Readiness, Services, run},
    telemetry::{SpanRecorder, trace_layer},
};

/// A service that does what the follower's name says.
#[derive(Clone, Default)]
struct Scripted {
    /// `comptoir-service` of every call, in order.
    targets: Arc<Mutex<Vec<Option<String>>>>,
}

#[tonic::async_trait]
impl LogService for Scripted {
    type FollowStream = BoxStream<'static, Result<FollowResponse, Status>>;

    async fn report_progress(
        &self,
        request: Request<ReportProgressRequest>,
    ) -> Result<Response<ReportProgressResponse>, Status> {
        let call = self.note(&request);
        match request.get_ref().follower.as_str() {
            "slow" => std::future::pending::<()>().await,
            "panic" => panic!("the secret is hunter2"),
            "refuse" => {
                return Err(Error::failed_precondition("NO_CONSENT", "no consent for e-mail").into());
            }
            "recover" if call < 3 => return Err(Error::unavailable("LOG_FULL", "wait").into()),
            "unavailable" => return Err(Error::unavailable("LOG_FULL", "wait").into()),
            "service" => {
                service_caller(&request)?;
            }
            "scoped" => {
                caller(&request, scope::EVENTS_WRITE)?;
            }
            _ => {}
        }
        Ok(Response::new(ReportProgressResponse {}))
    }

    async fn follow(&self, request: Request<FollowRequest>) -> Result<Response<Self::FollowStream>, Status> {
        let panics = request.get_ref().follower == "panic";
        let answers = futures::stream::iter(0..3).then(move |offset| async move {
            tokio::time::sleep(Duration::from_millis(100)).await;
            assert!(!panics || offset == 0, "boom");
            Ok(FollowResponse { first_offset: offset, ..Default::default() })
        });
        Ok(Response::new(answers.boxed()))
    }

    async fn list_partitions(
        &self,
        _: Request<ListPartitionsRequest>,
    ) -> Result<Response<ListPartitionsResponse>, Status> {
        Err(Error::internal("the password of the database is hunter2").into())
    }

    async fn list_lags(&self, _: Request<ListLagsRequest>) -> Result<Response<ListLagsResponse>, Status> {
        Ok(Response::new(ListLagsResponse::default()))
    }
}

impl Scripted {
    /// Notes a call and returns how many there were.
    fn note<T>(&self, request: &Request<T>) -> usize {
        let target = request.metadata().get(SERVICE_METADATA);
        let target = target.map(|value| value.to_str().unwrap().to_owned());
        let mut targets = self.targets.lock().unwrap();
        targets.push(target);
        targets.len()
    }

    fn calls(&self) -> usize {
        self.targets.lock().unwrap().len()
    }
}

/// One kind of channel to a scripted service of its own.
struct Rig {
    kind: &'static str,
    service: Scripted,
    metrics: Metrics,
    authority: Authority,
    routes: Routes,
    url: Option<String>,
    _server: Option<DropGuard>,
}

/// Returns both kinds of rig.
async fn rigs() -> [Rig; 2] {
    let local = Rig::new("local");
    let mut remote = Rig::new("remote");

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    remote.url = Some(format!("http://{}", listener.local_addr().unwrap()));
    let shutdown = CancellationToken::new();
    tokio::spawn(run(listener, remote.routes.clone(), remote.metrics.clone(), Readiness::new(), shutdown.clone()));
    remote._server = Some(shutdown.drop_guard());
    [local, remote]
}

impl Rig {
    fn new(kind: &'static str) -> Self {
        let (service, metrics) = (Scripted::default(), Metrics::new());
        let authority = Authority::new(b"0123456789abcdef");
        let server = LogServiceServer::new(service.clone()).max_decoding_message_size(MAX_MESSAGE_BYTES);
        let routes =
            Services::new("scripted", authority.clone(), metrics.clone(), Readiness::new()).add(server).build();
        Self { kind, service, metrics, authority, routes, url: None, _server: None }
    }

    fn channel(&self, options: ChannelOptions) -> Channel {
        match &self.url {
            None => local(self.routes.clone(), options),
            Some(url) => remote(url, options).unwrap(),
        }
    }

    fn options(&self) -> ChannelOptions {
        ChannelOptions::new(Credential::service(&self.authority, "identity"))
    }

    fn client(&self, options: ChannelOptions) -> LogServiceClient<Channel> {
        LogServiceClient::new(self.channel(options)).max_decoding_message_size(MAX_MESSAGE_BYTES)
    }

    /// Calls once, in a task of its own as handlers do, so that a panic that got through would show.
    async fn call(&self, options: ChannelOptions, follower: &str) -> Result<(), Status> {
        let mut client = self.client(options);
        let request = ReportProgressRequest { follower: follower.to_owned(), cursors: Vec::new() };
        let call = tokio::spawn(async move { client.report_progress(request).await.map(drop) });
        call.await.expect("the caller's task survives")
    }
}

fn reason(status: &Status) -> String {
    status.get_details_error_info().map(|info| info.reason).unwrap_or_default()
}

#[tokio::test]
async fn a_call_arrives_with_its_credential_and_target() {
    for rig in rigs().await {
        let options = rig.options().target("ingestion");

        rig.call(options, "service").await.unwrap();

        let targets = rig.service.targets.lock().unwrap().clone();
        assert_eq!(targets, [Some("ingestion".to_owned())], "{}", rig.kind);
    }
}

#[tokio::test]
async fn calls_without_a_valid_credential_or_scope_are_refused() {
    for rig in rigs().await {
        let shop: TenantId = "shop".parse().unwrap();
        let tenant = |scopes| ChannelOptions::new(Credential::tenant(&rig.authority, shop.clone(), "key-1", scopes));
        let stranger = Credential::service(&Authority::new(b"guess"), "identity");

        let anonymous = rig.call(ChannelOptions::new(Credential::none()), "").await;
        let forged = rig.call(ChannelOptions::new(stranger), "").await;
        let unscoped = rig.call(tenant(&[scope::PROFILES_READ]), "scoped").await;
        let scoped = rig.call(tenant(&[scope::EVENTS_WRITE]), "scoped").await;

        assert_eq!(reason(&anonymous.unwrap_err()), "CREDENTIAL_MISSING");
        assert_eq!(reason(&forged.unwrap_err()), "CREDENTIAL_INVALID");
        assert_eq!(unscoped.unwrap_err().code(), Code::PermissionDenied);
        scoped.unwrap();
    }
}

#[tokio::test]
async fn a_credential_on_the_call_itself_wins() {
    for rig in rigs().await {
        let mut request = Request::new(ReportProgressRequest { follower: "service".into(), ..Default::default() });
        request.metadata_mut().insert("authorization", "Bearer of bad news".parse().unwrap());

        let refused = rig.client(rig.options()).report_progress(request).await;

        assert_eq!(reason(&refused.unwrap_err()), "CREDENTIAL_INVALID");
    }
}

#[tokio::test]
async fn a_deadline_ends_a_call_that_takes_too_long() {
    for rig in rigs().await {
        let start = Instant::now();
        let late = rig.call(rig.options().deadline(Duration::from_millis(30)), "slow").await;
        assert_eq!(late.unwrap_err().code(), Code::DeadlineExceeded);

        let mut request = Request::new(ReportProgressRequest { follower: "slow".into(), ..Default::default() });
        request.set_timeout(Duration::from_millis(30));
        let late = rig.client(rig.options()).report_progress(request).await;
        assert_eq!(late.unwrap_err().code(), Code::DeadlineExceeded, "{}", rig.kind);
        assert!(start.elapsed() < Duration::from_secs(5));
    }
}

#[tokio::test]
async fn a_stream_may_outlast_the_deadline() {
    for rig in rigs().await {
        let mut client = rig.client(rig.options().deadline(Duration::from_millis(150)));

        let stream = client.follow(FollowRequest::default()).await.unwrap();

        let offsets: Vec<u64> = stream.into_inner().map(|answer| answer.unwrap().first_offset).collect().await;
        assert_eq!(offsets, [0, 1, 2], "{}", rig.kind);
    }
}

#[tokio::test]
async fn a_panic_becomes_internal_and_tells_nothing() {
    for rig in rigs().await {
        let status = rig.call(rig.options(), "panic").await.unwrap_err();
        assert_eq!(status.code(), Code::Internal);
        assert!(!format!("{status:?}").contains("hunter2"), "{}", rig.kind);

        let mut client = rig.client(rig.options());
        let request = FollowRequest { follower: "panic".into(), ..Default::default() };
        let answers: Vec<_> = client.follow(request).await.unwrap().into_inner().collect().await;
        assert_eq!(answers.len(), 2);
        assert_eq!(answers[1].as_ref().unwrap_err().code(), Code::Internal);
    }
}

#[tokio::test]
async fn reasons_come_through_and_internals_do_not() {
    for rig in rigs().await {
        let refused = rig.call(rig.options(), "refuse").await.unwrap_err();
        let failed = rig.client(rig.options()).list_partitions(ListPartitionsRequest {}).await.unwrap_err();

        assert_eq!((refused.code(), refused.message()), (Code::FailedPrecondition, "no consent for e-mail"));
        assert_eq!(reason(&refused), "NO_CONSENT");
        assert_eq!(rig.service.calls(), 1, "only UNAVAILABLE is retried");
        assert_eq!(failed.code(), Code::Internal);
        assert!(!format!("{failed:?}").contains("hunter2"), "{}", rig.kind);
    }
}

#[tokio::test]
async fn unavailable_is_retried_as_often_as_allowed() {
    for rig in rigs().await {
        rig.call(rig.options(), "recover").await.unwrap();
        assert_eq!(rig.service.calls(), 3);

        let status = rig.call(rig.options().retries(1), "unavailable").await.unwrap_err();
        assert_eq!(reason(&status), "LOG_FULL");
        assert_eq!(rig.service.calls(), 5, "{}", rig.kind);
    }
}

#[tokio::test]
async fn a_message_of_megabytes_passes() {
    for rig in rigs().await {
        let large = "x".repeat(8 << 20);

        rig.call(rig.options(), &large).await.unwrap();
    }
}

#[tokio::test]
async fn calls_are_counted_by_method_and_code() {
    for rig in rigs().await {
        rig.call(rig.options(), "").await.unwrap();
        rig.call(rig.options(), "refuse").await.unwrap_err();

        let text = rig.metrics.render();
        let method = "comptoir.log.v1.LogService/ReportProgress";
        for code in ["OK", "FAILED_PRECONDITION"] {
            let line = format!("rpc_server_calls_total{{method=\"{method}\",code=\"{code}\"}} 1");
            assert!(text.contains(&line), "{}: no {line} in {text}", rig.kind);
        }
    }
}

#[tokio::test]
async fn a_trace_goes_from_the_caller_into_the_handler() {
    for rig in rigs().await {
        let recorder = SpanRecorder::new();
        let provider = SdkTracerProvider::builder().with_simple_exporter(recorder.clone()).build();
        let subscriber = tracing_subscriber::registry().with(trace_layer(&provider));
        let _telemetry = tracing::subscriber::set_default(subscriber);

        let mut client = rig.client(rig.options());
        let lags = client.list_lags(ListLagsRequest {});
        lags.instrument(tracing::info_span!("caller")).await.unwrap();

        let spans = recorder.spans();
        let caller = spans.iter().find(|span| span.name == "caller").unwrap();
        let handler = spans.iter().find(|span| span.name.ends_with("/ListLags")).unwrap();
        assert_eq!(handler.trace_id, caller.trace_id, "{}", rig.kind);
        assert_eq!(handler.parent_span_id.as_ref(), Some(&caller.span_id));
        assert_eq!(handler.fields["rpc.code"], "Ok");
    }
}

#[tokio::test]
async fn a_service_that_is_not_there_is_unavailable() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let options = ChannelOptions::new(Credential::none()).retries(0);

    let mut client = LogServiceClient::new(remote(&url, options).unwrap());
    let status = client.list_lags(ListLagsRequest {}).await.unwrap_err();

    assert_eq!(status.code(), Code::Unavailable);
    assert_eq!(reason(&status), "SERVICE_UNREACHABLE");
    for bad in ["", "shop", "https://shop:1", "http://", "/x"] {
        assert!(remote(bad, ChannelOptions::new(Credential::none())).is_err());
    }
}

//! The server as its callers and its operator see it.

use std::time::{Duration, Instant};

use futures::StreamExt;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;
use tonic::{Code, Status};
use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient};
use tonic_reflection::pb::v1::{
    ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
    server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
};

use tonic_types::StatusExt;
use tower::ServiceExt;

use super::*;
use crate::{
    Error,
    channel::{Channel, ChannelOptions, Credential, remote},
};

struct Running {
    address: String,
    readiness: Readiness,
    shutdown: CancellationToken,
    task: JoinHandle<Result<(), Error>>,
}

async fn start() -> Running {
    let (metrics, readiness) = (Metrics::new(), Readiness::new());
    let authority = Authority::new(b"0123456789abcdef");
    let routes = Services::new("empty", authority, metrics.clone(), readiness.clone()).build();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let shutdown = CancellationToken::new();
    let serving = run(listener, routes, metrics, readiness.clone(), shutdown.clone());
    let task = tokio::spawn(serving);
    Running { address, readiness, shutdown, task }
}

impl Running {
    fn channel(&self) -> Channel {
        let url = format!("http://{}", self.address);
        remote(&url, ChannelOptions::new(Credential::none())).unwrap()
    }

    /// Returns the whole HTTP/1 response to `GET path`.
    async fn get(&self, path: &str) -> String {
        let mut connection = TcpStream::connect(&self.address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n");
        connection.write_all(request.as_bytes()).await.unwrap();
        let mut response = String::new();
        connection.read_to_string(&mut response).await.unwrap();
        response
    }
}

#[tokio::test]
async fn probes_and_grpc_health_tell_readiness() {
    let server = start().await;
    let database = server.readiness.register("database");
    let mut health = HealthClient::new(server.channel());

    assert!(server.get("/healthz").await.starts_with("HTTP/1.1 200"));
    let unready = server.get("/readyz").await;
    assert!(unready.starts_with("HTTP/1.1 503") && unready.contains("database"));
    let mut watch = health.watch(HealthCheckRequest::default()).await.unwrap().into_inner();
    let first = watch.next().await.unwrap().unwrap();
    assert_eq!(first.status(), ServingStatus::NotServing);

    database.set(true);

    let next = watch.next().await.unwrap().unwrap();
    assert_eq!(next.status(), ServingStatus::Serving);
    assert!(server.get("/readyz").await.starts_with("HTTP/1.1 200"));
    let answer = health.check(HealthCheckRequest::default()).await.unwrap();
    assert_eq!(answer.get_ref().status(), ServingStatus::Serving);
    let stranger = HealthCheckRequest { service: "stranger".into() };
    assert_eq!(health.check(stranger).await.unwrap_err().code(), Code::NotFound);
}

#[tokio::test]
async fn metrics_have_bounded_labels() {
    let server = start().await;
    let mut health = HealthClient::new(server.channel());
    health.check(HealthCheckRequest::default()).await.unwrap();
    server.get("/made/up").await;

    let metrics = server.get("/metrics").await;

    assert!(metrics.contains("application/openmetrics-text"));
    assert!(metrics.contains("method=\"grpc.health.v1.Health/Check\",code=\"OK\"} 1"));
    assert!(metrics.contains("method=\"unknown\",code=\"UNAUTHENTICATED\"} 1"));
    assert!(!metrics.contains("made/up"));
}

#[tokio::test]
async fn a_message_that_cannot_be_read_is_refused_with_a_reason() {
    let server = start().await;
    let long = [0, 0x7f, 0xff, 0xff, 0xff];
    for (method, body, code, reason) in [
        ("Check", [0, 0, 0, 0, 1].as_slice(), Code::InvalidArgument, "MESSAGE_UNREADABLE"),
        ("Check", &[0, 0, 0, 0, 1, 0xff], Code::InvalidArgument, "MESSAGE_UNREADABLE"),
        ("Check", &[7, 0, 0, 0, 0], Code::InvalidArgument, "MESSAGE_UNREADABLE"),
        ("Check", &[1, 0, 0, 0, 0], Code::InvalidArgument, "MESSAGE_UNREADABLE"),
        ("Check", &[], Code::InvalidArgument, "MESSAGE_UNREADABLE"),
        ("Check", &long, Code::InvalidArgument, "MESSAGE_TOO_LARGE"),
        ("Burn", &[0, 0, 0, 0, 0], Code::Unimplemented, "METHOD_NOT_FOUND"),
    ] {
        let request = Request::post(format!("/grpc.health.v1.Health/{method}"))
            .header("content-type", "application/grpc")
            .body(Body::new(http_body_util::Full::new(bytes::Bytes::copy_from_slice(body))))
            .unwrap();

        let response = server.channel().oneshot(request).await.unwrap();

        let status = Status::from_header_map(response.headers()).unwrap();
        assert_eq!(status.code(), code, "{status:?}");
        assert_eq!(status.get_details_error_info().unwrap().reason, reason, "{status:?}");
    }
}

#[tokio::test]
async fn reflection_lists_every_contract() {
    let server = start().await;
    let request = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };

    let mut client = ServerReflectionClient::new(server.channel());
    let mut answers = client.server_reflection_info(futures::stream::iter([request])).await.unwrap().into_inner();

    let answer = answers.next().await.unwrap().unwrap();
    let Some(MessageResponse::ListServicesResponse(list)) = answer.message_response else {
        panic!("not a list: {answer:?}");
    };
    let names: Vec<&str> = list.service.iter().map(|service| service.name.as_str()).collect();
    assert!(names.contains(&"comptoir.log.v1.LogService"), "only {names:?}");
}

#[tokio::test]
async fn shutdown_turns_unready_and_ends_open_streams() {
    let server = start().await;
    let mut health = HealthClient::new(server.channel());
    let mut watch = health.watch(HealthCheckRequest::default()).await.unwrap().into_inner();
    watch.next().await.unwrap().unwrap();
    let start = Instant::now();

    server.shutdown.cancel();

    let unready = watch.next().await.unwrap().unwrap();
    assert_eq!(unready.status(), ServingStatus::NotServing);
    let end = watch.next().await.unwrap().unwrap_err();
    assert_eq!(end.code(), Code::Unavailable);
    server.task.await.unwrap().unwrap();
    assert!(start.elapsed() < Duration::from_secs(5));
    assert!(TcpStream::connect(&server.address).await.is_err());
}

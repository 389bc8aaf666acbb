//! Those who send more than can be taken, each in a way of its own.

use std::{
    fmt::Write,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use kit::{MAX_MESSAGE_BYTES, channel::Channel};
use proto::{
    event::v1::{Custom, Event, event::Body},
    ingestion::v1::{CollectRequest, CollectStreamRequest, ingestion_service_client::IngestionServiceClient},
    r#type::v1::Identifier,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::ledger::Ledger;
use crate::{api::Api, web::Web};

/// Pause after a refusal: far shorter than what is asked for, so that the pressure stays.
const PAUSE: Duration = Duration::from_millis(50);
/// How long one answer is waited for.
const PATIENCE: Duration = Duration::from_secs(60);
/// A slow sender sends so much of its body, so often.
const TRICKLE: (usize, Duration) = (1 << 10, Duration::from_millis(100));
/// What a slow sender says it will send.
const PROMISED: usize = 4 << 20;
/// Batches on their way in one stream.
const STREAMED: usize = 8;

/// What all share.
pub(super) struct Shared {
    pub(super) ledger: Ledger,
    pub(super) stop: AtomicBool,
    pub(super) url: String,
    pub(super) write_key: String,
    pub(super) api_key: String,
    pub(super) source_id: String,
}

/// A way to send too much.
#[derive(Debug, Clone, Copy)]
pub(super) enum Way {
    /// Requests to the collector: events in each, bytes of each event.
    Http { events: usize, bytes: usize },
    /// Unary gRPC.
    Grpc { events: usize, bytes: usize },
    /// A stream with several batches on their way.
    Stream { events: usize, bytes: usize },
    /// A stream whose acknowledgements nobody reads.
    DeafStream { events: usize, bytes: usize },
    /// A body that comes a little at a time.
    SlowSender,
    /// Requests one after the other on a connection whose answers nobody reads.
    DeafHttp,
}

impl Shared {
    fn is_over(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    async fn pause(&self) {
        tokio::time::sleep(PAUSE).await;
    }
}

/// Sends until it is over.
pub(super) async fn send(shared: Arc<Shared>, way: Way) -> anyhow::Result<()> {
    match way {
        Way::Http { events, bytes } => http(&shared, events, bytes).await,
        Way::Grpc { events, bytes } => grpc(&shared, events, bytes).await,
        Way::Stream { events, bytes } => stream(&shared, events, bytes, true).await,
        Way::DeafStream { events, bytes } => stream(&shared, events, bytes, false).await,
        Way::SlowSender => slow_sender(&shared).await,
        Way::DeafHttp => deaf_http(&shared).await,
    }
}

async fn http(shared: &Shared, events: usize, bytes: usize) -> anyhow::Result<()> {
    let mut web = Web::remote(&shared.url)?;
    while !shared.is_over() {
        let request = shared.ledger.begin(events);
        let body = Bytes::from(json(shared, request, events, bytes));
        loop {
            let begun = Instant::now();
            match web.collect("/v1/batch", &shared.write_key, body.clone()).await {
                Ok(answer) if answer.status == http::StatusCode::OK => {
                    shared.ledger.acknowledge("http", request, Some(begun.elapsed()));
                    break;
                }
                Ok(answer) => {
                    let says_when = answer.headers.contains_key(http::header::RETRY_AFTER);
                    shared.ledger.refuse("http", answer.status.as_str(), says_when);
                }
                Err(_) => shared.ledger.refuse("http", "unanswered", true),
            }
            if shared.is_over() {
                break;
            }
            shared.pause().await;
        }
    }
    Ok(())
}

async fn grpc(shared: &Shared, events: usize, bytes: usize) -> anyhow::Result<()> {
    let mut client = client(shared)?;
    while !shared.is_over() {
        let request = shared.ledger.begin(events);
        let batch = typed(shared, request, events, bytes);
        loop {
            let begun = Instant::now();
            match client.collect(batch.clone()).await {
                Ok(_) => {
                    shared.ledger.acknowledge("grpc", request, Some(begun.elapsed()));
                    break;
                }
                Err(status) => refuse(shared, "grpc", status),
            }
            if shared.is_over() {
                break;
            }
            shared.pause().await;
        }
    }
    Ok(())
}

/// Streams. One that nobody reads goes on until its connection takes no more.
async fn stream(shared: &Shared, events: usize, bytes: usize, reads: bool) -> anyhow::Result<()> {
    while !shared.is_over() {
        let mut client = client(shared)?;
        let (batches, receiver) = tokio::sync::mpsc::channel(STREAMED);
        let answers = client.collect_stream(tokio_stream::wrappers::ReceiverStream::new(receiver));
        let feeding = async {
            while !shared.is_over() {
                let request = shared.ledger.begin(events);
                let batch = typed(shared, request, events, bytes);
                let message = CollectStreamRequest { sequence: request as u64, batch: Some(batch) };
                // While the connection takes no more, it is looked whether it is over.
                let room = loop {
                    match tokio::time::timeout(PAUSE, batches.reserve()).await {
                        Err(_) if !shared.is_over() => {}
                        Ok(Ok(room)) => break Some(room),
                        Ok(Err(_)) | Err(_) => break None,
                    }
                };
                let Some(room) = room else { break };
                room.send(message);
            }
            // The stream ends; what is on its way is acknowledged still.
            drop(batches);
        };
        let reading = async {
            match answers.await {
                Ok(answers) if reads => {
                    let mut answers = answers.into_inner();
                    loop {
                        match tokio::time::timeout(PATIENCE, answers.message()).await {
                            Ok(Ok(Some(answer))) => {
                                shared.ledger.acknowledge("stream", answer.sequence as usize, None);
                            }
                            Ok(Ok(None)) => break,
                            Ok(Err(status)) => break refuse(shared, "stream", status),
                            Err(_) => break shared.ledger.refuse("stream", "unanswered", true),
                        }
                    }
                }
                Ok(held) => {
                    while !shared.is_over() {
                        shared.pause().await;
                    }
                    drop(held);
                }
                Err(status) => refuse(shared, "stream", status),
            }
        };
        tokio::join!(feeding, reading);
        shared.pause().await;
    }
    Ok(())
}

/// Says that it will send a large body, sends a little at a time, and never ends.
async fn slow_sender(shared: &Shared) -> anyhow::Result<()> {
    let (piece, pause) = TRICKLE;
    let piece = vec![b' '; piece];
    while !shared.is_over() {
        let mut connection = connect(shared).await?;
        let mut going_on = connection.write_all(head(shared, PROMISED).as_bytes()).await.is_ok();
        while going_on && !shared.is_over() {
            going_on = connection.write_all(&piece).await.is_ok();
            tokio::time::sleep(pause).await;
        }
        shared.pause().await;
    }
    Ok(())
}

/// Sends requests without a pause and never reads an answer, until the connection takes no more.
async fn deaf_http(shared: &Shared) -> anyhow::Result<()> {
    let mut connection = connect(shared).await?;
    while !shared.is_over() {
        let request = shared.ledger.begin(1);
        let body = json(shared, request, 1, 100);
        let whole = format!("{}{body}", head(shared, body.len()));
        match tokio::time::timeout(Duration::from_secs(1), connection.write_all(whole.as_bytes())).await {
            Ok(Ok(())) | Err(_) => {}
            Ok(Err(_)) => connection = connect(shared).await?,
        }
    }
    // The last answers may be read now: that there were any is all that counts.
    let _ = tokio::time::timeout(PAUSE, connection.read(&mut [0; 1024])).await;
    Ok(())
}

async fn connect(shared: &Shared) -> anyhow::Result<TcpStream> {
    Ok(TcpStream::connect(shared.url.trim_start_matches("http://")).await?)
}

fn head(shared: &Shared, length: usize) -> String {
    let credential = STANDARD.encode(format!("{}:", shared.write_key));
    format!(
        "POST /v1/batch HTTP/1.1\r\nhost: overload\r\ncontent-type: application/json\r\n\
         authorization: Basic {credential}\r\ncontent-length: {length}\r\n\r\n"
    )
}

fn client(shared: &Shared) -> anyhow::Result<IngestionServiceClient<Channel>> {
    // A connection for each, as different senders have.
    let channel = Api::remote(&shared.url, &shared.api_key)?.channel();
    Ok(IngestionServiceClient::new(channel)
        .max_decoding_message_size(MAX_MESSAGE_BYTES)
        .max_encoding_message_size(MAX_MESSAGE_BYTES))
}

fn refuse(shared: &Shared, door: &str, status: tonic::Status) {
    let code = format!("{:?}", status.code());
    let error = kit::Error::from(status);
    let has_broken = matches!(error.reason.as_ref(), "SERVICE_UNREACHABLE" | "DEADLINE_EXCEEDED");
    shared.ledger.refuse(
        door,
        if has_broken { "unanswered" } else { &code },
        has_broken || error.retry_after.is_some(),
    );
}

/// Returns a body for `/v1/batch`.
fn json(shared: &Shared, request: usize, events: usize, bytes: usize) -> String {
    let text = "x".repeat(bytes);
    let mut body = String::with_capacity(events * (bytes + 200));
    body.push_str(r#"{"batch":["#);
    for index in 0..events {
        let id = shared.ledger.message_id(request, index);
        let comma = if index > 0 { "," } else { "" };
        let user = request % 997;
        // Writing to a text cannot fail.
        let _ = write!(
            body,
            r#"{comma}{{"type":"track","event":"Overload","messageId":"{id}","userId":"u-{user}","properties":{{"text":"{text}"}}}}"#
        );
    }
    body.push_str("]}");
    body
}

fn typed(shared: &Shared, request: usize, events: usize, bytes: usize) -> CollectRequest {
    let properties_json = Bytes::from(format!(r#"{{"text":"{}"}}"#, "x".repeat(bytes)));
    let events = (0..events)
        .map(|index| Event {
            message_id: shared.ledger.message_id(request, index),
            name: "Overload".into(),
            identifiers: vec![Identifier { kind: "user_id".into(), value: format!("u-{}", request % 997) }],
            properties_json: properties_json.clone(),
            body: Some(Body::Custom(Custom {})),
            ..Event::default()
        })
        .collect();
    CollectRequest { events, source_id: shared.source_id.clone() }
}

//! A small HTTP client, for what speaks HTTP and not gRPC: the collector and the links in messages.

use std::time::Duration;

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use kit::Error;
use tokio::net::TcpStream;
use tonic::service::Routes;
use tower::ServiceExt;

/// Largest answer read, in bytes.
const MAX_ANSWER: usize = 16 << 20;

/// How long one request may take.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Where requests go: to routes in this process, or over a connection that is kept.
pub enum Web {
    /// To routes in this process.
    Local(Routes),
    /// To `host:port`.
    Remote {
        /// The address.
        authority: String,
        /// The connection, when one is open.
        connection: Option<SendRequest<Full<Bytes>>>,
    },
}

/// An answer, read whole.
#[derive(Debug)]
pub struct Answer {
    /// Status code.
    pub status: StatusCode,
    /// Headers.
    pub headers: http::HeaderMap,
    /// Body.
    pub body: Bytes,
}

impl Web {
    /// Returns a client of the server at `http://host:port`.
    pub fn remote(url: &str) -> Result<Self, Error> {
        let authority = url
            .strip_prefix("http://")
            .map(|rest| rest.trim_end_matches('/'))
            .filter(|rest| !rest.is_empty() && !rest.contains('/'))
            .ok_or_else(|| Error::invalid("URL_INVALID", format!("{url} is not of the form http://host:port")))?;
        Ok(Self::Remote { authority: authority.to_owned(), connection: None })
    }

    /// Posts a Segment body with a write key.
    pub async fn collect(&mut self, path: &str, write_key: &str, body: impl Into<Bytes>) -> Result<Answer, Error> {
        let credential = format!("Basic {}", STANDARD.encode(format!("{write_key}:")));
        let request = Request::builder()
            .method(Method::POST)
            .uri(path)
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::AUTHORIZATION, credential)
            .body(Full::new(body.into()))
            .map_err(Error::internal)?;
        self.send(request).await
    }

    /// Asks for a path, as a browser with `user_agent` would.
    pub async fn get(&mut self, path: &str, user_agent: &str) -> Result<Answer, Error> {
        let request = Request::builder()
            .uri(path)
            .header(header::USER_AGENT, user_agent)
            .body(Full::default())
            .map_err(Error::internal)?;
        self.send(request).await
    }

    /// Sends any request. A connection that was closed meanwhile is opened again once.
    pub async fn send(&mut self, request: Request<Full<Bytes>>) -> Result<Answer, Error> {
        let answered = tokio::time::timeout(TIMEOUT, self.attempt(request)).await;
        answered.unwrap_or_else(|_| Err(Error::unavailable("NO_ANSWER", "the server did not answer in time")))
    }

    async fn attempt(&mut self, mut request: Request<Full<Bytes>>) -> Result<Answer, Error> {
        match self {
            Self::Local(routes) => {
                let request = request.map(tonic::body::Body::new);
                match routes.clone().prepare().oneshot(request).await {
                    Ok(response) => read(response.map(BodyExt::boxed_unsync)).await,
                    Err(never) => match never {},
                }
            }
            Self::Remote { authority, connection } => {
                let host = http::HeaderValue::try_from(authority.as_str()).map_err(Error::internal)?;
                request.headers_mut().insert(header::HOST, host);
                let mut kept = connection.take();
                if let Some(open) = &mut kept
                    && open.ready().await.is_err()
                {
                    kept = None;
                }
                let mut open = match kept {
                    Some(open) => open,
                    None => connect(authority).await?,
                };
                let response = open.send_request(request).await.map_err(unreachable)?;
                let answer = read(response.map(BodyExt::boxed_unsync)).await?;
                *connection = Some(open);
                Ok(answer)
            }
        }
    }
}

async fn connect(authority: &str) -> Result<SendRequest<Full<Bytes>>, Error> {
    let stream = TcpStream::connect(authority).await.map_err(unreachable)?;
    stream.set_nodelay(true).map_err(unreachable)?;
    let (sender, connection) = handshake(TokioIo::new(stream)).await.map_err(unreachable)?;
    // Ends with the sender; what went wrong is told to whoever waits for an answer.
    tokio::spawn(async move { connection.await.ok() });
    Ok(sender)
}

async fn read<B>(response: Response<B>) -> Result<Answer, Error>
where
    B: http_body::Body<Data = Bytes>,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let (head, body) = response.into_parts();
    let body = Limited::new(body, MAX_ANSWER)
        .collect()
        .await
        .map_err(|error| Error::unavailable("ANSWER_BROKEN", "the answer broke off").caused_by(error))?
        .to_bytes();
    Ok(Answer { status: head.status, headers: head.headers, body })
}

fn unreachable(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::unavailable("SERVER_UNREACHABLE", "the server cannot be reached").caused_by(error)
}

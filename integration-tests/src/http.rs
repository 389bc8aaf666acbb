//! The API called by hand: as JSON, as gRPC-Web and as gRPC, without the clients that hide what goes over the wire.

use bytes::{BufMut, Bytes, BytesMut};
use comptoir::web::{Answer, Web};
use http::{Method, Request, header};
use http_body_util::{BodyExt, Full};
use kit::{Error, channel::Channel};
use serde_json::Value;
use tonic::{Code, Status};
use tower::ServiceExt;

/// Calls an RPC with a JSON body; `method` is `package.Service/Method`.
pub async fn call_json(
    web: &mut Web,
    key: Option<&str>,
    method: &str,
    body: impl Into<Bytes>,
) -> Result<Answer, Error> {
    post(web, key, method, "application/json", body).await
}

/// Calls an RPC by gRPC-Web with one message; returns the answer's message or status.
pub async fn call_grpc_web(web: &mut Web, key: Option<&str>, method: &str, message: &[u8]) -> Result<Bytes, Status> {
    let answer = post(web, key, method, "application/grpc-web+proto", frame(message)).await?;
    if let Some(status) = Status::from_header_map(&answer.headers).filter(|status| status.code() != Code::Ok) {
        return Err(status);
    }
    let mut rest = answer.body;
    let mut found = None;
    while rest.len() >= 5 {
        let head = rest.split_to(5);
        let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize;
        let part = rest.split_to(length.min(rest.len()));
        if head[0] & 0x80 == 0 {
            found = Some(part);
        } else if let Some(status) = status_of_trailers(&part) {
            return Err(status);
        }
    }
    found.ok_or_else(|| Status::unknown(format!("no message in an answer with status {}", answer.status)))
}

/// Calls an RPC by gRPC with bytes of the caller's choice as the body; returns the answer's message or status.
pub async fn call_grpc(channel: &Channel, method: &str, body: impl Into<Bytes>) -> Result<Bytes, Status> {
    let request = Request::builder()
        .method(Method::POST)
        .version(http::Version::HTTP_2)
        .uri(format!("/{method}"))
        .header(header::CONTENT_TYPE, "application/grpc")
        .header(header::TE, "trailers")
        .body(tonic::body::Body::new(Full::new(body.into())))
        .map_err(|error| Status::unknown(error.to_string()))?;
    let response = match channel.clone().oneshot(request).await {
        Ok(response) => response,
        Err(never) => match never {},
    };
    if let Some(status) = Status::from_header_map(response.headers()).filter(|status| status.code() != Code::Ok) {
        return Err(status);
    }
    let collected = response.into_body().collect().await?;
    match collected.trailers().and_then(Status::from_header_map) {
        Some(status) if status.code() != Code::Ok => Err(status),
        _ => {
            let bytes = collected.to_bytes();
            if bytes.len() < 5 { Err(Status::unknown("an answer without a message")) } else { Ok(bytes.slice(5..)) }
        }
    }
}

/// Puts gRPC's five bytes before a message.
pub fn frame(message: &[u8]) -> Bytes {
    let mut framed = BytesMut::with_capacity(message.len() + 5);
    framed.put_u8(0);
    framed.put_u32(u32::try_from(message.len()).expect("a message of a test is small"));
    framed.put_slice(message);
    framed.freeze()
}

/// Reads the JSON of an answer; what is not JSON becomes a text.
pub fn json(answer: &Answer) -> Value {
    serde_json::from_slice(&answer.body)
        .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&answer.body).into_owned()))
}

/// Returns the reason of a refused JSON call: of its details, or its code where there are none.
pub fn reason(answer: &Answer) -> String {
    let json = json(answer);
    let details = json["details"].as_array().cloned().unwrap_or_default();
    let named = details.iter().find_map(|detail| detail["debug"]["reason"].as_str());
    named.or_else(|| json["code"].as_str()).unwrap_or_default().to_owned()
}

async fn post(
    web: &mut Web,
    key: Option<&str>,
    method: &str,
    content_type: &str,
    body: impl Into<Bytes>,
) -> Result<Answer, Error> {
    let mut request =
        Request::builder().method(Method::POST).uri(format!("/{method}")).header(header::CONTENT_TYPE, content_type);
    if method.starts_with("comptoir.log.") {
        // Several services publish a log; one has to be named.
        request = request.header(kit::channel::SERVICE_METADATA, "ingestion");
    }
    if let Some(key) = key {
        request = request.header(header::AUTHORIZATION, format!("Bearer {key}"));
    }
    web.send(request.body(Full::new(body.into())).map_err(Error::internal)?).await
}

/// Reads `grpc-status` and the rest out of a trailer frame; none when the call went well.
fn status_of_trailers(trailers: &[u8]) -> Option<Status> {
    let text = String::from_utf8_lossy(trailers).into_owned();
    let mut headers = http::HeaderMap::new();
    for line in text.lines() {
        let (name, value) = line.split_once(':')?;
        let name = http::HeaderName::try_from(name.trim()).ok()?;
        headers.insert(name, http::HeaderValue::try_from(value.trim()).ok()?);
    }
    Status::from_header_map(&headers).filter(|status| status.code() != Code::Ok)
}

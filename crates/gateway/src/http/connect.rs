//! JSON over HTTP for every unary RPC, by the Connect protocol (connectrpc.com/docs/protocol): `POST /package.Service/Method`
//! with a JSON or protobuf body. So `curl` and generated web clients need no gRPC.

use std::sync::LazyLock;

use axum::{
    body::Body,
    extract::Request,
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    response::Response,
};
use bytes::{BufMut, Bytes, BytesMut};
use http_body_util::{BodyExt, Full};
use kit::Error;
use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage, MethodDescriptor, SerializeOptions};
use serde_json::{Value, json};
use tonic::{Code, Status};

use super::{
    Gate, answer, forward,
    receive::{Bounds, Received, discard, receive},
};

/// Largest body as a call; a message read from JSON takes up a few times its text.
const BOUNDS: Bounds = Bounds { largest: 16 << 20, factor: 4 };

/// Most values in a JSON body, and what each takes up while it is read.
const MAX_PARTS: usize = 500_000;
const PART_BYTES: usize = 128;

/// Reasons that are told as 413.
const BODY_TOO_LARGE: &str = "BODY_TOO_LARGE";
const MESSAGE_TOO_LARGE: &str = "MESSAGE_TOO_LARGE";

/// The contracts, for reading and writing JSON. Parsed at first use; it never changes.
static CONTRACTS: LazyLock<DescriptorPool> = LazyLock::new(|| {
    DescriptorPool::decode(proto::FILE_DESCRIPTOR_SET).expect("the descriptors are compiled in and checked by a test")
});

#[derive(Clone, Copy, PartialEq)]
enum Codec {
    Json,
    Proto,
}

/// Answers one unary call.
pub(crate) async fn call(gate: &Gate, request: Request, content_type: &str) -> Response {
    match answer_call(gate, request, content_type).await {
        Ok(response) => response,
        Err(status) => failure(&status),
    }
}

async fn answer_call(gate: &Gate, request: Request, content_type: &str) -> Result<Response, Status> {
    if request.method() != Method::POST {
        return Ok(plain(StatusCode::METHOD_NOT_ALLOWED, "unimplemented", "send a POST with a JSON body"));
    }
    let codec = match content_type.split(';').next().unwrap_or_default().trim() {
        "application/json" => Codec::Json,
        "application/proto" => Codec::Proto,
        _ => {
            let message = "send content-type application/json or application/proto";
            return Ok(plain(StatusCode::UNSUPPORTED_MEDIA_TYPE, "invalid_argument", message));
        }
    };
    let method = find_method(request.uri().path())?;
    if method.is_client_streaming() || method.is_server_streaming() {
        return Err(Status::unimplemented("this is a stream: call it by gRPC, for example with grpcurl"));
    }

    let (head, body) = request.into_parts();
    // Nobody's bodies are received before it is known who calls.
    if let Err(error) = gate.authenticator.identify(forward::authorization(&head.headers)).await {
        tokio::spawn(discard(body));
        return Err(error.into());
    }
    let Received { bytes: body, mut room } = receive(&gate.receiving_calls, &head.headers, body, &BOUNDS).await?;
    if codec == Codec::Json {
        let parts = parts(&body);
        if parts > MAX_PARTS {
            return Err(Error::invalid(MESSAGE_TOO_LARGE, "the message holds too many parts").into());
        }
        room.grow_to(body.len() * BOUNDS.factor + parts * PART_BYTES)?;
    }
    let message = match codec {
        Codec::Proto => body,
        Codec::Json => read_json(&method, &body)?,
    };

    let mut call = axum::http::Request::new(tonic::body::Body::new(Full::new(frame(&message))));
    *call.uri_mut() = head.uri;
    *call.method_mut() = Method::POST;
    *call.version_mut() = axum::http::Version::HTTP_2;
    *call.headers_mut() = grpc_headers(&head.headers);
    let response = forward::forward(gate, call).await;
    let message = unframe(response).await?;

    let body = match codec {
        Codec::Proto => message,
        Codec::Json => write_json(&method, message)?,
    };
    let mut response = Response::new(Body::from(body));
    let content_type = if codec == Codec::Json { "application/json" } else { "application/proto" };
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    Ok(response)
}

/// Returns how many values JSON holds, or more: two or three bytes can be a value that takes up a hundred when it is read.
fn parts(json: &[u8]) -> usize {
    json.iter().filter(|byte| matches!(byte, b',' | b'{' | b'[')).count()
}

fn find_method(path: &str) -> Result<MethodDescriptor, Error> {
    let not_found = || Error::not_found("METHOD_NOT_FOUND", "no service answers this method");
    let (service, method) = path.trim_start_matches('/').split_once('/').ok_or_else(not_found)?;
    let service = CONTRACTS.get_service_by_name(service).ok_or_else(not_found)?;
    service.methods().find(|candidate| candidate.name() == method).ok_or_else(not_found)
}

fn read_json(method: &MethodDescriptor, body: &[u8]) -> Result<Bytes, Error> {
    let body: &[u8] = if body.is_empty() { b"{}" } else { body };
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let message = DynamicMessage::deserialize(method.input(), &mut deserializer)
        .and_then(|message| deserializer.end().map(|()| message))
        .map_err(|error| {
            Error::invalid("JSON_INVALID", format!("the body is not a {}: {error}", method.input().name()))
        })?;
    Ok(message.encode_to_vec().into())
}

fn write_json(method: &MethodDescriptor, message: Bytes) -> Result<Bytes, Status> {
    let message =
        DynamicMessage::decode(method.output(), message).map_err(|error| Status::from(Error::internal(error)))?;
    let mut json = Vec::with_capacity(256);
    let mut serializer = serde_json::Serializer::new(&mut json);
    let options = SerializeOptions::new().skip_default_fields(true);
    message.serialize_with_options(&mut serializer, &options).map_err(|error| Status::from(Error::internal(error)))?;
    Ok(json.into())
}

/// Carries over what a service may want: the credential, the trace, metadata of our own.
fn grpc_headers(headers: &HeaderMap) -> HeaderMap {
    let mut kept = HeaderMap::new();
    for (name, value) in headers {
        let name_text = name.as_str();
        if name_text.starts_with("comptoir-") || ["authorization", "traceparent", "tracestate"].contains(&name_text) {
            kept.append(name, value.clone());
        }
    }
    if let Some(milliseconds) = headers.get("connect-timeout-ms").and_then(|value| value.to_str().ok())
        && let Ok(value) = HeaderValue::try_from(format!("{milliseconds}m"))
    {
        kept.insert("grpc-timeout", value);
    }
    kept.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    kept.insert(header::TE, HeaderValue::from_static("trailers"));
    kept
}

/// Puts the five bytes of gRPC's framing before a message.
fn frame(message: &[u8]) -> Bytes {
    let mut framed = BytesMut::with_capacity(message.len() + 5);
    framed.put_u8(0);
    framed.put_u32(u32::try_from(message.len()).unwrap_or(u32::MAX));
    framed.put_slice(message);
    framed.freeze()
}

/// Returns the one message of a response, or the status it ended with.
async fn unframe(response: axum::http::Response<tonic::body::Body>) -> Result<Bytes, Status> {
    if let Some(status) = Status::from_header_map(response.headers())
        && status.code() != Code::Ok
    {
        return Err(status);
    }
    let collected = response.into_body().collect().await?;
    if let Some(status) = collected.trailers().and_then(Status::from_header_map)
        && status.code() != Code::Ok
    {
        return Err(status);
    }
    let bytes = collected.to_bytes();
    if bytes.len() < 5 || bytes[0] != 0 {
        return Err(Status::from(Error::internal("a service answered with a compressed or empty frame")));
    }
    Ok(bytes.slice(5..))
}

fn failure(status: &Status) -> Response {
    let (http, code) = match reason(status).as_deref() {
        Some(BODY_TOO_LARGE | MESSAGE_TOO_LARGE) => (StatusCode::PAYLOAD_TOO_LARGE, names(status.code()).1),
        _ => names(status.code()),
    };
    let mut body = json!({ "code": code, "message": status.message() });
    let details = details(status);
    if !details.is_empty() {
        body["details"] = Value::Array(details);
    }
    let mut response = answer::json_answer(http, &body);
    let wait = tonic_types::StatusExt::get_details_retry_info(status).and_then(|info| info.retry_delay);
    if let Some(wait) = wait {
        let seconds = wait.as_secs_f64().ceil().max(1.0) as u64;
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

fn reason(status: &Status) -> Option<String> {
    tonic_types::StatusExt::get_details_error_info(status).map(|info| info.reason)
}

fn plain(status: StatusCode, code: &str, message: &str) -> Response {
    answer::json_answer(status, &json!({ "code": code, "message": message }))
}

/// Returns the details as Connect writes them, with the fields in clear under `debug`.
fn details(status: &Status) -> Vec<Value> {
    use tonic_types::StatusExt;

    let found = status.get_error_details();
    let mut details = Vec::new();
    if let Some(info) = found.error_info() {
        details.push(json!({
            "type": "google.rpc.ErrorInfo",
            "debug": { "reason": info.reason, "domain": info.domain },
        }));
    }
    if let Some(bad_request) = found.bad_request() {
        let violations: Vec<Value> = bad_request
            .field_violations
            .iter()
            .map(|violation| json!({ "field": violation.field, "description": violation.description }))
            .collect();
        details.push(json!({ "type": "google.rpc.BadRequest", "debug": { "fieldViolations": violations } }));
    }
    details
}

fn names(code: Code) -> (StatusCode, &'static str) {
    match code {
        Code::Ok => (StatusCode::OK, "ok"),
        Code::Cancelled => (StatusCode::from_u16(499).unwrap_or(StatusCode::BAD_REQUEST), "canceled"),
        Code::Unknown => (StatusCode::INTERNAL_SERVER_ERROR, "unknown"),
        Code::InvalidArgument => (StatusCode::BAD_REQUEST, "invalid_argument"),
        Code::DeadlineExceeded => (StatusCode::GATEWAY_TIMEOUT, "deadline_exceeded"),
        Code::NotFound => (StatusCode::NOT_FOUND, "not_found"),
        Code::AlreadyExists => (StatusCode::CONFLICT, "already_exists"),
        Code::PermissionDenied => (StatusCode::FORBIDDEN, "permission_denied"),
        Code::ResourceExhausted => (StatusCode::TOO_MANY_REQUESTS, "resource_exhausted"),
        Code::FailedPrecondition => (StatusCode::BAD_REQUEST, "failed_precondition"),
        Code::Aborted => (StatusCode::CONFLICT, "aborted"),
        Code::OutOfRange => (StatusCode::BAD_REQUEST, "out_of_range"),
        Code::Unimplemented => (StatusCode::NOT_IMPLEMENTED, "unimplemented"),
        Code::Internal => (StatusCode::INTERNAL_SERVER_ERROR, "internal"),
        Code::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
        Code::DataLoss => (StatusCode::INTERNAL_SERVER_ERROR, "data_loss"),
        Code::Unauthenticated => (StatusCode::UNAUTHORIZED, "unauthenticated"),
    }
}

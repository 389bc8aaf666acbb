//! Events as pictures, for pages and mails where no script runs: `GET /pixel/v1/{track,page}?writeKey=…&event=…&properties.price=…`, as
//! RudderStack has it. The answer is always a picture; its status says what became of the event.

use std::sync::Arc;

use axum::{
    Extension, Router,
    body::Body,
    extract::{Path, Query, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use proto::ingestion::v1::CollectHttpRequest;
use serde_json::{Map, Value};
use tonic::transport::server::TcpConnectInfo;

use super::{
    Gate,
    answer::{self, Failure},
    collect,
    links::PIXEL,
};

/// Deeper names are kept as they are.
const MAX_DEPTH: usize = 8;

pub(crate) fn router(gate: Arc<Gate>) -> Router<Arc<Gate>> {
    Router::new().route("/pixel/v1/{call}", get(pixel)).route("/pixel/v1/{call}/", get(pixel)).with_state(gate)
}

async fn pixel(
    State(gate): State<Arc<Gate>>,
    Path(call): Path<String>,
    Query(query): Query<Vec<(String, String)>>,
    peer: Option<Extension<TcpConnectInfo>>,
    headers: HeaderMap,
) -> Response {
    if !matches!(call.as_str(), "track" | "page") {
        return answer::error(
            StatusCode::NOT_FOUND,
            &kit::Error::not_found("ROUTE_NOT_FOUND", "there is nothing at this path"),
        );
    }
    let (event, write_key) = read(query);
    let request = CollectHttpRequest {
        route: call,
        body: event.to_string().into(),
        query_write_key: write_key,
        client_ip: gate.client_ip(&headers, peer.as_ref().map(|Extension(info)| info)),
        user_agent: collect::text(&headers, &header::USER_AGENT),
        // A picture is always loaded for a visitor; on which page, the browser says in its own way, or not at all.
        origin: site_of_referrer(&headers),
        from_visitor: true,
        ..CollectHttpRequest::default()
    };
    let mut response = take(&gate, request).await.unwrap_or_else(IntoResponse::into_response);
    *response.body_mut() = Body::from(PIXEL);
    let answer = response.headers_mut();
    answer.remove(header::CONTENT_LENGTH);
    answer.insert(header::CONTENT_TYPE, HeaderValue::from_static("image/gif"));
    answer.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// Returns the origin of the page that a picture stands on; empty where nothing tells it, as in a mail.
fn site_of_referrer(headers: &HeaderMap) -> String {
    let referrer = collect::text(headers, &header::REFERER);
    let Some((scheme, rest)) = referrer.split_once("://") else { return String::new() };
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    format!("{scheme}://{host}")
}

async fn take(gate: &Gate, request: CollectHttpRequest) -> Result<Response, Failure> {
    gate.limits.collect(&collect::short_hash(&request.query_write_key)).await?;
    collect::hand_in(gate, request).await
}

/// Returns the event that a query describes, and the write key. A dot in a name leads into an object.
fn read(query: Vec<(String, String)>) -> (Value, String) {
    let mut event = Map::new();
    let mut write_key = String::new();
    for (name, value) in query {
        if name == "writeKey" {
            write_key = value;
        } else {
            put(&mut event, &name, value);
        }
    }
    (Value::Object(event), write_key)
}

fn put(object: &mut Map<String, Value>, name: &str, value: String) {
    let mut object = object;
    let mut rest = name;
    for _ in 1..MAX_DEPTH {
        let Some((first, others)) = rest.split_once('.') else { break };
        let inner = object.entry(first).or_insert_with(|| Value::Object(Map::new()));
        if !inner.is_object() {
            *inner = Value::Object(Map::new());
        }
        object = inner.as_object_mut().expect("it was just made one");
        rest = others;
    }
    object.insert(rest.to_owned(), Value::String(value));
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pairs(query: &[(&str, &str)]) -> Vec<(String, String)> {
        query.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn names_with_dots_are_objects() {
        let query = pairs(&[
            ("writeKey", "wk"),
            ("event", "Opened"),
            ("properties.price", "19.90"),
            ("properties.product.id", "p1"),
            ("context.ip", "1.2.3.4"),
        ]);

        let (event, write_key) = read(query);

        assert_eq!(write_key, "wk");
        let properties = json!({ "price": "19.90", "product": { "id": "p1" } });
        assert_eq!(event, json!({ "event": "Opened", "properties": properties, "context": { "ip": "1.2.3.4" } }));
    }

    #[test]
    fn a_picture_is_of_the_site_of_its_page() {
        for (referrer, site) in [
            ("https://shop.example/basket?x=1", "https://shop.example"),
            ("http://127.0.0.1:3000/", "http://127.0.0.1:3000"),
            ("https://shop.example", "https://shop.example"),
            ("about:blank", ""),
            ("", ""),
        ] {
            let headers = HeaderMap::from_iter([(header::REFERER, referrer.parse().unwrap())]);
            assert_eq!(site_of_referrer(&headers), site, "{referrer}");
        }
    }

    #[test]
    fn the_last_of_two_meanings_counts_and_depth_is_bounded() {
        let deep = "a.".repeat(100);
        let (event, _) = read(pairs(&[("a", "text"), ("a.b", "inner"), (&deep, "x")]));

        assert_eq!(event["a"]["b"], "inner");
        assert!(event.to_string().matches('{').count() <= MAX_DEPTH);
    }
}

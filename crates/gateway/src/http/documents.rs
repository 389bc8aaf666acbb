//! The documents that browser SDKs load before they send anything.

use std::sync::Arc;

use axum::{
    Router,
    extract::{Path, State},
    http::{HeaderMap, StatusCode, Uri, header},
    response::Response,
    routing::get,
};
use kit::Error;
use serde_json::{Map, Value, json};

use super::{
    Gate, answer,
    collect::{no_such_method, source_cors},
    sources::{self, Described, describe},
};

pub(crate) fn router(gate: &Arc<Gate>) -> Router<Arc<Gate>> {
    Router::new()
        .route("/v1/projects/{write_key}/settings", get(settings))
        .route("/v1/projects/{write_key}/settings/", get(settings))
        .route("/projects/{write_key}/settings", get(settings))
        .route("/projects/{write_key}/settings/", get(settings))
        .route("/sourceConfig", get(source_config))
        .route("/sourceConfig/", get(source_config))
        .method_not_allowed_fallback(no_such_method)
        // RudderStack's SDK sends its key along, so browsers ask first, and a star would not cover `Authorization`.
        .layer(source_cors(gate))
}

/// Settings of analytics-next: where to send, for how long to try again, which events are planned, and that no metrics about the SDK
/// itself are wanted. No `consentSettings`: an SDK that has them leaves out the categories that they do not name.
async fn settings(
    State(gate): State<Arc<Gate>>,
    Path(write_key): Path<String>,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    let source = match known(&gate, &write_key).await {
        Ok(source) => source,
        Err(refusal) => return refusal,
    };
    answer::json_answer(
        StatusCode::OK,
        &json!({
            "integrations": { "Segment.io": {
                "apiKey": write_key,
                "apiHost": format!("{}/v1", host(&headers, &uri)),
                "protocol": scheme(&headers),
                "versionSettings": { "version": "4.4.7", "componentTypes": ["browser"] },
                // By itself the SDK gives up after ten tries, a few minutes: an outage of an hour should lose nothing.
                "httpConfig": {
                    "rateLimitConfig": { "maxRetryCount": 100 },
                    "backoffConfig": { "maxRetryCount": 100 },
                },
            }},
            "plan": { "track": planned(&source) },
            "metrics": { "sampleRate": 0 },
        }),
    )
}

/// The tracking plan as SDKs know one. What it disables is still sent to us, and kept aside with its reason.
fn planned(source: &Described) -> Value {
    let entry = |name: &String| (name.clone(), json!({ "enabled": true, "integrations": {} }));
    let mut events: Map<String, Value> = source.planned_events.iter().map(entry).collect();
    events.insert("__default".to_owned(), json!({ "enabled": !source.unplanned_quarantined, "integrations": {} }));
    Value::Object(events)
}

/// Settings of the RudderStack browser SDK.
async fn source_config(State(gate): State<Arc<Gate>>, uri: Uri) -> Response {
    let write_key = sources::named_key(&uri).unwrap_or_default();
    let source = match known(&gate, &write_key).await {
        Ok(source) => source,
        Err(refusal) => return refusal,
    };
    let off = json!({ "enabled": false });
    let config: Value = json!({ "statsCollection": { "errors": off, "metrics": off } });
    answer::json_answer(
        StatusCode::OK,
        &json!({
            "source": {
                "id": source.source_id, "name": source.name, "writeKey": write_key, "enabled": true,
                "workspaceId": "comptoir", "config": config, "connections": [], "destinations": [], "dataplanes": {},
            },
            "updatedAt": "2026-01-01T00:00:00.000Z",
        }),
    )
}

/// Returns the source of a key, or what to say when there is none. When nobody can be asked, pages get what is true of every source:
/// an SDK without settings would not even keep its events.
async fn known(gate: &Gate, write_key: &str) -> Result<Arc<Described>, Response> {
    match describe(gate, write_key).await {
        Ok(Some(source)) => Ok(source),
        Ok(None) => Err(answer::error(
            StatusCode::NOT_FOUND,
            &Error::not_found("WRITE_KEY_UNKNOWN", "no source has this write key"),
        )),
        Err(error) => {
            tracing::warn!(error.cause = %kit::status::chain(&error), "settings without the source's own: ingestion does not answer");
            Ok(Arc::new(Described {
                source_id: write_key.to_owned(),
                name: "comptoir".to_owned(),
                ..Described::default()
            }))
        }
    }
}

/// Returns the host by which the caller knows this gateway; HTTP/2 says it in the address.
fn host<'a>(headers: &'a HeaderMap, uri: &'a Uri) -> &'a str {
    let said = headers.get(header::HOST).and_then(|value| value.to_str().ok());
    said.or_else(|| uri.authority().map(|authority| authority.as_str())).unwrap_or("localhost")
}

pub(super) fn scheme(headers: &HeaderMap) -> &str {
    match headers.get("x-forwarded-proto").and_then(|value| value.to_str().ok()) {
        Some("https") => "https",
        _ => "http",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_is_what_the_caller_called() {
        let named = HeaderMap::from_iter([(header::HOST, "events.shop.test:8443".parse().unwrap())]);

        assert_eq!(host(&named, &"/settings".parse().unwrap()), "events.shop.test:8443");
        assert_eq!(host(&HeaderMap::new(), &"https://events.shop.test/settings".parse().unwrap()), "events.shop.test");
    }

    #[test]
    fn a_plan_that_quarantines_tells_pages_what_it_does_not_know() {
        let mut source = Described { planned_events: vec!["Order Completed".into()], ..Described::default() };
        let enabled = |source: &Described, name: &str| planned(source)[name]["enabled"].clone();

        assert_eq!((enabled(&source, "Order Completed"), enabled(&source, "__default")), (json!(true), json!(true)));
        source.unplanned_quarantined = true;
        assert_eq!((enabled(&source, "Order Completed"), enabled(&source, "__default")), (json!(true), json!(false)));
    }
}

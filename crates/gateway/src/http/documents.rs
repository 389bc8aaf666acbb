//! The documents that browser SDKs load before they send anything.

use axum::{
    Router,
    extract::{Path, Query},
    http::{HeaderMap, StatusCode, header},
    response::Response,
    routing::get,
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{answer, collect::collector_cors};

pub(crate) fn router<S: Clone + Send + Sync + 'static>() -> Router<S> {
    Router::new()
        .route("/v1/projects/{write_key}/settings", get(settings))
        .route("/v1/projects/{write_key}/settings/", get(settings))
        .route("/projects/{write_key}/settings", get(settings))
        .route("/projects/{write_key}/settings/", get(settings))
        .route("/sourceConfig", get(source_config))
        .route("/sourceConfig/", get(source_config))
        // RudderStack's SDK sends its key along, so browsers ask first, and a star would not cover `Authorization`.
        .layer(collector_cors())
}

/// Settings of analytics-next: where to send, and that no metrics about the SDK itself are wanted.
async fn settings(Path(write_key): Path<String>, headers: HeaderMap) -> Response {
    answer::json_answer(
        StatusCode::OK,
        &json!({
            "integrations": { "Segment.io": {
                "apiKey": write_key,
                "apiHost": format!("{}/v1", host(&headers)),
                "protocol": scheme(&headers),
                "versionSettings": { "version": "4.4.7", "componentTypes": ["browser"] },
            }},
            "plan": { "track": { "__default": { "enabled": true } } },
            "metrics": { "sampleRate": 0 },
        }),
    )
}

#[derive(Deserialize)]
struct Source {
    #[serde(rename = "writeKey", default)]
    write_key: String,
}

/// Settings of the RudderStack browser SDK.
async fn source_config(Query(source): Query<Source>) -> Response {
    let off = json!({ "enabled": false });
    let config: Value = json!({ "statsCollection": { "errors": off, "metrics": off } });
    answer::json_answer(
        StatusCode::OK,
        &json!({
            "source": {
                "id": source.write_key, "name": "comptoir", "writeKey": source.write_key, "enabled": true,
                "workspaceId": "comptoir", "config": config, "connections": [], "destinations": [], "dataplanes": {},
            },
            "updatedAt": "2026-01-01T00:00:00.000Z",
        }),
    )
}

fn host(headers: &HeaderMap) -> &str {
    headers.get(header::HOST).and_then(|value| value.to_str().ok()).unwrap_or("localhost")
}

pub(super) fn scheme(headers: &HeaderMap) -> &str {
    match headers.get("x-forwarded-proto").and_then(|value| value.to_str().ok()) {
        Some("https") => "https",
        _ => "http",
    }
}

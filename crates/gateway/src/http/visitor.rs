//! The visitor's identifier in a cookie that the server sets.
//!
//! Browsers keep what a script writes for days only, so the name that a browser goes by is kept in a cookie of the gateway. Scripts
//! cannot read it (`HttpOnly`): `comptoir.js` proposes an identifier, the answer says which one holds, and every event carries that one.
//! Pages of other sites get neither (`SameSite=Lax`): the gateway must stand on the shop's own domain to recognise anybody.

use axum::{
    Json, Router,
    extract::{DefaultBodyLimit, rejection::BytesRejection},
    http::{HeaderMap, HeaderValue, header},
    response::{IntoResponse, Response},
    routing::post,
};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    answer::Failure,
    collect::{collector_cors, no_such_method},
    documents::scheme,
};

const COOKIE: &str = "comptoir_id";

/// A year, from the last time that the page asked.
const MAX_AGE_SECONDS: u32 = 365 * 86_400;

pub(crate) fn router<S: Clone + Send + Sync + 'static>() -> Router<S> {
    Router::new()
        .route("/v1/id", post(identify))
        .method_not_allowed_fallback(no_such_method)
        .layer(DefaultBodyLimit::max(1024))
        .layer(collector_cors())
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Question {
    /// The identifier to keep when there is none yet. A UUID.
    anonymous_id: Option<Uuid>,
    /// The visitor wants to be forgotten.
    forget: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    /// The identifier in force.
    #[serde(skip_serializing_if = "Option::is_none")]
    anonymous_id: Option<Uuid>,
}

/// Says who the visitor is, and has the browser keep it for another year. The body is JSON of any content type, so that the browser
/// need not ask first.
async fn identify(headers: HeaderMap, body: Result<Bytes, BytesRejection>) -> Result<Response, Failure> {
    let body = body.map_err(|_| kit::Error::invalid("BODY_TOO_LARGE", "the body must be at most 1,024 bytes"))?;
    let question: Question = if body.is_empty() {
        Question::default()
    } else {
        serde_json::from_slice(&body).map_err(|_| {
            kit::Error::invalid("BODY_INVALID", "the body must be JSON like {\"anonymousId\":\"…\"} with a UUID")
        })?
    };
    let anonymous_id =
        (!question.forget).then(|| known(&headers).or(question.anonymous_id).unwrap_or_else(Uuid::new_v4));

    let (value, max_age) = match anonymous_id {
        Some(id) => (id.to_string(), MAX_AGE_SECONDS),
        None => (String::new(), 0),
    };
    let secure = if is_secure(&headers) { "; Secure" } else { "" };
    let cookie = format!("{COOKIE}={value}; Path=/; Max-Age={max_age}; HttpOnly; SameSite=Lax{secure}");
    let cookie = HeaderValue::try_from(cookie).map_err(kit::Error::internal)?;
    let mut response = Json(Answer { anonymous_id }).into_response();
    response.headers_mut().insert(header::SET_COOKIE, cookie);
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

/// Returns the identifier in the cookie. What is no UUID is not ours and is replaced.
fn known(headers: &HeaderMap) -> Option<Uuid> {
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let values = cookies.flat_map(|value| value.split(';')).filter_map(|cookie| cookie.trim().split_once('='));
    values.filter(|(name, _)| *name == COOKIE).find_map(|(_, value)| Uuid::try_parse(value).ok())
}

/// A page under `https` can only call what is under `https`, whatever the proxy in between says.
fn is_secure(headers: &HeaderMap) -> bool {
    let origin = headers.get(header::ORIGIN).and_then(|value| value.to_str().ok());
    scheme(headers) == "https" || origin.is_some_and(|origin| origin.starts_with("https://"))
}

#[cfg(test)]
mod tests {
    use axum::{
        body::Body,
        http::{Request, StatusCode},
    };
    use http_body_util::BodyExt;
    use serde_json::{Value, json};
    use tower::ServiceExt;

    use super::*;

    const ONE: &str = "0198c1f0-1111-4111-8111-111111111111";
    const OTHER: &str = "0198c1f0-2222-4222-8222-222222222222";

    async fn ask(origin: &str, cookie: &str, body: String) -> (StatusCode, String, Value) {
        let request = Request::post("/v1/id").header(header::ORIGIN, origin).header(header::COOKIE, cookie);
        let response = router::<()>().oneshot(request.body(Body::from(body)).unwrap()).await.unwrap();
        let (head, body) = response.into_parts();
        let cookie = head.headers.get(header::SET_COOKIE).map(|value| value.to_str().unwrap().to_owned());
        let answer = serde_json::from_slice(&body.collect().await.unwrap().to_bytes()).unwrap();
        (head.status, cookie.unwrap_or_default(), answer)
    }

    #[tokio::test]
    async fn a_proposed_identifier_is_kept_for_a_year() {
        let (_, cookie, answer) = ask("https://shop.example", "", json!({ "anonymousId": ONE }).to_string()).await;

        assert_eq!(answer["anonymousId"], ONE);
        assert_eq!(cookie, format!("comptoir_id={ONE}; Path=/; Max-Age=31536000; HttpOnly; SameSite=Lax; Secure"));
    }

    #[tokio::test]
    async fn the_cookie_wins_and_is_refreshed() {
        let cookies = format!("theme=dark; comptoir_id={ONE}");

        let (_, cookie, answer) = ask("http://shop.test", &cookies, json!({ "anonymousId": OTHER }).to_string()).await;

        assert_eq!(answer["anonymousId"], ONE);
        assert!(cookie.starts_with(&format!("comptoir_id={ONE};")) && !cookie.contains("Secure"), "{cookie}");
    }

    #[tokio::test]
    async fn what_is_no_identifier_is_replaced() {
        let (status, cookie, answer) = ask("http://shop.test", "comptoir_id=<script>", String::new()).await;

        assert_eq!(status, StatusCode::OK);
        let drawn = Uuid::try_parse(answer["anonymousId"].as_str().unwrap()).unwrap();
        assert!(cookie.contains(&drawn.to_string()));
    }

    #[tokio::test]
    async fn who_wants_to_be_forgotten_is() {
        let (_, cookie, answer) =
            ask("http://shop.test", &format!("comptoir_id={ONE}"), json!({ "forget": true }).to_string()).await;

        assert_eq!(answer, json!({}));
        assert!(cookie.starts_with("comptoir_id=; ") && cookie.contains("Max-Age=0"), "{cookie}");
    }

    #[tokio::test]
    async fn other_bodies_are_refused() {
        for body in ["7", "{\"anonymousId\":\"me\"}", "{\"anonymousId\":7}", "{"] {
            let (status, cookie, answer) = ask("http://shop.test", "", body.to_owned()).await;

            assert_eq!((status, cookie.as_str()), (StatusCode::BAD_REQUEST, ""), "{body}");
            assert_eq!(answer["code"], "BODY_INVALID");
        }
    }
}

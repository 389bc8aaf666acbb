//! The browser script, served by the gateway itself: a page needs nobody else's server to be measured.

use std::{io::Write, sync::LazyLock};

use axum::{
    Router,
    body::Body,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::Response,
    routing::get,
};
use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use sha2::{Digest, Sha256};

/// The script as it was built from `browser/src`; a test of the build says that it is current.
const SCRIPT: &[u8] = include_bytes!("../../browser/dist/comptoir.js");

/// An hour, and a day more while a new one is fetched: a new release reaches every page within a day.
const CACHE: HeaderValue = HeaderValue::from_static("public, max-age=3600, stale-while-revalidate=86400");

static ZIPPED: LazyLock<Bytes> = LazyLock::new(|| {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(SCRIPT).and_then(|()| encoder.finish()).expect("writing to memory cannot fail").into()
});

/// Weak, as it names the script in whatever encoding.
static ETAG: LazyLock<HeaderValue> = LazyLock::new(|| {
    let hash: String = Sha256::digest(SCRIPT)[..12].iter().map(|byte| format!("{byte:02x}")).collect();
    HeaderValue::try_from(format!("W/\"{hash}\"")).expect("hexadecimal digits are visible characters")
});

pub(crate) fn router<S: Clone + Send + Sync + 'static>() -> Router<S> {
    Router::new()
        .route("/comptoir.js", get(script))
        // Where the snippet of Segment's documentation looks for its script: ours answers its calls.
        .route("/analytics.js/v1/{write_key}/analytics.min.js", get(script))
}

async fn script(headers: HeaderMap) -> Response {
    let unchanged =
        says(&headers, &header::IF_NONE_MATCH, |tag| tag == "*" || ETAG.to_str().is_ok_and(|own| own == tag));
    let zipped = says(&headers, &header::ACCEPT_ENCODING, |coding| coding == "gzip");
    let mut response = match (unchanged, zipped) {
        (true, _) => Response::new(Body::empty()),
        (false, true) => Response::new(Body::from(ZIPPED.clone())),
        (false, false) => Response::new(Body::from(SCRIPT)),
    };
    if unchanged {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    }
    let answer = response.headers_mut();
    if !unchanged {
        answer.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/javascript; charset=utf-8"));
        if zipped {
            answer.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
    }
    answer.insert(header::ETAG, ETAG.clone());
    answer.insert(header::CACHE_CONTROL, CACHE);
    answer.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    answer.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    // It is public: any page may load it, checked by its hash (`integrity`) or not.
    answer.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    let cross_origin = HeaderName::from_static("cross-origin-resource-policy");
    answer.insert(cross_origin, HeaderValue::from_static("cross-origin"));
    response
}

/// Whether one of a header's values, separated by commas and without parameters, is as wanted.
fn says(headers: &HeaderMap, name: &HeaderName, wanted: impl Fn(&str) -> bool) -> bool {
    let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|value| {
        let (value, parameters) = value.split_once(';').unwrap_or((value, ""));
        !parameters.trim().eq_ignore_ascii_case("q=0") && wanted(value.trim())
    })
}

#[cfg(test)]
mod tests {
    use axum::http::Request;
    use http_body_util::BodyExt;
    use tower::ServiceExt;

    use super::*;

    async fn fetch(name: HeaderName, value: &str) -> (StatusCode, HeaderMap, Bytes) {
        let request = Request::get("/comptoir.js").header(name, value).body(Body::empty()).unwrap();
        let response = router::<()>().oneshot(request).await.unwrap();
        let (head, body) = response.into_parts();
        (head.status, head.headers, body.collect().await.unwrap().to_bytes())
    }

    #[tokio::test]
    async fn the_script_is_small_and_may_be_kept() {
        let (status, headers, plain) = fetch(header::ACCEPT_ENCODING, "identity, gzip;q=0").await;
        let (_, zipped_headers, zipped) = fetch(header::ACCEPT_ENCODING, "br, gzip").await;

        assert_eq!(status, StatusCode::OK);
        assert_eq!(plain, SCRIPT);
        assert_eq!(headers[header::CONTENT_TYPE], "text/javascript; charset=utf-8");
        assert_eq!(headers[header::CACHE_CONTROL], CACHE);
        assert_eq!(headers[header::ACCESS_CONTROL_ALLOW_ORIGIN], "*");
        assert!(headers.get(header::CONTENT_ENCODING).is_none());
        assert_eq!(zipped_headers[header::CONTENT_ENCODING], "gzip");
        assert!(zipped.len() < 12_000, "{} bytes", zipped.len());
        let mut unzipped = Vec::new();
        std::io::copy(&mut flate2::read::GzDecoder::new(&zipped[..]), &mut unzipped).unwrap();
        assert_eq!(unzipped, SCRIPT);
    }

    #[tokio::test]
    async fn who_has_it_is_told_so() {
        let (status, headers, body) =
            fetch(header::IF_NONE_MATCH, &format!("\"other\", {}", ETAG.to_str().unwrap())).await;
        let (changed, _, _) = fetch(header::IF_NONE_MATCH, "W/\"other\"").await;

        assert_eq!((status, changed), (StatusCode::NOT_MODIFIED, StatusCode::OK));
        assert!(body.is_empty());
        assert_eq!(headers[header::ETAG], *ETAG);
    }
}

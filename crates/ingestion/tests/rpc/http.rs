use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use proto::event::v1::event::Body;
use proto::ingestion::v1::verdict::Outcome::{Accepted, Duplicate, Quarantined};
use proto::ingestion::v1::{CollectHttpRequest, CollectHttpResponse};

use crate::harness::{WRITE_KEY, basic, both, outcomes};

fn body(response: &CollectHttpResponse) -> serde_json::Value {
    serde_json::from_slice(&response.body).unwrap()
}

fn code(response: &CollectHttpResponse) -> (u32, String) {
    let body = body(response);
    assert!(body["message"].is_string(), "every error has code and message");
    (response.status, body["code"].as_str().unwrap().to_owned())
}

fn gzipped(content: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test]
async fn a_batch_of_an_sdk_is_taken_event_by_event() {
    for setup in both().await {
        setup.source().await;
        let batch = r#"{"batch":[
            {"type":"track","event":"Order Completed","userId":"u","messageId":"m-1",
             "properties":{"order_id":"o","total":"9.99","currency":"EUR"}},
            {"type":"track","userId":"u","messageId":"m-2"},
            "not an event",
            {"type":"identify","userId":7,"anonymousId":null,"messageId":"m-3","traits":{"email":"a@b.fr"}}]}"#;

        let first = setup.post("batch", batch).await;
        let again = setup.post("batch", batch).await;

        assert_eq!((first.status, &first.body[..]), (200, &br#"{"success":true}"#[..]));
        assert_eq!(outcomes(&first.verdicts), [Accepted, Quarantined, Quarantined, Accepted]);
        assert_eq!(
            (again.status, outcomes(&again.verdicts)),
            (200, vec![Duplicate, Quarantined, Quarantined, Duplicate])
        );
        let logged = setup.logged("shop").await;
        assert_eq!(logged.len(), 2);
        assert!(logged.iter().any(|event| matches!(event.body, Some(Body::OrderActivity(_)))));
    }
}

#[tokio::test]
async fn single_events_come_by_long_and_short_routes() {
    for setup in both().await {
        setup.source().await;

        for route in ["track", "t", "/track/", "identify", "i", "page", "p", "screen", "s"] {
            let response = setup.post(route, r#"{"event":"x","anonymousId":"a"}"#).await;
            assert_eq!(outcomes(&response.verdicts), [Accepted], "{route}");
        }
        assert_eq!(outcomes(&setup.post("g", r#"{"groupId":"g","userId":"u"}"#).await.verdicts), [Accepted]);
        assert_eq!(outcomes(&setup.post("a", r#"{"previousId":"a","userId":"u"}"#).await.verdicts), [Accepted]);
        assert_eq!(setup.post("m", r#"{"series":[]}"#).await.status, 200);
        assert_eq!(code(&setup.post("projects", "{}").await), (404, "ROUTE_UNKNOWN".into()));
    }
}

#[tokio::test]
async fn a_write_key_is_found_wherever_sdks_put_it() {
    for setup in both().await {
        setup.source().await;
        let event = r#"{"type":"track","event":"x","userId":"u"}"#;
        let with_key = |key: &str| format!(r#"{{"writeKey":"{key}","batch":[{event}]}}"#);
        let plain = format!(r#"{{"batch":[{event}]}}"#);
        let request = |body: &str, authorization: &str, query: &str| CollectHttpRequest {
            route: "batch".into(),
            body: body.as_bytes().to_vec().into(),
            authorization: authorization.into(),
            query_write_key: query.into(),
            ..CollectHttpRequest::default()
        };

        for good in [
            request(&plain, &basic(WRITE_KEY), ""),
            request(&with_key(WRITE_KEY), "", ""),
            request(&with_key(WRITE_KEY), "Bearer a-token", ""),
            request(&plain, "", WRITE_KEY),
            request(&with_key("ignored"), &basic(WRITE_KEY), ""),
            request(&with_key(WRITE_KEY), &basic(""), ""),
        ] {
            assert_eq!(setup.forward(good).await.status, 200);
        }
        assert_eq!(code(&setup.forward(request(&plain, "", "")).await), (401, "WRITE_KEY_MISSING".into()));
        for bad in [
            request(&plain, &basic("wk_unknown"), ""),
            request(&with_key("x\\u0000"), "", ""),
            request(&plain, "", "x"),
        ] {
            assert_eq!(code(&setup.forward(bad).await), (401, "WRITE_KEY_UNKNOWN".into()));
        }
    }
}

#[tokio::test]
async fn bodies_that_cannot_be_read_get_their_answer() {
    for setup in both().await {
        setup.source().await;
        let encoded = |body: Vec<u8>, encoding: &str| CollectHttpRequest {
            route: "batch".into(),
            body: body.into(),
            content_encoding: encoding.into(),
            authorization: basic(WRITE_KEY),
            ..CollectHttpRequest::default()
        };

        for (request, expected) in [
            (encoded(b"not json".to_vec(), ""), (400, "BODY_INVALID")),
            (encoded(vec![0xff, 0xfe], ""), (400, "BODY_INVALID")),
            (encoded(Vec::new(), ""), (400, "BODY_INVALID")),
            (encoded(b"[".repeat(10_000), ""), (400, "BODY_INVALID")),
            (encoded(b"{}".to_vec(), ""), (400, "BATCH_MISSING")),
            (encoded(b"{}".to_vec(), "gzip"), (400, "BODY_INVALID")),
            (encoded(b"{}".to_vec(), "br"), (415, "ENCODING_UNKNOWN")),
            (encoded(vec![b' '; (4 << 20) + 1], ""), (413, "BODY_TOO_LARGE")),
            (encoded(gzipped(&vec![b' '; 64 << 20]), "gzip"), (413, "BODY_TOO_LARGE")),
            (encoded(format!(r#"{{"batch":[{}1]}}"#, "1,".repeat(5_000)).into_bytes(), ""), (413, "TOO_MANY_EVENTS")),
        ] {
            assert_eq!(code(&setup.forward(request).await), (expected.0, expected.1.to_owned()));
        }
        let packed = gzipped(br#"{"batch":[{"type":"track","event":"x","userId":"u"}]}"#);
        assert_eq!(outcomes(&setup.forward(encoded(packed, "gzip")).await.verdicts), [Accepted]);
        assert_eq!(setup.post("batch", r#"{"batch":[]}"#).await.status, 200);
    }
}

#[tokio::test]
async fn monstrous_events_are_kept_and_their_neighbours_taken() {
    for setup in both().await {
        setup.source().await;
        let deep = format!(
            r#"{{"type":"track","event":"x","userId":"u","properties":{{"a":{}{}}}}}"#,
            "[".repeat(10_000),
            "]".repeat(10_000)
        );
        let large =
            format!(r#"{{"type":"track","event":"x","userId":"u","properties":{{"a":"{}"}}}}"#, "x".repeat(200_000));
        let good = r#"{"type":"track","event":"cut \ud83d","userId":"nul\u0000","properties":{"a":"\u0000"}}"#;

        let response = setup.post("batch", format!(r#"{{"batch":[{deep},{large},{good}]}}"#)).await;

        assert_eq!(outcomes(&response.verdicts), [Quarantined, Quarantined, Accepted]);
        let reasons: Vec<&str> = response.verdicts.iter().map(|verdict| verdict.reason.as_str()).collect();
        assert_eq!(reasons, ["TOO_DEEP", "EVENT_TOO_LARGE", ""]);
        assert_eq!(setup.logged("shop").await[0].name, "cut \u{fffd}");
    }
}

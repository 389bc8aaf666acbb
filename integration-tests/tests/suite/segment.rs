//! What SDKs of Segment and RudderStack rely on, over HTTP: routes, credentials, encodings, what browsers ask first, documents, answers.

use std::io::Write;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use comptoir::{api::Api, shop::Stage, web::Answer};
use comptoir_integration_tests::{Embedded, Engine, Subject, http::json, log::event_log, read, scenario};
use flate2::{
    Compression,
    write::{GzEncoder, ZlibEncoder},
};
use http::{Method, Request, StatusCode};
use http_body_util::Full;
use proto::{
    event::v1::Event,
    ingestion::v1::{
        PutTrackingPlanRequest, SetSourceOriginsRequest, Source, TrackingPlan,
        tracking_plan::{Mode, Rule},
        tracking_plan_service_client::TrackingPlanServiceClient,
    },
    scoring::v1::SummarizeOrdersRequest,
};
use serde_json::{Value, json as object};

/// A shop behind one proxy.
struct Shop {
    subject: Embedded,
    api: Api,
    source_id: String,
    key: String,
}

type Headers<'a> = &'a [(&'a str, &'a str)];

impl Shop {
    async fn open() -> anyhow::Result<Self> {
        let subject = Embedded::start_with(Engine::Sqlite, scenario::start(), |config| {
            config.access.trusted_proxies = 1;
            config.access.key_cache_seconds = 0;
        })
        .await?;
        let api = subject.api(&subject.operator()?.create_tenant("shop").await?)?;
        let source =
            Source { name: "site".into(), kind: "site".into(), default_currency: "EUR".into(), ..Source::default() };
        let created = api.create_source(source).await?;
        Ok(Self { subject, api, source_id: created.source.unwrap_or_default().source_id, key: created.write_key })
    }

    /// Each request has its own connection: a server that refuses a large body may close it.
    async fn send(
        &self,
        method: Method,
        path: &str,
        headers: Headers<'_>,
        body: impl Into<Vec<u8>>,
    ) -> anyhow::Result<Answer> {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        Ok(self.subject.web()?.send(request.body(Full::new(body.into().into()))?).await?)
    }

    async fn post(&self, path: &str, headers: Headers<'_>, body: impl Into<Vec<u8>>) -> anyhow::Result<Answer> {
        self.send(Method::POST, path, headers, body).await
    }

    async fn get(&self, path: &str, headers: Headers<'_>) -> anyhow::Result<Answer> {
        self.send(Method::GET, path, headers, Vec::new()).await
    }

    fn basic(&self) -> String {
        basic(&format!("{}:", self.key))
    }

    /// Returns the events of the log, by message id.
    async fn event(&self, message_id: &str) -> anyhow::Result<Event> {
        let logged = event_log(&self.subject).await?.into_iter().map(|logged| logged.event);
        let found = logged.filter(|event| event.message_id == message_id).collect::<Vec<_>>();
        let [event] = found.as_slice() else { anyhow::bail!("{message_id} is {} times in the log", found.len()) };
        Ok(event.clone())
    }
}

fn basic(credential: &str) -> String {
    format!("Basic {}", STANDARD.encode(credential))
}

/// Success as the strictest SDK knows it.
fn assert_taken(answer: &Answer, what: &str) {
    assert_eq!((answer.status, &answer.body[..]), (StatusCode::OK, &br#"{"success":true}"#[..]), "{what}");
    assert_eq!(answer.headers["content-type"], "application/json", "{what}");
}

/// A refusal that no SDK stumbles over.
fn assert_refused(answer: &Answer, status: u16, code: &str) {
    let told = json(answer);
    assert_eq!((answer.status.as_u16(), told["code"].as_str()), (status, Some(code)), "{told}");
    assert!(told["message"].as_str().is_some_and(|message| !message.is_empty()), "{told}");
}

fn header<'a>(answer: &'a Answer, name: &str) -> &'a str {
    answer.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_route_takes_every_credential_content_type_and_encoding() -> anyhow::Result<()> {
    let shop = Shop::open().await?;
    let (key, authorization) = (shop.key.as_str(), shop.basic());
    let mut sent = 0;

    for route in ["t", "track", "i", "identify", "p", "page", "s", "screen", "g", "group", "a", "alias"] {
        for slash in ["", "/"] {
            // The type is missing: the path says it. SDKs of one event send their envelope with it.
            let body = object!({ "messageId": format!("{route}{slash}"), "event": "x", "userId": 7, "anonymousId": null,
                "groupId": "g", "previousId": "before", "writeKey": key, "sentAt": scenario::start(), "_metadata": {} });
            let answer = shop.post(&format!("/v1/{route}{slash}"), &[], body.to_string()).await?;
            assert_taken(&answer, route);
            sent += 1;
        }
    }
    let names = [
        ("t", "x"),
        ("i", "Identified"),
        ("p", "Page Viewed"),
        ("s", "Screen Viewed"),
        ("g", "Grouped"),
        ("a", "Aliased"),
    ];
    for (route, name) in names {
        assert_eq!(shop.event(route).await?.name, name, "{route}");
    }

    let mut messages = 0;
    let mut batch = |outer: Value, inner: Value| {
        messages += 1;
        let mut body =
            object!({ "batch": [{ "type": "page", "userId": "u", "messageId": format!("batch-{messages}") }] });
        body["batch"][0].as_object_mut().unwrap().extend(inner.as_object().unwrap().clone());
        body.as_object_mut().unwrap().extend(outer.as_object().unwrap().clone());
        body.to_string()
    };
    let none = || object!({});
    let bare = basic(key);
    let with_password = basic(&format!("{key}:secret"));
    let credentials: Vec<(&str, String, String)> = vec![
        ("", authorization.clone(), batch(none(), none())),
        ("", bare, batch(none(), none())),
        ("", with_password, batch(none(), none())),
        ("", authorization.clone(), batch(object!({ "writeKey": "another" }), none())),
        ("", String::new(), batch(object!({ "writeKey": key }), none())),
        ("", String::new(), batch(none(), object!({ "writeKey": key }))),
        ("", "Bearer a.token".to_owned(), batch(object!({ "writeKey": key }), none())),
        ("?writeKey=KEY", String::new(), batch(none(), none())),
        ("?writeKey=another&writeKey=KEY", String::new(), batch(none(), none())),
    ];
    for (query, authorization, body) in credentials {
        let path = format!("/v1/batch{}", query.replace("KEY", key));
        let headers = [("authorization", authorization.as_str())];
        let headers = if authorization.is_empty() { &[] } else { &headers[..] };
        assert_taken(&shop.post(&path, headers, body.clone()).await?, &format!("{path} {authorization} {body}"));
        sent += 1;
    }
    for path in [
        "/v1/batch/",
        "/v1/b",
        "/v1/b/",
        "/v1/import",
        "/v1/import/",
        "/beacon/v1/batch?writeKey=KEY",
        "/beacon/v1/batch/?writeKey=KEY",
    ] {
        let path = path.replace("KEY", key);
        let body = batch(if path.contains('?') { none() } else { object!({ "writeKey": key }) }, none());
        assert_taken(&shop.post(&path, &[], body).await?, &path);
        sent += 1;
    }
    for content_type in
        ["application/json", "text/plain;charset=UTF-8", "application/x-www-form-urlencoded", "image/png", ""]
    {
        let headers = [
            ("authorization", authorization.as_str()),
            ("content-type", content_type),
            ("anonymousid", "YQ=="),
            ("sentat", "x"),
        ];
        assert_taken(&shop.post("/v1/batch", &headers, batch(none(), none())).await?, content_type);
        sent += 1;
    }
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(batch(none(), none()).as_bytes())?;
    let mut deflate = ZlibEncoder::new(Vec::new(), Compression::fast());
    deflate.write_all(batch(none(), none()).as_bytes())?;
    for (encoding, body) in [("gzip", gzip.finish()?), ("deflate", deflate.finish()?)] {
        let headers = [
            ("authorization", authorization.as_str()),
            ("content-encoding", encoding),
            ("content-type", "application/x-www-form-urlencoded"),
        ];
        assert_taken(&shop.post("/v1/batch", &headers, body).await?, encoding);
        sent += 1;
    }
    for path in ["/v1/m", "/v1/m/"] {
        assert_taken(&shop.post(path, &[], r#"{"series":[]}"#).await?, path);
    }
    for path in ["/pixel/v1/track?event=Opened&userId=u&writeKey=", "/pixel/v1/page/?userId=u&writeKey="] {
        let answer = shop.get(&format!("{path}{key}"), &[]).await?;
        assert_eq!((answer.status, header(&answer, "content-type")), (StatusCode::OK, "image/gif"), "{path}");
        sent += 1;
    }

    let counts = read::event_counts(&shop.api).await?.remove("site").unwrap_or_default();
    assert_eq!((counts.accepted, counts.duplicate, counts.quarantined), (sent, 0, 0));
    shop.subject.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_are_what_sdks_understand() -> anyhow::Result<()> {
    let shop = Shop::open().await?;
    let authorization = shop.basic();
    let auth = ("authorization", authorization.as_str());
    let page = |message_id: &str, text: usize| object!({ "type": "page", "userId": "u", "messageId": message_id, "properties": { "text": "x".repeat(text) } });

    // Python stops after it has crossed 475,000 bytes; the guard of analytics-node does not work.
    let of_python: Vec<Value> = (0..508).map(|number| page(&format!("python-{number}"), 910)).collect();
    let of_python = object!({ "batch": of_python }).to_string();
    assert!(of_python.len() > 500_000);
    assert_taken(&shop.post("/v1/batch", &[auth], of_python).await?, "a batch of python");
    let of_node: Vec<Value> = (0..15).map(|number| page(&format!("node-{number}"), 100_000)).collect();
    assert_taken(&shop.post("/v1/batch", &[auth], object!({ "batch": of_node }).to_string()).await?, "a batch of node");

    let mixed = object!({ "batch": [page("good", 1), { "type": "track", "userId": "u" }, page("large", 200_000), 7] });
    let answer = shop.post("/v1/batch", &[auth, ("x-retry-count", "1")], mixed.to_string()).await?;
    assert_taken(&answer, "a batch with bad events");
    assert_eq!(header(&answer, "comptoir-quarantined"), "1=NAME_MISSING, 2=EVENT_TOO_LARGE, 3=MALFORMED");
    let counts = read::event_counts(&shop.api).await?.remove("site").unwrap_or_default();
    assert_eq!((counts.accepted, counts.quarantined), (508 + 15 + 1, 3));
    let metrics = String::from_utf8_lossy(&shop.get("/metrics", &[]).await?.body).into_owned();
    assert!(
        metrics.contains("comptoir_gateway_retried_collect_requests_total 1\n"),
        "one request was told to be a retry"
    );

    for (path, headers, body, status, code) in [
        ("/v1/batch", vec![auth], "hello", 400, "BODY_INVALID"),
        ("/v1/batch", vec![auth], "{}", 400, "BATCH_MISSING"),
        ("/v1/batch", vec![], r#"{"batch":[]}"#, 401, "WRITE_KEY_MISSING"),
        ("/v1/t", vec![], r#"{"writeKey":"wk_unknown","event":"x","userId":"u"}"#, 401, "WRITE_KEY_UNKNOWN"),
        ("/v1/batch", vec![auth, ("content-encoding", "br")], "{}", 415, "ENCODING_UNKNOWN"),
        ("/v1/batch", vec![auth, ("content-encoding", "zstd")], "{}", 415, "ENCODING_UNKNOWN"),
        ("/v1/sing", vec![auth], "{}", 404, "ROUTE_UNKNOWN"),
        ("/v1/%ff", vec![auth], "{}", 404, "ROUTE_UNKNOWN"),
        ("/v1/a/b/c", vec![auth], "{}", 404, "ROUTE_NOT_FOUND"),
        ("/v1/id", vec![], "{", 400, "BODY_INVALID"),
    ] {
        assert_refused(&shop.post(path, &headers, body).await?, status, code);
    }
    assert_refused(&shop.post("/v1/id", &[], "x".repeat(2_000)).await?, 413, "BODY_TOO_LARGE");
    for path in ["/v1/batch", "/v1/t/", "/v1/id"] {
        assert_refused(&shop.get(path, &[auth]).await?, 405, "METHOD_NOT_ALLOWED");
    }
    shop.subject.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_client_is_whom_the_proxy_saw() -> anyhow::Result<()> {
    let shop = Shop::open().await?;
    let hops = ("x-forwarded-for", "6.6.6.6, 2001:db8:85a3:8d3:1319:8a2e:370:7348");
    let page = |message_id: &str, context: Value| {
        object!({ "messageId": message_id, "userId": "u", "writeKey": shop.key, "context": context }).to_string()
    };
    let node = || object!({ "library": { "name": "@segment/analytics-node" } });
    let own = object!({ "library": { "name": "analytics.js" }, "ip": "203.0.113.7" });
    let direct = object!({ "library": { "name": "@segment/analytics-node" }, "direct": true });

    for (message_id, headers, context) in [
        ("browser", vec![hops], object!({ "library": { "name": "analytics.js" } })),
        ("server", vec![hops], node()),
        ("direct", vec![hops], direct),
        ("own", vec![hops], own),
        ("of a page", vec![hops, ("origin", "https://shop.example")], object!({})),
        ("plain", vec![hops], object!({})),
    ] {
        assert_taken(&shop.post("/v1/page", &headers, page(message_id, context)).await?, message_id);
    }

    let seen = "2001:db8:85a3::";
    let expected = [
        ("browser", seen),
        ("server", ""),
        ("direct", seen),
        ("own", "203.0.113.0"),
        ("of a page", seen),
        ("plain", ""),
    ];
    for (message_id, ip) in expected {
        assert_eq!(shop.event(message_id).await?.context.unwrap_or_default().ip, ip, "{message_id}");
    }
    shop.subject.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn browsers_are_told_who_may_send() -> anyhow::Result<()> {
    let shop = Shop::open().await?;
    let key = shop.key.clone();
    let ours = ("origin", "https://shop.example");
    let strange = ("origin", "https://strange.example");
    let asks = |origin| {
        let asked = "anonymousid,authorization,content-type,sentat,x-retry-count";
        [origin, ("access-control-request-method", "POST"), ("access-control-request-headers", asked)]
    };
    let event = |message_id: &str| {
        object!({ "type": "page", "userId": "u", "messageId": message_id, "writeKey": key }).to_string()
    };

    for path in ["/v1/batch", "/v1/t/", "/beacon/v1/batch", "/v1/id", "/sourceConfig"] {
        let answer = shop.send(Method::OPTIONS, path, &asks(ours), "").await?;
        assert_eq!(answer.status, StatusCode::OK, "{path}");
        for (name, value) in [
            ("access-control-allow-origin", "https://shop.example"),
            ("access-control-allow-credentials", "true"),
            ("access-control-allow-methods", "GET,POST,OPTIONS"),
            ("access-control-allow-headers", asks(ours)[2].1),
            ("access-control-max-age", "7200"),
        ] {
            assert_eq!(header(&answer, name), value, "{path}");
        }
        let varies = answer
            .headers
            .get_all("vary")
            .iter()
            .any(|value| value.to_str().is_ok_and(|value| value.contains("origin")));
        assert!(varies, "{path}");
    }
    let answer = shop.post("/v1/p", &[strange], event("before")).await?;
    assert_taken(&answer, "every site may send until some are named");
    assert_eq!(header(&answer, "access-control-allow-origin"), strange.1);
    assert!(header(&answer, "access-control-expose-headers").split(',').any(|name| name == "retry-after"));

    let allowed_origins = vec!["https://Shop.example/".to_owned(), "https://*.shop.example".to_owned()];
    let set = SetSourceOriginsRequest { source_id: shop.source_id.clone(), allowed_origins };
    let stored = shop.api.sources().set_source_origins(set).await?.into_inner().allowed_origins;
    assert_eq!(stored, ["https://shop.example", "https://*.shop.example"]);
    assert_eq!(read::sources(&shop.api).await?[0].allowed_origins, stored);

    assert_refused(&shop.post("/v1/p", &[strange], event("strange")).await?, 403, "ORIGIN_NOT_ALLOWED");
    assert_refused(&shop.post("/v1/p", &[("origin", "null")], event("strange")).await?, 403, "ORIGIN_NOT_ALLOWED");
    for headers in [&[ours][..], &[("origin", "https://www.shop.example")], &[]] {
        assert_taken(
            &shop.post("/v1/p", headers, event(&format!("{headers:?}"))).await?,
            "a site that may send, and a server",
        );
    }
    // Where the address names the key, the browser does not even send.
    for path in [
        format!("/beacon/v1/batch?writeKey={key}"),
        format!("/v1/projects/{key}/settings"),
        format!("/sourceConfig?writeKey={key}"),
    ] {
        let [allowed, refused] = [
            shop.send(Method::OPTIONS, &path, &asks(ours), "").await?,
            shop.send(Method::OPTIONS, &path, &asks(strange), "").await?,
        ];
        assert_eq!(header(&allowed, "access-control-allow-origin"), ours.1, "{path}");
        assert_eq!(header(&refused, "access-control-allow-origin"), "", "{path}");
    }
    let pixel = format!("/pixel/v1/page?userId=u&writeKey={key}");
    for (headers, status) in [
        (vec![], 200),
        (vec![("referer", "https://shop.example/a")], 200),
        (vec![("referer", "https://strange.example/")], 403),
    ] {
        assert_eq!(shop.get(&pixel, &headers).await?.status.as_u16(), status, "{headers:?}");
    }
    let counts = read::event_counts(&shop.api).await?.remove("site").unwrap_or_default();
    assert_eq!((counts.accepted, counts.quarantined), (1 + 3 + 2, 0), "of what was refused nothing is anywhere");
    shop.subject.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_get_their_settings_and_scripts() -> anyhow::Result<()> {
    let shop = Shop::open().await?;
    let key = shop.key.clone();
    let address = shop.subject.url().replace("http://", "");
    let rule = Rule { event_name: "Order Completed".into(), schema_json: (&b"{}"[..]).into() };
    let plan = TrackingPlan {
        source_id: shop.source_id.clone(),
        mode: Mode::Warn.into(),
        unplanned_mode: Mode::Quarantine.into(),
        rules: vec![rule],
        ..TrackingPlan::default()
    };
    let mut plans = TrackingPlanServiceClient::new(shop.api.channel());
    plans.put_tracking_plan(PutTrackingPlanRequest { plan: Some(plan), expected_version: 0 }).await?;

    for prefix in ["/v1/projects", "/projects"] {
        for slash in ["", "/"] {
            let answer =
                shop.get(&format!("{prefix}/{key}/settings{slash}"), &[("x-forwarded-proto", "https")]).await?;
            let settings = json(&answer);
            let segment = &settings["integrations"]["Segment.io"];
            assert_eq!((&segment["apiKey"], &segment["protocol"]), (&object!(key), &object!("https")), "{settings}");
            assert_eq!(segment["apiHost"], format!("{address}/v1"));
            assert_eq!(segment["versionSettings"], object!({ "version": "4.4.7", "componentTypes": ["browser"] }));
            assert_eq!(segment["httpConfig"]["rateLimitConfig"]["maxRetryCount"], 100);
            assert_eq!(settings["metrics"]["sampleRate"], 0);
            assert_eq!(settings["plan"]["track"]["Order Completed"]["enabled"], true);
            assert_eq!(settings["plan"]["track"]["__default"]["enabled"], false);
        }
    }
    for slash in ["", "/"] {
        let config = json(&shop.get(&format!("/sourceConfig{slash}?p=web&writeKey={key}"), &[]).await?);
        let source = &config["source"];
        assert_eq!(
            (&source["id"], &source["name"], &source["writeKey"]),
            (&object!(shop.source_id), &object!("site"), &object!(key))
        );
        assert_eq!(
            (&source["enabled"], &source["connections"], &source["destinations"]),
            (&object!(true), &object!([]), &object!([]))
        );
        assert_eq!(source["config"]["statsCollection"]["errors"]["enabled"], false);
        assert!(
            source["dataplanes"].is_object() && source["workspaceId"].is_string() && config["updatedAt"].is_string()
        );
    }
    for path in ["/v1/projects/wk_unknown/settings", "/sourceConfig?writeKey=wk_unknown", "/sourceConfig"] {
        assert_refused(&shop.get(path, &[]).await?, 404, "WRITE_KEY_UNKNOWN");
    }

    for path in ["/comptoir.js".to_owned(), format!("/analytics.js/v1/{key}/analytics.min.js")] {
        let answer = shop.get(&path, &[("accept-encoding", "gzip")]).await?;
        assert_eq!((answer.status, header(&answer, "content-encoding")), (StatusCode::OK, "gzip"), "{path}");
        assert!(answer.body.len() < 12_000 && !header(&answer, "etag").is_empty());
        let again = shop.get(&path, &[("if-none-match", header(&answer, "etag"))]).await?;
        assert_eq!((again.status, again.body.len()), (StatusCode::NOT_MODIFIED, 0), "{path}");
    }
    shop.subject.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_that_browser_and_server_tell_counts_once() -> anyhow::Result<()> {
    let shop = Shop::open().await?;
    let authorization = shop.basic();
    let order = |message_id: &str, who: &str, id: &str, total: Value| {
        let mut event = object!({ "type": "track", "event": "Order Completed", "messageId": message_id,
            "properties": { "order_id": "o-1", "total": total, "currency": "eur", "products": [{ "product_id": "p1", "price": "19.90" }] } });
        event[who] = object!(id);
        event
    };
    // The browser knows the visitor, the server the customer; that both are one is known by a later word.
    let batch = [
        order("ajs-next-1", "anonymousId", "a-1", object!("19.90")),
        order("node-next-1", "userId", "u-1", object!(19.9)),
        order("node-next-2", "userId", "u-1", object!("19.90")),
        object!({ "type": "identify", "userId": "u-1", "anonymousId": "a-1", "messageId": "one" }),
    ];

    for event in batch {
        let body = object!({ "batch": [event] }).to_string();
        assert_taken(&shop.post("/v1/batch", &[("authorization", &authorization)], body).await?, "an order");
    }
    shop.subject.settle().await?;

    let orders = shop.api.scoring().summarize_orders(SummarizeOrdersRequest {}).await?.into_inner();
    assert_eq!((orders.order_count, orders.buyer_count), (1, 1), "{orders:?}");
    let value = orders.countries[0].net_value.clone().unwrap_or_default();
    assert_eq!((value.currency_code.as_str(), value.units, value.nanos), ("EUR", 19, 900_000_000));
    let counts = read::event_counts(&shop.api).await?.remove("site").unwrap_or_default();
    assert_eq!((counts.accepted, counts.duplicate), (4, 0), "the messages are three all the same");
    shop.subject.stop().await
}

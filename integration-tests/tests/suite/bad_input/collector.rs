//! The collector: what is wrong with a whole body refuses it; what is wrong with one event keeps that one aside.

use std::{collections::BTreeMap, io::Write};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use comptoir_integration_tests::{Subject, http::json, read};
use flate2::{Compression, write::GzEncoder};
use http::{Method, Request, header};
use http_body_util::Full;
use serde_json::{Value, json as object};

use super::{Counts, Ground};

/// A request that must be refused whole.
struct Whole {
    what: &'static str,
    path: &'static str,
    key: Option<&'static str>,
    encoding: Option<&'static str>,
    body: Bytes,
    told: (u16, &'static str),
}

/// Stands for the source's own write key.
const GOOD: Option<&str> = Some("");

fn refused_whole() -> Vec<Whole> {
    let good = one_event("never-kept").to_string();
    let mut bomb = GzEncoder::new(Vec::new(), Compression::best());
    bomb.write_all(&vec![b' '; 60 << 20]).unwrap();
    let bomb = bomb.finish().unwrap();
    let mut cut = GzEncoder::new(Vec::new(), Compression::fast());
    cut.write_all(good.as_bytes()).unwrap();
    let mut cut = cut.finish().unwrap();
    cut.truncate(cut.len() / 2);
    let events: Vec<Value> = (0..5_001).map(|_| object!({"type": "page", "userId": "u"})).collect();
    let spaces = |mebibytes: usize| " ".repeat(mebibytes << 20);

    let case = |what, told, body: Bytes| Whole { what, path: "/v1/batch", key: GOOD, encoding: None, body, told };
    vec![
        case("not JSON", (400, "BODY_INVALID"), "hello".into()),
        case("half of JSON", (400, "BODY_INVALID"), good[..good.len() - 9].to_owned().into()),
        case("a JSON array", (400, "BODY_INVALID"), "[]".into()),
        case("not UTF-8", (400, "BODY_INVALID"), Bytes::from_static(b"{\"batch\":[\"\xff\"]}")),
        case("nothing at all", (400, "BODY_INVALID"), Bytes::new()),
        case("no batch", (400, "BATCH_MISSING"), "{}".into()),
        case("a batch that is no array", (400, "BATCH_MISSING"), r#"{"batch":{}}"#.into()),
        case("too many events", (413, "TOO_MANY_EVENTS"), object!({"batch": events}).to_string().into()),
        case("over 4 MiB", (413, "BODY_TOO_LARGE"), format!("{}{good}", spaces(4)).into()),
        case("far over 4 MiB", (413, "BODY_TOO_LARGE"), spaces(6).into()),
        case("a shared context that nests too deep", (400, "TOO_DEEP"), deep_context().into()),
        Whole { path: "/v1/nonsense", ..case("no such route", (404, "ROUTE_UNKNOWN"), good.clone().into()) },
        Whole { key: None, ..case("no key", (401, "WRITE_KEY_MISSING"), good.clone().into()) },
        Whole { key: Some("wrong-write-key"), ..case("a wrong key", (401, "WRITE_KEY_UNKNOWN"), good.clone().into()) },
        Whole { encoding: Some("gzip"), ..case("a gzip bomb", (413, "BODY_TOO_LARGE"), bomb.into()) },
        Whole { encoding: Some("gzip"), ..case("half of gzip", (400, "BODY_INVALID"), cut.into()) },
        Whole { encoding: Some("gzip"), ..case("no gzip", (400, "BODY_INVALID"), good.clone().into()) },
        Whole { encoding: Some("br"), ..case("a strange encoding", (415, "ENCODING_UNKNOWN"), good.into()) },
    ]
}

fn deep_context() -> String {
    let (open, close) = ("{\"a\":".repeat(200), "}".repeat(200));
    format!(r#"{{"context":{open}1{close},"batch":[{{"type":"page","userId":"u","messageId":"never-kept"}}]}}"#)
}

fn one_event(message_id: &str) -> Value {
    object!({"batch": [{"type": "page", "userId": "somebody", "messageId": message_id}]})
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_cannot_be_read_is_refused_whole() -> anyhow::Result<()> {
    let ground = Ground::open().await?;
    let before = ground.counts().await?;

    for case in refused_whole() {
        let mut request = Request::builder().method(Method::POST).uri(case.path);
        if let Some(key) = case.key {
            let key = if key.is_empty() { ground.write_key.as_str() } else { key };
            request = request.header(header::AUTHORIZATION, format!("Basic {}", STANDARD.encode(format!("{key}:"))));
        }
        if let Some(encoding) = case.encoding {
            request = request.header(header::CONTENT_ENCODING, encoding);
        }
        // A server that refuses a large body may close the connection: each case has its own.
        let answer = ground.subject.web()?.send(request.body(Full::new(case.body))?).await;
        let answer = answer.unwrap_or_else(|error| panic!("{}: {error}", case.what));
        let told = json(&answer);
        assert_eq!((answer.status.as_u16(), told["code"].as_str()), (case.told.0, Some(case.told.1)), "{}", case.what);
        assert!(told["message"].as_str().is_some_and(|message| !message.is_empty()), "{}", case.what);
    }

    assert_eq!(ground.counts().await?, before, "nothing of what was refused is anywhere");
    ground.subject.stop().await
}

/// Events that cannot be taken, each with the reason it must be kept aside for.
fn refused_alone() -> Vec<(&'static str, Value)> {
    let order = |properties: Value| object!({"type": "track", "event": "Order Completed", "userId": "u", "properties": properties});
    let nested = (0..100).fold(object!(1), |inside, _| object!({ "a": inside }));
    vec![
        ("MALFORMED", object!("just a text")),
        ("TYPE_UNKNOWN", object!({"type": "sing", "userId": "u"})),
        ("NAME_MISSING", object!({"type": "track", "userId": "u"})),
        ("IDENTIFIER_MISSING", object!({"type": "page"})),
        ("TOO_DEEP", object!({"type": "page", "userId": "u", "properties": nested})),
        ("EVENT_TOO_LARGE", object!({"type": "page", "userId": "u", "properties": {"text": "x".repeat(200 << 10)}})),
        ("TIME_INVALID", object!({"type": "page", "userId": "u", "timestamp": "the day before yesterday"})),
        ("TIME_IN_FUTURE", object!({"type": "page", "userId": "u", "timestamp": "2031-01-01T00:00:00Z"})),
        ("MESSAGE_ID_INVALID", object!({"type": "page", "userId": "u", "messageId": "m".repeat(101)})),
        ("CURRENCY_UNKNOWN", order(object!({"order_id": "o-1", "total": 5, "currency": "XQZ"}))),
        ("CURRENCY_MISSING", order(object!({"order_id": "o-2", "total": 5}))),
        ("AMOUNT_INVALID", order(object!({"order_id": "o-3", "total": "much", "currency": "EUR"}))),
        ("ORDER_ID_MISSING", order(object!({"total": 5, "currency": "EUR"}))),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_cannot_be_taken_is_kept_aside_and_its_neighbours_are_taken() -> anyhow::Result<()> {
    let ground = Ground::open().await?;
    let before = ground.counts().await?;
    let bad = refused_alone();
    let mut batch = Vec::new();
    for (number, (_, event)) in bad.iter().enumerate() {
        batch
            .push(object!({"type": "page", "userId": format!("good-{number}"), "messageId": format!("good-{number}")}));
        batch.push(event.clone());
    }
    // What we have no field for is the sender's to keep: it stays with the event.
    batch.push(object!({"type": "page", "userId": "extra", "messageId": "extra", "shoeSize": 43, "properties": {"mood": "fine"}}));

    let body = object!({ "batch": batch }).to_string();
    let answer = ground.subject.web()?.collect("/v1/batch", &ground.write_key, body).await?;
    assert_eq!(answer.status.as_u16(), 200, "{}", json(&answer));

    let after = ground.counts().await?;
    let expected = Counts {
        logged: before.logged + bad.len() + 1,
        dead_letters: before.dead_letters + bad.len(),
        profiles: before.profiles + bad.len() + 1,
        products: before.products,
    };
    assert_eq!(after, expected);
    let mut kept: BTreeMap<String, u32> = BTreeMap::new();
    for letter in read::dead_letters(&ground.api).await? {
        assert!(!letter.message.is_empty() && !letter.payload.is_empty(), "{letter:?}");
        *kept.entry(letter.reason).or_default() += 1;
    }
    let wanted: BTreeMap<String, u32> = bad.iter().map(|(reason, _)| ((*reason).to_owned(), 1)).collect();
    assert_eq!(kept, wanted);
    ground.subject.stop().await
}

//! The API: JSON, gRPC and gRPC-Web.

use bytes::Bytes;
use comptoir_integration_tests::{
    Subject,
    http::{call_grpc, call_grpc_web, call_json, frame, json, reason},
};
use http::{Method, Request, StatusCode, header};
use http_body_util::Full;
use kit::channel::{self, Channel, ChannelOptions, Credential};
use proto::{
    event::v1::{Event, OrderActivity, PageViewed, event::Body, order_activity::Action},
    google::r#type::Money,
    ingestion::v1::{CollectRequest, verdict::Outcome},
    recommendation::v1::{Product, UpsertProductsRequest},
    r#type::v1::Identifier,
};
use tonic::Code;
use tonic_types::StatusExt;
use tower::ServiceExt;

use super::{Counts, Ground};

const UPSERT: &str = "comptoir.recommendation.v1.CatalogueService/UpsertProducts";

#[tokio::test(flavor = "multi_thread")]
async fn a_json_call_that_cannot_be_read_is_told_what_is_wrong() -> anyhow::Result<()> {
    let ground = Ground::open().await?;
    let before = ground.counts().await?;
    let deep = format!(r#"{{"products":{}1{}}}"#, "[".repeat(50_000), "]".repeat(50_000));
    let good = r#"{"products":[{"productId":"p-1"}]}"#;
    let wrong_type = r#"{"products":[{"productId":7}]}"#;
    let unknown = r#"{"products":[{"productId":"p-1","colour":"red"}]}"#;
    let huge = format!(r#"{{"products":[{{"productId":"{}"}}]}}"#, "p".repeat(17 << 20));
    let own = Some(ground.key.as_str());

    for (what, key, method, body, status, told) in [
        ("not JSON", own, UPSERT, "hello", 400, "JSON_INVALID"),
        ("half of JSON", own, UPSERT, &good[..20], 400, "JSON_INVALID"),
        ("a wrong type", own, UPSERT, wrong_type, 400, "JSON_INVALID"),
        ("an unknown field", own, UPSERT, unknown, 400, "JSON_INVALID"),
        ("deep nesting", own, UPSERT, deep.as_str(), 400, "JSON_INVALID"),
        ("too large", own, UPSERT, huge.as_str(), 413, "BODY_TOO_LARGE"),
        ("no key", None, UPSERT, good, 401, "CREDENTIAL_MISSING"),
        ("a wrong key", Some("csk_wrong"), UPSERT, good, 401, "CREDENTIAL_INVALID"),
        ("a token of nobody", Some("eyJhbGciOiJIUzI1NiJ9.e30.x"), UPSERT, good, 401, "TOKEN_INVALID"),
        ("no such method", own, "comptoir.recommendation.v1.CatalogueService/Burn", good, 404, "METHOD_NOT_FOUND"),
        ("no such service", own, "comptoir.weather.v1.WeatherService/Get", good, 404, "METHOD_NOT_FOUND"),
    ] {
        let answer = call_json(&mut ground.subject.web()?, key, method, body.to_owned()).await?;
        let reason = reason(&answer);
        // Whether a token of nobody is called a token or a credential is the gateway's to say.
        let reason = if told == "TOKEN_INVALID" && answer.status == StatusCode::UNAUTHORIZED { told } else { &reason };
        assert_eq!((answer.status.as_u16(), reason), (status, told), "{what}: {}", json(&answer));
    }

    for (method, content_type, status) in [
        (Method::GET, "application/json", StatusCode::METHOD_NOT_ALLOWED),
        (Method::POST, "text/plain", StatusCode::UNSUPPORTED_MEDIA_TYPE),
    ] {
        let request = Request::builder()
            .method(method)
            .uri(format!("/{UPSERT}"))
            .header(header::CONTENT_TYPE, content_type)
            .header(header::AUTHORIZATION, format!("Bearer {}", ground.key))
            .body(Full::new(Bytes::from_static(good.as_bytes())))?;
        assert_eq!(ground.subject.web()?.send(request).await?.status, status);
    }

    assert_eq!(ground.counts().await?, before);
    ground.subject.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_that_are_no_protobuf_are_refused_by_grpc_and_grpc_web() -> anyhow::Result<()> {
    let ground = Ground::open().await?;
    let before = ground.counts().await?;
    let channel = with_key(&ground)?;
    let garbage = [0x0a, 0xff, 0xff, 0xff, 0xff, 0x7f];
    // A length that the body does not have, a flag for compression that no header names, a message over the limit.
    let cut = Bytes::from_static(&[0, 0, 0, 1, 0, 1, 2, 3]);
    let squeezed = Bytes::from_static(&[1, 0, 0, 0, 2, 1, 2]);
    let oversize = frame(&vec![0x0a; kit::MAX_MESSAGE_BYTES + 1]);

    for (what, body, reason) in [
        ("garbage", frame(&garbage), "MESSAGE_UNREADABLE"),
        ("half a frame", cut, "MESSAGE_UNREADABLE"),
        ("squeezed", squeezed, "MESSAGE_UNREADABLE"),
        ("oversize", oversize, "MESSAGE_TOO_LARGE"),
    ] {
        let status = call_grpc(&channel, UPSERT, body).await.expect_err(what);
        assert_eq!(status.code(), Code::InvalidArgument, "{what}: {status:?}");
        let told = status.get_details_error_info().map(|info| info.reason);
        assert_eq!(told.as_deref(), Some(reason), "{what}: {status:?}");
        assert!(!status.message().is_empty(), "{what}: {status:?}");
    }
    let status = call_grpc_web(&mut ground.subject.web()?, Some(&ground.key), UPSERT, &garbage).await;
    assert_eq!(kit::Error::from(status.unwrap_err()).reason, "MESSAGE_UNREADABLE");
    let status = call_grpc_web(&mut ground.subject.web()?, None, UPSERT, &[]).await;
    assert_eq!(status.unwrap_err().code(), Code::Unauthenticated);
    let status = call_grpc(&channel, "comptoir.recommendation.v1.CatalogueService/Burn", frame(&[])).await;
    assert_eq!(status.unwrap_err().code(), Code::Unimplemented);

    assert_eq!(ground.counts().await?, before);
    // A field of a later version is no error: it is what makes contracts grow.
    let later = [0xfa, 0x3f, 0x03, b'n', b'e', b'w'];
    let status = call_grpc(&channel, UPSERT, frame(&later)).await.expect_err("there is no product in it");
    assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
    ground.subject.stop().await
}

fn with_key(ground: &Ground) -> anyhow::Result<Channel> {
    let channel = channel::remote(&ground.subject.url(), ChannelOptions::new(Credential::none()).retries(0))?;
    let bearer = http::HeaderValue::try_from(format!("Bearer {}", ground.key))?;
    Ok(Channel::new(channel.map_request(move |mut request: http::Request<tonic::body::Body>| {
        request.headers_mut().insert(header::AUTHORIZATION, bearer.clone());
        request
    })))
}

#[tokio::test(flavor = "multi_thread")]
async fn one_bad_product_refuses_all_and_names_each_fault() -> anyhow::Result<()> {
    let ground = Ground::open().await?;
    let before = ground.counts().await?;
    let good = Product { product_id: "p-good".into(), title: "Good".into(), ..Product::default() };
    let nameless = Product { title: "Nameless".into(), ..Product::default() };
    let price = Money { currency_code: "EURO".into(), units: 1, nanos: 0 };
    let priced = Product { product_id: "p-2".into(), price: Some(price), ..Product::default() };

    let request = UpsertProductsRequest { products: vec![good, nameless, priced] };
    let error = kit::Error::from(ground.api.catalogue().upsert_products(request).await.unwrap_err());

    assert_eq!(error.kind, kit::Kind::InvalidArgument);
    let fields: Vec<&str> = error.violations.iter().map(|violation| violation.field.as_str()).collect();
    assert!(fields.iter().any(|field| field.starts_with("products[1]")), "{fields:?}");
    assert!(fields.iter().any(|field| field.starts_with("products[2]")), "{fields:?}");
    assert_eq!(ground.counts().await?, before);
    ground.subject.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn typed_events_are_judged_one_by_one() -> anyhow::Result<()> {
    let ground = Ground::open().await?;
    let before = ground.counts().await?;
    let start = comptoir_integration_tests::scenario::start().timestamp();
    let event = |user: &str, body: Body| Event {
        message_id: format!("of-{user}"),
        identifiers: vec![Identifier { kind: "user_id".into(), value: user.into() }],
        body: Some(body),
        ..Event::default()
    };
    let page = || Body::PageViewed(PageViewed::default());
    let order = |currency: &str| {
        let total = Money { currency_code: currency.into(), units: 5, nanos: 0 };
        Body::OrderActivity(OrderActivity {
            action: Action::Completed.into(),
            order_id: "o-1".into(),
            total: Some(total),
            ..OrderActivity::default()
        })
    };
    let tomorrow = prost_types::Timestamp { seconds: start + 3 * 86_400, nanos: 0 };
    let large = bytes::Bytes::from(format!(r#"{{"text":"{}"}}"#, "x".repeat(200 << 10)));
    let events = vec![
        event("good-1", page()),
        event("strange", order("XQZ")),
        Event { event_time: Some(tomorrow), ..event("early", page()) },
        Event { identifiers: Vec::new(), ..event("nobody", page()) },
        Event { body: None, ..event("nothing", page()) },
        Event { properties_json: large, ..event("large", page()) },
        Event { properties_json: "[1".into(), ..event("broken", page()) },
        event("good-2", order("EUR")),
    ];

    let request = CollectRequest { events, source_id: ground.source_id.clone() };
    let verdicts = ground.api.ingestion().collect(request).await?.into_inner().verdicts;

    let reasons: Vec<&str> = verdicts.iter().map(|verdict| verdict.reason.as_str()).collect();
    let expected = [
        "",
        "CURRENCY_UNKNOWN",
        "TIME_IN_FUTURE",
        "IDENTIFIER_MISSING",
        "BODY_MISSING",
        "EVENT_TOO_LARGE",
        "FIELD_INVALID",
        "",
    ];
    assert_eq!(reasons, expected);
    let accepted = verdicts.iter().filter(|verdict| verdict.outcome() == Outcome::Accepted).count();
    let aside = verdicts.iter().filter(|verdict| !verdict.dead_letter_id.is_empty()).count();
    assert_eq!((accepted, aside), (2, 6));
    let after = ground.counts().await?;
    let expected = Counts {
        logged: before.logged + 2,
        dead_letters: before.dead_letters + 6,
        profiles: before.profiles + 2,
        products: before.products,
    };
    assert_eq!(after, expected);

    // Whole requests that are wrong take nothing.
    for (events, source_id) in [(Vec::new(), ground.source_id.clone()), (vec![event("x", page())], "none".into())] {
        let error = ground.api.ingestion().collect(CollectRequest { events, source_id }).await.unwrap_err();
        assert!(matches!(error.code(), Code::InvalidArgument | Code::NotFound), "{error:?}");
    }
    assert_eq!(ground.counts().await?, expected);
    ground.subject.stop().await
}

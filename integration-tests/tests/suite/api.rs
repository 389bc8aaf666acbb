//! One API, three ways to call it, one answer; and limits that say when to come back.

use comptoir_integration_tests::{
    Embedded, Engine, Subject,
    http::{call_grpc, call_grpc_web, call_json, frame, json, reason},
    scenario,
};
use http::StatusCode;
use kit::channel::{self, Channel, ChannelOptions, Credential};
use prost::Message as _;
use prost_reflect::{DescriptorPool, DynamicMessage, SerializeOptions};
use proto::{
    google::r#type::Money,
    recommendation::v1::{Product, UpsertProductsRequest},
    scoring::v1::{PutSegmentRequest, Segment},
};
use serde_json::{Value, json as object};
use tonic::Code;
use tonic_types::StatusExt;
use tower::ServiceExt;

/// Calls with a meaningful answer, and their JSON.
fn calls() -> Vec<(&'static str, Value)> {
    vec![
        ("comptoir.gateway.v1.AccessService/WhoAmI", object!({})),
        ("comptoir.recommendation.v1.CatalogueService/ListProducts", object!({"pageSize": 2})),
        ("comptoir.recommendation.v1.CatalogueService/GetProduct", object!({"productId": "p-3"})),
        ("comptoir.recommendation.v1.RecommendationService/Recommend", object!({"limit": 3})),
        ("comptoir.scoring.v1.SegmentService/ListSegments", object!({})),
        ("comptoir.identity.v1.IdentityService/SummarizeProfiles", object!({})),
        ("comptoir.campaign.v1.CampaignService/GetContactPolicy", object!({})),
        ("comptoir.campaign.v1.MessageService/ListMessages", object!({"pageSize": 5})),
        ("comptoir.ingestion.v1.IngestionService/SummarizeEvents", object!({})),
        // And refusals: unknown things, and fields that break their rule.
        ("comptoir.recommendation.v1.CatalogueService/GetProduct", object!({"productId": "absent"})),
        (
            "comptoir.identity.v1.IdentityService/GetProfile",
            object!({"identifier": {"kind": "email", "value": "nobody@shop.example"}}),
        ),
        ("comptoir.recommendation.v1.RecommendationService/Recommend", object!({"limit": -1})),
        (
            "comptoir.scoring.v1.SegmentService/PutSegment",
            object!({"segment": {"segmentId": "NO SUCH ID", "expression": "("}}),
        ),
    ]
}

/// What a call came to, however it was made.
#[derive(Debug, PartialEq)]
enum Outcome {
    Answer(Value),
    Refusal { code: Code, reason: String, message: String },
}

struct Caller {
    contracts: DescriptorPool,
    channel: Channel,
    web: comptoir::web::Web,
    key: String,
}

impl Caller {
    fn new(subject: &impl Subject, key: &str) -> anyhow::Result<Self> {
        let channel = channel::remote(&subject.url(), ChannelOptions::new(Credential::none()).retries(0))?;
        let bearer = http::HeaderValue::try_from(format!("Bearer {key}"))?;
        let with_key = channel.map_request(move |mut request: http::Request<tonic::body::Body>| {
            request.headers_mut().insert(http::header::AUTHORIZATION, bearer.clone());
            request
        });
        Ok(Self {
            contracts: DescriptorPool::decode(proto::FILE_DESCRIPTOR_SET)?,
            channel: Channel::new(with_key),
            web: subject.web()?,
            key: key.to_owned(),
        })
    }

    fn encode(&self, method: &str, body: &Value) -> Vec<u8> {
        DynamicMessage::deserialize(self.method(method).input(), body.clone()).unwrap().encode_to_vec()
    }

    /// Returns an answer as the gateway would write it in JSON.
    fn decode(&self, method: &str, answer: Result<bytes::Bytes, tonic::Status>) -> Outcome {
        match answer {
            Ok(bytes) => {
                let message = DynamicMessage::decode(self.method(method).output(), bytes).unwrap();
                let options = SerializeOptions::new().skip_default_fields(true);
                let value = message.serialize_with_options(serde_json::value::Serializer, &options).unwrap();
                Outcome::Answer(value)
            }
            Err(status) => {
                let reason = status.get_details_error_info().map(|info| info.reason).unwrap_or_default();
                Outcome::Refusal { code: status.code(), reason, message: status.message().to_owned() }
            }
        }
    }

    fn method(&self, path: &str) -> prost_reflect::MethodDescriptor {
        let (service, method) = path.split_once('/').unwrap();
        let service = self.contracts.get_service_by_name(service).unwrap();
        service.methods().find(|candidate| candidate.name() == method).unwrap()
    }

    async fn by_grpc(&self, method: &str, body: &Value) -> Outcome {
        let answer = call_grpc(&self.channel, method, frame(&self.encode(method, body))).await;
        self.decode(method, answer)
    }

    async fn by_grpc_web(&mut self, method: &str, body: &Value) -> Outcome {
        let message = self.encode(method, body);
        let answer = call_grpc_web(&mut self.web, Some(&self.key), method, &message).await;
        self.decode(method, answer)
    }

    async fn by_json(&mut self, method: &str, body: &Value) -> anyhow::Result<Outcome> {
        let answer = call_json(&mut self.web, Some(&self.key), method, body.to_string()).await?;
        let told = json(&answer);
        if answer.status == StatusCode::OK {
            return Ok(Outcome::Answer(told));
        }
        let code = match told["code"].as_str().unwrap_or_default() {
            "invalid_argument" => Code::InvalidArgument,
            "not_found" => Code::NotFound,
            "resource_exhausted" => Code::ResourceExhausted,
            other => anyhow::bail!("{method}: unexpected {other} in {told}"),
        };
        let message = told["message"].as_str().unwrap_or_default().to_owned();
        Ok(Outcome::Refusal { code, reason: reason(&answer), message })
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn grpc_grpc_web_and_json_give_the_same_answers() -> anyhow::Result<()> {
    let subject = Embedded::start(Engine::Sqlite, scenario::start()).await?;
    let key = subject.operator()?.create_tenant("three-ways").await?;
    fill(&subject.api(&key)?).await?;
    let mut caller = Caller::new(&subject, &key)?;

    let mut refusals = 0;
    for (method, body) in calls() {
        let by_grpc = caller.by_grpc(method, &body).await;
        refusals += u32::from(matches!(by_grpc, Outcome::Refusal { .. }));

        assert_eq!(by_grpc, caller.by_grpc_web(method, &body).await, "{method} by gRPC and gRPC-Web");
        assert_eq!(by_grpc, caller.by_json(method, &body).await?, "{method} by gRPC and JSON");
    }
    assert_eq!(refusals, 4, "the last four are refused");
    subject.stop().await
}

async fn fill(api: &comptoir::api::Api) -> Result<(), kit::Error> {
    let products = (1..=5)
        .map(|number| Product {
            product_id: format!("p-{number}"),
            title: format!("Product {number}"),
            category: "Home/Candles".into(),
            price: Some(Money { currency_code: "EUR".into(), units: number, nanos: 500_000_000 }),
            ..Product::default()
        })
        .collect();
    api.catalogue().upsert_products(UpsertProductsRequest { products }).await?;
    let segment = Segment {
        segment_id: "buyers".into(),
        name: "Buyers".into(),
        expression: "stats.order_count > 0".into(),
        ..Segment::default()
    };
    api.segments().put_segment(PutSegmentRequest { segment: Some(segment) }).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn over_the_limit_every_door_says_when_to_come_back() -> anyhow::Result<()> {
    // More calls than two seconds allow, so that a second's turn in between changes nothing.
    const CALLS: usize = 12;
    let subject = Embedded::start_with(Engine::Sqlite, scenario::start(), |config| {
        config.access.calls_per_second = 2;
        config.access.collects_per_second = 2;
    })
    .await?;
    let key = subject.operator()?.create_tenant("hasty").await?;
    let mut caller = Caller::new(&subject, &key)?;
    let who = "comptoir.gateway.v1.AccessService/WhoAmI";

    let mut refused = None;
    for _ in 0..CALLS {
        let answer = call_json(&mut caller.web, Some(&key), who, "{}").await?;
        if answer.status == StatusCode::TOO_MANY_REQUESTS {
            refused = Some(answer);
        }
    }
    let refused = refused.expect("JSON calls are limited");
    assert_eq!(refused.headers["retry-after"], "1");
    assert_eq!(
        (json(&refused)["code"].as_str(), reason(&refused).as_str()),
        (Some("resource_exhausted"), "RATE_LIMITED")
    );

    let mut refused = Vec::new();
    for _ in 0..CALLS {
        if let Err(status) = call_grpc(&caller.channel, who, frame(&[])).await {
            refused.push(status);
        }
        if let Err(status) = call_grpc_web(&mut caller.web, Some(&key), who, &[]).await {
            refused.push(status);
        }
    }
    assert!(refused.len() >= 2, "gRPC calls are limited");
    for status in refused {
        assert_eq!(status.code(), Code::ResourceExhausted, "{status:?}");
        assert!(status.get_details_retry_info().and_then(|info| info.retry_delay).is_some(), "{status:?}");
    }

    let mut refused = None;
    for _ in 0..CALLS {
        let answer = caller.web.collect("/v1/track", "a-write-key-of-nobody", "{}").await?;
        if answer.status == StatusCode::TOO_MANY_REQUESTS {
            refused = Some(answer);
        }
    }
    let refused = refused.expect("the collector is limited");
    assert_eq!(refused.headers["retry-after"], "1");
    subject.stop().await
}

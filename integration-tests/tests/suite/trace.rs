//! One trace from the HTTP request to the mail.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use comptoir::shop::Stage;
use comptoir_integration_tests::{Clustered, Collector, Engine, Subject, collector::Span, scenario};
use http::{Method, Request, StatusCode, header};
use http_body_util::Full;
use proto::{
    campaign::v1::{
        AbandonedBasketTrigger, Campaign, Channel, PutCampaignRequest, PutTemplateRequest, Template, campaign::Trigger,
    },
    ingestion::v1::Source,
};
use serde_json::json;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
/// The browser's span, which sends no spans of its own here.
const BROWSER: &str = "00f067aa0ba902b7";

/// How long the last spans may take: they leave in batches, every few seconds.
const LIMIT: Duration = Duration::from_secs(40);

/// Name of the span in which a mail is handed over.
const SENDING: &str = "send message";

#[tokio::test(flavor = "multi_thread")]
async fn one_trace_leads_from_the_request_to_the_mail() -> anyhow::Result<()> {
    let collector = Collector::start().await?;
    let settings = vec![
        ("telemetry__otlp_endpoint".to_owned(), collector.url()),
        ("telemetry__log_filter".to_owned(), "info".to_owned()),
    ];
    let noon = scenario::start() + chrono::Duration::hours(12);
    let cluster = Clustered::start_with(Engine::Sqlite, noon, settings).await?;
    let write_key = set_up(&cluster).await?;

    let request = Request::builder()
        .method(Method::POST)
        .uri("/v1/batch")
        .header(header::AUTHORIZATION, format!("Basic {}", STANDARD.encode(format!("{write_key}:"))))
        .header("traceparent", format!("00-{TRACE}-{BROWSER}-01"))
        .body(Full::new(a_filled_basket().into()))?;
    assert_eq!(cluster.web()?.send(request).await?.status, StatusCode::OK);
    cluster.settle().await?;
    cluster.set_intake(noon + chrono::Duration::hours(2));
    cluster.set_timers(noon + chrono::Duration::hours(2));
    cluster.settle().await?;
    assert_eq!(cluster.post().all().len(), 1, "one basket, one mail");

    let is_whole = |spans: &[Span]| {
        let sent = spans.iter().any(|span| span.name == SENDING && span.service == "campaign");
        let services: BTreeSet<&str> = spans.iter().map(|span| span.service.as_str()).collect();
        sent && ["gateway", "ingestion", "identity"].iter().all(|service| services.contains(service))
            && unknown_parents(spans).is_empty()
    };
    let spans = collector.wait_for(TRACE, LIMIT, is_whole).await?;
    check_chain(&spans);
    cluster.stop().await?;
    Ok(())
}

/// Follows the parents from the mail back to the browser: through every service that had it in its hands.
fn check_chain(spans: &[Span]) {
    let by_id: BTreeMap<&str, &Span> = spans.iter().map(|span| (span.span_id.as_str(), span)).collect();
    let sending: Vec<&Span> = spans.iter().filter(|span| span.name == SENDING).collect();
    assert_eq!(sending.len(), 1, "one mail is one sending: {sending:#?}");

    let mut path = Vec::new();
    let mut at = sending[0];
    loop {
        path.push(format!("{}: {}", at.service, at.name));
        if at.parent_id == BROWSER {
            break;
        }
        at = by_id.get(at.parent_id.as_str()).unwrap_or_else(|| panic!("the chain breaks after {path:#?}"));
        assert!(path.len() < 50, "the chain does not end: {path:#?}");
    }
    let mut services: Vec<&str> = path.iter().filter_map(|step| step.split(':').next()).collect();
    services.dedup();
    assert_eq!(services, ["campaign", "identity", "ingestion", "gateway"], "{path:#?}");
    assert!(path.last().is_some_and(|root| root.contains("POST /v1/batch")), "{path:#?}");
}

/// Returns the spans whose parent is neither there nor the browser's.
fn unknown_parents(spans: &[Span]) -> Vec<&Span> {
    let known: BTreeSet<&str> = spans.iter().map(|span| span.span_id.as_str()).collect();
    spans.iter().filter(|span| span.parent_id != BROWSER && !known.contains(span.parent_id.as_str())).collect()
}

async fn set_up(cluster: &Clustered) -> anyhow::Result<String> {
    let key = cluster.operator()?.create_tenant("traced").await?;
    let api = cluster.api(&key)?;
    let template = Template {
        template_id: "basket".into(),
        subject: "Your basket".into(),
        text: "It is still here.\n{{ unsubscribe_url }}".into(),
        ..Template::default()
    };
    api.templates().put_template(PutTemplateRequest { template: Some(template) }).await?;
    let campaign = Campaign {
        campaign_id: "basket".into(),
        name: "Basket".into(),
        trigger: Some(Trigger::AbandonedBasket(AbandonedBasketTrigger { delay: None })),
        channel: Channel::Email.into(),
        template_id: "basket".into(),
        ..Campaign::default()
    };
    api.campaigns().put_campaign(PutCampaignRequest { campaign: Some(campaign) }).await?;
    let source =
        Source { name: "site".into(), kind: "site".into(), default_currency: "EUR".into(), ..Source::default() };
    Ok(api.create_source(source).await?.write_key)
}

fn a_filled_basket() -> String {
    let body = json!({ "batch": [{
        "type": "track", "event": "Product Added", "messageId": "traced-1", "userId": "traced-user",
        "properties": {"cart_id": "c-1", "product_id": "p-1", "price": 10, "quantity": 1},
        "context": {
            "traits": {"email": "traced@shop.example"},
            "consent": {"categoryPreferences": {"marketing_email": true}},
        },
    }]});
    body.to_string()
}

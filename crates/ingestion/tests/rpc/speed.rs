//! How many events a second go through the whole service. Run with
//! `cargo test --release -p comptoir-ingestion --test rpc -- --ignored --nocapture speed`.

use std::time::Instant;

use futures::stream::{self, StreamExt};
use proto::event::v1::Event;
use proto::event::v1::event::Body;
use proto::event::v1::{Context, Page, ProductActivity, product_activity};
use proto::google::r#type::Money;
use proto::ingestion::v1::tracking_plan::{Mode, Rule};
use proto::ingestion::v1::{CollectHttpRequest, CollectRequest, PutTrackingPlanRequest, TrackingPlan};
use proto::r#type::v1::LineItem;

use crate::harness::{Setup, WRITE_KEY, basic, both, event};

const EVENTS: usize = 200_000;
const BATCH: usize = 500;
const AT_ONCE: usize = 16;

fn product_view(number: usize) -> Event {
    let price = Money { currency_code: "EUR".into(), units: 18, nanos: 990_000_000 };
    let product = LineItem {
        product_id: format!("p-{}", number % 1_000),
        name: "Monopoly: 3rd Edition".into(),
        category: "Games".into(),
        price: Some(price),
        ..LineItem::default()
    };
    let page = Page { url: "https://www.example.com/product/path".into(), ..Page::default() };
    let body = ProductActivity {
        action: product_activity::Action::Viewed.into(),
        product: Some(product),
        ..ProductActivity::default()
    };
    Event {
        body: Some(Body::ProductActivity(body)),
        context: Some(Context { page: Some(page), ..Context::default() }),
        ..event(&format!("message-{number}"))
    }
}

fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    (fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap()) / 100.0
}

fn report(setup: &Setup, what: &str, started: (Instant, f64)) {
    let seconds = started.0.elapsed().as_secs_f64();
    let cpu = cpu_seconds() - started.1;
    let engine = setup.db.engine();
    println!(
        "{engine}, {what}: {:.0} events/s, {:.2} us CPU each (sender included)",
        EVENTS as f64 / seconds,
        cpu * 1e6 / EVENTS as f64
    );
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement"]
async fn collect_speed() {
    for setup in both().await {
        let source_id = setup.source().await;
        let batches: Vec<CollectRequest> = (0..EVENTS / BATCH)
            .map(|batch| CollectRequest {
                events: (batch * BATCH..(batch + 1) * BATCH).map(product_view).collect(),
                source_id: source_id.clone(),
            })
            .collect();

        for what in ["Collect, new events", "Collect, duplicates"] {
            let client = setup.ingestion("shop");
            let started = (Instant::now(), cpu_seconds());
            stream::iter(batches.clone())
                .map(|batch| {
                    let mut client = client.clone();
                    async move { client.collect(batch).await.unwrap() }
                })
                .buffer_unordered(AT_ONCE)
                .for_each(|_| async {})
                .await;
            report(&setup, what, started);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement"]
async fn collect_planned_speed() {
    let schema = r#"{"required":["product_id","price","currency"],"properties":{"product_id":{"type":"string","pattern":"^p-[0-9]+$"},
        "price":{"type":"number","exclusiveMinimum":0},"currency":{"enum":["EUR","USD"]},"name":{"type":"string","maxLength":200}}}"#;
    for setup in both().await {
        let source_id = setup.source().await;
        let rule = Rule { event_name: "Product Viewed".into(), schema_json: schema.into() };
        let plan = TrackingPlan {
            source_id: source_id.clone(),
            mode: Mode::Quarantine.into(),
            rules: vec![rule],
            ..TrackingPlan::default()
        };
        let request = PutTrackingPlanRequest { plan: Some(plan), expected_version: 0 };
        setup.plans("shop").put_tracking_plan(request).await.unwrap();
        let view = |number| Event { name: "Product Viewed".into(), ..product_view(number) };
        let batches: Vec<CollectRequest> = (0..EVENTS / BATCH)
            .map(|batch| CollectRequest {
                events: (batch * BATCH..(batch + 1) * BATCH).map(view).collect(),
                source_id: source_id.clone(),
            })
            .collect();

        let client = setup.ingestion("shop");
        let started = (Instant::now(), cpu_seconds());
        stream::iter(batches)
            .map(|batch| {
                let mut client = client.clone();
                async move { client.collect(batch).await.unwrap() }
            })
            .buffer_unordered(AT_ONCE)
            .for_each(|_| async {})
            .await;
        report(&setup, "Collect, new events held against a plan", started);
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement"]
async fn collect_http_speed() {
    for setup in both().await {
        setup.source().await;
        let body = |batch: usize| {
            let events: Vec<String> = (0..100)
                .map(|number| {
                    format!(
                        r#"{{"type":"track","event":"Product Viewed","userId":"u-{}","timestamp":"2025-06-01T11:59:58.123Z","messageId":"node-next-1748779198123-{batch}-{number}","properties":{{"product_id":"p-{number}","name":"Monopoly: 3rd Edition","category":"Games","price":18.99,"currency":"EUR"}},"context":{{"page":{{"url":"https://www.example.com/product/path"}},"library":{{"name":"@segment/analytics-node","version":"3.1.0"}}}}}}"#,
                        batch * 100 + number
                    )
                })
                .collect();
            format!(r#"{{"batch":[{}],"sentAt":"2025-06-01T12:00:00.000Z"}}"#, events.join(",")).into_bytes()
        };
        let requests: Vec<CollectHttpRequest> = (0..EVENTS / 100)
            .map(|batch| CollectHttpRequest {
                route: "batch".into(),
                body: body(batch).into(),
                authorization: basic(WRITE_KEY),
                ..CollectHttpRequest::default()
            })
            .collect();

        let started = (Instant::now(), cpu_seconds());
        stream::iter(requests)
            .map(|request| setup.forward(request))
            .buffer_unordered(AT_ONCE)
            .for_each(|response| async move { assert_eq!(response.status, 200) })
            .await;
        report(&setup, "CollectHttp, batches of 100", started);
    }
}

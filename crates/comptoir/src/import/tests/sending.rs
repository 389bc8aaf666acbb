use std::{
    collections::{BTreeMap, BTreeSet},
    pin::Pin,
    sync::{Arc, Mutex},
    time::Duration,
};

use futures::Stream;
use kit::channel::{Channel, ChannelOptions, Credential, local};
use proto::{
    event::v1::{Event, Medium, Party, event::Body},
    ingestion::v1::{
        CollectHttpRequest, CollectHttpResponse, CollectRequest, CollectResponse, CollectStreamRequest,
        CollectStreamResponse, SummarizeEventsRequest, SummarizeEventsResponse, Verdict,
        ingestion_service_server::{IngestionService, IngestionServiceServer},
        verdict::Outcome,
    },
    recommendation::v1::{
        GetProductRequest, GetProductResponse, ListProductsRequest, ListProductsResponse, Product,
        UpsertProductsRequest, UpsertProductsResponse,
        catalogue_service_server::{CatalogueService, CatalogueServiceServer},
    },
};
use tonic::{Request, Response, Status, Streaming};

use super::{super::*, HEADER, PLAIN, now, write};

/// Ingestion and catalogue as far as an import sees them.
#[derive(Clone, Default)]
pub(super) struct Shop(pub(super) Arc<Mutex<Seen>>);

#[derive(Default)]
pub(super) struct Seen {
    /// Failures still to come.
    failures: Vec<kit::Error>,
    /// One failure after so many requests that go well.
    fail_after: Option<(usize, kit::Error)>,
    pub(super) batches: Vec<usize>,
    messages: BTreeSet<String>,
    /// The events that were new, in their order.
    pub(super) events: Vec<Event>,
    pub(super) products: BTreeMap<String, Product>,
}

impl Shop {
    pub(super) fn channel(&self) -> Channel {
        let routes = tonic::service::Routes::new(IngestionServiceServer::new(self.clone()))
            .add_service(CatalogueServiceServer::new(self.clone()));
        local(routes, ChannelOptions::new(Credential::none()).retries(0))
    }

    pub(super) fn fail_with(&self, failures: impl IntoIterator<Item = kit::Error>) {
        self.0.lock().unwrap().failures = failures.into_iter().collect();
    }
}

impl Shop {
    /// Lets one request fail after so many that go well.
    pub(super) fn fail_after(&self, requests: usize, failure: kit::Error) {
        self.0.lock().unwrap().fail_after = Some((requests, failure));
    }
}

#[tonic::async_trait]
impl IngestionService for Shop {
    async fn collect(&self, request: Request<CollectRequest>) -> Result<Response<CollectResponse>, Status> {
        let mut seen = self.0.lock().unwrap();
        if let Some(failure) = seen.failures.pop() {
            return Err(failure.into());
        }
        if seen.fail_after.as_ref().is_some_and(|(after, _)| *after == seen.batches.len())
            && let Some((_, failure)) = seen.fail_after.take()
        {
            return Err(failure.into());
        }
        let request = request.into_inner();
        assert_eq!(request.source_id, "source-1");
        seen.batches.push(request.events.len());
        let verdict = |event: &Event| {
            if matches!(&event.body, Some(Body::OrderActivity(order)) if order.order_id == "13") {
                let reason = "CURRENCY_UNKNOWN".into();
                return Verdict { outcome: Outcome::Quarantined.into(), reason, ..Verdict::default() };
            }
            let fresh = seen.messages.insert(event.message_id.clone());
            seen.events.extend(fresh.then(|| event.clone()));
            let outcome = if fresh { Outcome::Accepted } else { Outcome::Duplicate };
            Verdict { outcome: outcome.into(), ..Verdict::default() }
        };
        Ok(Response::new(CollectResponse { verdicts: request.events.iter().map(verdict).collect() }))
    }

    type CollectStreamStream = Pin<Box<dyn Stream<Item = Result<CollectStreamResponse, Status>> + Send>>;

    async fn collect_stream(
        &self,
        _: Request<Streaming<CollectStreamRequest>>,
    ) -> Result<Response<Self::CollectStreamStream>, Status> {
        Err(Status::unimplemented("no import calls it"))
    }

    async fn collect_http(&self, _: Request<CollectHttpRequest>) -> Result<Response<CollectHttpResponse>, Status> {
        Err(Status::unimplemented("no import calls it"))
    }

    async fn summarize_events(
        &self,
        _: Request<SummarizeEventsRequest>,
    ) -> Result<Response<SummarizeEventsResponse>, Status> {
        Err(Status::unimplemented("no import calls it"))
    }
}

#[tonic::async_trait]
impl CatalogueService for Shop {
    async fn upsert_products(
        &self,
        request: Request<UpsertProductsRequest>,
    ) -> Result<Response<UpsertProductsResponse>, Status> {
        let products = request.into_inner().products;
        assert!(products.len() <= 1_000);
        let named = products.into_iter().map(|product| (product.product_id.clone(), product));
        self.0.lock().unwrap().products.extend(named);
        Ok(Response::new(UpsertProductsResponse::default()))
    }

    async fn get_product(&self, _: Request<GetProductRequest>) -> Result<Response<GetProductResponse>, Status> {
        Err(Status::unimplemented("no import calls it"))
    }

    async fn list_products(&self, _: Request<ListProductsRequest>) -> Result<Response<ListProductsResponse>, Status> {
        Err(Status::unimplemented("no import calls it"))
    }
}

struct Bench {
    shop: Shop,
    folder: tempfile::TempDir,
    options: ImportOptions,
}

/// An import of `orders` orders of one line each, from 1.
fn bench(orders: usize) -> Bench {
    let line = |order| format!("{order},{},P{},Title,2,0.5,2025-01-01,FR\n", order % 10, order % 1_500);
    let folder = tempfile::tempdir().unwrap();
    let file = write(&folder, "o.csv", format!("{HEADER}\n{}", (1..=orders).map(line).collect::<String>()));
    let mut options = ImportOptions::new(file, Mapping::parse(PLAIN).unwrap(), "source-1", now());
    options.rejects = Some(folder.path().join("rejects.csv"));
    Bench { shop: Shop::default(), folder, options }
}

#[tokio::test]
async fn an_import_sends_everything_and_a_second_one_adds_nothing() {
    let bench = bench(1_800);
    let mut steps = Vec::new();

    let report = import_orders(bench.options.clone(), Some(bench.shop.channel()), |step, done, total| {
        assert!(done <= total);
        steps.push((step, done, total));
    });
    let first = report.await.unwrap();

    assert_eq!((first.orders, first.accepted, first.events_quarantined(), first.customers), (1_800, 1_799, 1, 10));
    assert_eq!(first.turnover["EUR"].ordered_micros, 1_800_000_000);
    assert_eq!(first.catalogue, 1_500);
    for last in [(Step::Read, 1_800, 1_800), (Step::Catalogue, 1_500, 1_500), (Step::Send, 1_800, 1_800)] {
        assert_eq!(steps.iter().rev().find(|(step, ..)| *step == last.0), Some(&last));
    }
    let rejects = std::fs::read_to_string(bench.folder.path().join("rejects.csv")).unwrap();
    assert_eq!(rejects, "line,order,reason,detail\n14,13,quarantined,CURRENCY_UNKNOWN: \n");
    assert_eq!(bench.shop.0.lock().unwrap().batches, [500, 500, 500, 300]);

    let second = import_orders(bench.options, Some(bench.shop.channel()), |_, _, _| {}).await.unwrap();

    assert_eq!((second.accepted, second.duplicates, second.events_quarantined()), (0, 1_799, 1));
    assert_eq!(second.turnover, first.turnover);
}

#[tokio::test]
async fn orders_say_whose_knowledge_they_are() {
    let mut bench = bench(1);
    let mapping = format!("{PLAIN}\n[provenance]\nparty = \"second\"\nmedium = \"offline\"");
    bench.options.mapping = Mapping::parse(&mapping).unwrap();

    import_orders(bench.options, Some(bench.shop.channel()), |_, _, _| {}).await.unwrap();

    let seen = bench.shop.0.lock().unwrap();
    let provenance = seen.events[0].provenance.as_ref().unwrap();
    assert_eq!((provenance.party(), provenance.medium()), (Party::Second, Medium::Offline));
    assert!(provenance.library.starts_with("comptoir-import/"));
}

#[tokio::test]
async fn a_service_that_is_away_or_busy_is_waited_for() {
    let bench = bench(3);
    let busy = kit::Error::resource_exhausted("RATE_LIMITED", "wait").retry_after(Duration::from_millis(250));
    bench.shop.fail_with([busy, kit::Error::unavailable("LOG_UNAVAILABLE", "away")]);
    let begun = std::time::Instant::now();

    let report = import_orders(bench.options, Some(bench.shop.channel()), |_, _, _| {}).await.unwrap();

    assert_eq!(report.accepted, 3);
    assert!(begun.elapsed() >= Duration::from_millis(450), "the wait that was asked for is kept");
}

#[tokio::test]
async fn a_refusal_ends_the_import_and_says_how_far_it_came() {
    let bench = bench(3);
    bench.shop.fail_with([kit::Error::permission_denied("SCOPE_MISSING", "events:write is needed")]);

    let error = import_orders(bench.options, Some(bench.shop.channel()), |_, _, _| {}).await.unwrap_err();

    assert_eq!(error.to_string(), "Collect failed after 0 acknowledged orders: events:write is needed");
}

#[tokio::test]
async fn a_dry_run_counts_the_same_and_sends_nothing() {
    let mut bench = bench(700);
    bench.options.dry_run = true;

    let report = import_orders(bench.options, Some(bench.shop.channel()), |_, _, _| {}).await.unwrap();

    assert_eq!((report.orders, report.accepted, report.catalogue), (700, 0, 0));
    assert!(report.bytes > 700 * 50);
    assert_eq!(report.turnover["EUR"].ordered_micros, 700_000_000);
    let seen = bench.shop.0.lock().unwrap();
    assert!(seen.batches.is_empty() && seen.products.is_empty());
}

#[tokio::test]
async fn the_catalogue_gets_the_latest_title_and_price() {
    let folder = tempfile::tempdir().unwrap();
    let lines = "1,7,P1,Old,1,1,2025-01-01,\n2,7,P1,New,1,2,2025-03-01,\n3,7,P1,,1,3,2025-04-01,\n4,7,P1,Older,1,9,2024-01-01,\n";
    let file = write(&folder, "o.csv", format!("{HEADER}\n{lines}"));
    let mut options = ImportOptions::new(file, Mapping::parse(PLAIN).unwrap(), "source-1", now());
    let shop = Shop::default();

    import_orders(options.clone(), Some(shop.channel()), |_, _, _| {}).await.unwrap();

    let product = shop.0.lock().unwrap().products["P1"].clone();
    assert_eq!((product.title.as_str(), product.price.unwrap().units), ("New", 3));

    options.catalogue = false;
    let without = Shop::default();
    import_orders(options, Some(without.channel()), |_, _, _| {}).await.unwrap();
    assert!(without.0.lock().unwrap().products.is_empty());
}

#[tokio::test]
async fn a_broken_file_sends_nothing() {
    let mut bench = bench(1);
    bench.options.file = write(&bench.folder, "o.parquet", "PAR1 and then no more");

    let error = import_orders(bench.options, Some(bench.shop.channel()), |_, _, _| {}).await.unwrap_err();

    assert!(matches!(error, ImportError::Broken { .. }), "{error}");
    assert!(bench.shop.0.lock().unwrap().batches.is_empty());
}

#[test]
fn an_import_may_run_as_a_task_of_its_own() {
    fn sendable(_: impl Send) {}
    let options = bench(1).options;

    sendable(import_orders(options, None, |_, _, _| {}));
}

use std::time::Duration;

use kit::{Error, MAX_MESSAGE_BYTES, channel::Channel};
use proto::{
    event::v1::Event,
    ingestion::v1::{CollectRequest, Verdict, ingestion_service_client::IngestionServiceClient},
    recommendation::v1::{Product, UpsertProductsRequest, catalogue_service_client::CatalogueServiceClient},
};

/// Most events of one request.
pub(super) const MAX_BATCH_EVENTS: usize = 500;
/// Largest sum of the events of one request, in bytes.
pub(super) const MAX_BATCH_BYTES: usize = 4 << 20;
/// Most products of one request.
pub(super) const MAX_BATCH_PRODUCTS: usize = 1_000;
/// Requests under way at once.
pub(super) const CONCURRENCY: usize = 4;
/// How often a request is sent before the import gives up: with the pauses between about four minutes, enough for a service
/// that is being replaced.
const MAX_ATTEMPTS: u32 = 20;
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(15);

/// Sends events and returns one verdict each. Repeating is safe: their message ids make them count once.
pub(super) async fn collect(channel: Channel, source_id: &str, events: Vec<Event>) -> Result<Vec<Verdict>, Error> {
    let client = IngestionServiceClient::new(channel).max_decoding_message_size(MAX_MESSAGE_BYTES);
    let count = events.len();
    let request = CollectRequest { events, source_id: source_id.to_owned() };
    let response = patiently(|| {
        let (mut client, request) = (client.clone(), request.clone());
        async move { Ok(client.collect(request).await?.into_inner()) }
    })
    .await?;
    if response.verdicts.len() != count {
        let message = format!("ingestion answered {} verdicts to {count} events", response.verdicts.len());
        return Err(Error::new(kit::Kind::Internal, "VERDICTS_MISSING", message));
    }
    Ok(response.verdicts)
}

/// Puts products into the catalogue.
pub(super) async fn upsert(channel: Channel, products: Vec<Product>) -> Result<(), Error> {
    let client = CatalogueServiceClient::new(channel).max_decoding_message_size(MAX_MESSAGE_BYTES);
    let request = UpsertProductsRequest { products };
    patiently(|| {
        let (mut client, request) = (client.clone(), request.clone());
        async move { Ok(client.upsert_products(request).await?.into_inner()) }
    })
    .await?;
    Ok(())
}

/// Repeats a call while a wait may help: at least as long as the service asks, longer each time.
async fn patiently<T, F>(call: impl Fn() -> F) -> Result<T, Error>
where
    F: Future<Output = Result<T, Error>>,
{
    let mut pause = FIRST_PAUSE;
    for _ in 1..MAX_ATTEMPTS {
        match call().await {
            Err(error) if error.is_retryable() => {
                tokio::time::sleep(error.retry_after.unwrap_or_default().max(pause)).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
            done => return done,
        }
    }
    call().await
}

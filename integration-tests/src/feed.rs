//! A client that loses nothing: it keeps what was not acknowledged and sends it again.

use std::{
    collections::BTreeSet,
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use comptoir::{
    shop::{Pace, Passing, Shop, end_of},
    web::Web,
};
use futures::{StreamExt, TryStreamExt, future::try_join, stream};
use http::StatusCode;
use kit::Error;
use simulator::{Delivery, World};
use tokio::sync::watch;

use crate::Subject;

/// Bodies that are under way at the same time.
const LANES: usize = 4;
/// Pause before a body is sent again.
const PAUSE: Duration = Duration::from_millis(20);
/// How long one body may go unacknowledged.
const LIMIT: Duration = Duration::from_secs(60);

/// What was sent.
#[derive(Debug, Default)]
pub struct Fed {
    /// `(source, message id)` of every event that was acknowledged.
    pub acknowledged: BTreeSet<(String, String)>,
    /// How often a body had to be sent again.
    pub repeats: u64,
}

/// Lives through the world without anybody reacting to mails. In the middle of each day's bodies `disturb` is run with the
/// number of the day, beside the load.
pub async fn feed(
    subject: &impl Subject,
    shop: &Shop,
    world: &World,
    mut disturb: impl AsyncFnMut(usize) -> Result<(), Error>,
) -> Result<Fed, Error> {
    let mut fed = Fed::default();
    let passing = Passing::of(world, Pace::InOrder);
    for (number, day) in world.days().enumerate() {
        // Received at the day's end, without a word of when they were sent: no clock is corrected, times are as claimed.
        subject.set_intake(end_of(&day));
        let deliveries: Vec<Delivery> = day.deliveries.iter().cloned().map(without_sending_time).collect();
        if !deliveries.is_empty() {
            let (count, mut counted) = watch::channel(0_usize);
            let half = deliveries.len() / 2;
            let posting = post(subject, shop, &deliveries, &count);
            let disturbing = async {
                // The sender lives as long as this block: it cannot be gone.
                counted.wait_for(|done| *done >= half).await.map_err(Error::internal)?;
                disturb(number).await
            };
            let (repeats, ()) = try_join(posting, disturbing).await?;
            fed.repeats += repeats;
            fed.acknowledged.extend(deliveries.iter().flat_map(message_ids));
        }
        passing.end_day(subject, number, &day).await?;
    }
    passing.end(subject, world).await?;
    Ok(fed)
}

fn without_sending_time(mut delivery: Delivery) -> Delivery {
    if let Some(body) = delivery.body.as_object_mut() {
        body.remove("sentAt");
    }
    delivery
}

fn message_ids(delivery: &Delivery) -> Vec<(String, String)> {
    let events = delivery.body["batch"].as_array().map(Vec::as_slice).unwrap_or_default();
    let ids = events.iter().filter_map(|event| event["messageId"].as_str());
    ids.map(|id| (delivery.source.as_str().to_owned(), id.to_owned())).collect()
}

/// Posts every body until each is acknowledged; returns how often one had to be sent again.
async fn post(
    subject: &impl Subject,
    shop: &Shop,
    deliveries: &[Delivery],
    count: &watch::Sender<usize>,
) -> Result<u64, Error> {
    let repeats = AtomicU64::new(0);
    let lanes: Vec<(usize, Web)> = (0..LANES).map(|lane| Ok((lane, subject.web()?))).collect::<Result<_, Error>>()?;
    stream::iter(lanes)
        .map(|(lane, mut web)| {
            let repeats = &repeats;
            async move {
                for delivery in deliveries.iter().skip(lane).step_by(LANES) {
                    let key = &shop.write_keys[delivery.source.as_str()];
                    let tries = post_until_taken(&mut web, key, delivery.body.to_string().into()).await?;
                    repeats.fetch_add(tries - 1, Ordering::Relaxed);
                    count.send_modify(|done| *done += 1);
                }
                Ok::<_, Error>(())
            }
        })
        .buffer_unordered(LANES)
        .try_collect::<Vec<()>>()
        .await?;
    Ok(repeats.into_inner())
}

/// Posts one body until it is acknowledged; returns how many tries it took.
pub async fn post_until_taken(web: &mut Web, write_key: &str, body: bytes::Bytes) -> Result<u64, Error> {
    let begun = Instant::now();
    for tries in 1.. {
        let told = match web.collect("/v1/batch", write_key, body.clone()).await {
            Ok(answer) if answer.status == StatusCode::OK => return Ok(tries),
            Ok(answer) if answer.status == StatusCode::TOO_MANY_REQUESTS || answer.status.is_server_error() => {
                format!("{}: {}", answer.status, String::from_utf8_lossy(&answer.body))
            }
            Ok(answer) => {
                let text = String::from_utf8_lossy(&answer.body).into_owned();
                return Err(Error::invalid("COLLECTOR_REFUSED", format!("{}: {text}", answer.status)));
            }
            Err(error) => error.to_string(),
        };
        if begun.elapsed() > LIMIT {
            return Err(Error::unavailable("NOT_TAKEN", format!("a body was not taken in {tries} tries: {told}")));
        }
        tokio::time::sleep(PAUSE).await;
    }
    unreachable!("tries do not end")
}

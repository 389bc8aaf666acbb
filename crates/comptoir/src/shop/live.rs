use std::{collections::BTreeMap, future::Future};

use campaign::sink::Sink;
use chrono::{DateTime, Duration, Utc};
use futures::{StreamExt, TryStreamExt, stream};
use kit::Error;
use simulator::{Delivery, World};

use super::{Links, Pace, Passing, Shop, end_of, links};
use crate::web::Web;

/// Bodies posted at the same time.
const CONCURRENCY: usize = 32;

/// User agent of the simulated people's mail programs.
const USER_AGENT: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Thunderbird/140.0";

/// A platform whose time can be set: in this process, or as processes with clock files.
pub trait Stage {
    /// Sets the time at which events are received. Never backwards.
    fn set_intake(&self, time: DateTime<Utc>);
    /// Sets the time by which things fall due. Never backwards.
    fn set_timers(&self, time: DateTime<Utc>);
    /// Waits until nothing is under way.
    fn settle(&self) -> impl Future<Output = Result<(), Error>> + Send;
    /// Returns when the first timer of any service is due.
    fn next_due(&self) -> impl Future<Output = Result<Option<DateTime<Utc>>, Error>> + Send;
}

/// What happened to the outside world.
#[derive(Debug, Clone, Default)]
pub struct Lived {
    /// Events posted.
    pub events: u64,
    /// Bodies posted.
    pub bodies: u64,
    /// Mails that arrived.
    pub mails: u64,
    /// Mails whose links were followed.
    pub clicks: u64,
    /// People who unsubscribed through a mail.
    pub unsubscribes: u64,
}

/// What people do later about mails they got, by the hour it is due.
type Agenda = BTreeMap<DateTime<Utc>, Vec<Deed>>;

enum Deed {
    Get(String),
    Unsubscribe(String),
}

/// Lives through the world: posts what it sends, lets timers fire as time passes, and reacts to the mails that arrive.
///
/// `done` is told the number of events posted so far.
pub async fn live(
    stage: &impl Stage,
    shop: &Shop,
    world: &World,
    pace: Pace,
    connect: impl Fn() -> Result<Web, Error>,
    letters: &Sink,
    mut done: impl FnMut(u64),
) -> Result<Lived, Error> {
    let mut lived = Lived::default();
    let mut agenda = Agenda::new();
    let mut recent: BTreeMap<String, Vec<DateTime<Utc>>> = BTreeMap::new();
    let mut webs = (0..CONCURRENCY).map(|_| connect()).collect::<Result<Vec<_>, _>>()?;
    let mut visitor = connect()?;
    let passing = Passing::of(world, pace);

    for (number, day) in world.days().enumerate() {
        let midnight = end_of(&day);
        for quarter in quarters(&day.deliveries) {
            let Some(received) = quarter.last().map(|delivery| delivery.received_at) else { continue };
            do_deeds(stage, &mut agenda, received, &mut visitor, &mut lived).await?;
            stage.set_intake(received);
            lived.bodies += quarter.len() as u64;
            lived.events += quarter.iter().map(|delivery| delivery.events as u64).sum::<u64>();
            post(&quarter, shop, &mut webs).await?;
            done(lived.events);
        }
        do_deeds(stage, &mut agenda, midnight, &mut visitor, &mut lived).await?;
        passing.end_day(stage, number, &day).await?;

        let arrived = letters.take();
        lived.mails += arrived.len() as u64;
        let mut read: Vec<(String, Links)> =
            arrived.into_iter().filter_map(|mail| Some((mail.to, links(&mail.bytes)?))).collect();
        // What leaves at one instant arrives in any order; people read it in one.
        read.sort_by(|(to, one), (other_to, other)| (to, &one.subject).cmp(&(other_to, &other.subject)));
        for (to, links) in read {
            let times = recent.entry(to.clone()).or_default();
            times.retain(|time| *time > midnight - Duration::days(7));
            let count = u32::try_from(times.len()).unwrap_or(u32::MAX);
            times.push(midnight);

            let reaction = world.react(&to, midnight, &links.subject, count);
            if let (Some(after), Some(path)) = (reaction.opens, links.pixel) {
                agenda.entry(midnight + after).or_default().push(Deed::Get(path));
            }
            if let (Some(after), Some(path)) = (reaction.clicks, links.clicks.into_iter().next()) {
                agenda.entry(midnight + after).or_default().push(Deed::Get(path));
            }
            if let (true, Some(path)) = (reaction.unsubscribes, links.unsubscribe) {
                agenda.entry(midnight + Duration::hours(9)).or_default().push(Deed::Unsubscribe(path));
            }
        }
    }
    passing.end(stage, world).await?;
    Ok(lived)
}

/// Cuts a day into four parts: bodies within one are posted at the same time.
///
/// They come at the time of the last of them. When each was sent is left out: what lies between is our doing, and for
/// ingestion it would be a wrong clock, to be made good in the times of the events.
fn quarters(deliveries: &[Delivery]) -> Vec<Vec<Delivery>> {
    let mut quarters: BTreeMap<i64, Vec<Delivery>> = BTreeMap::new();
    for mut delivery in deliveries.iter().cloned() {
        if let Some(body) = delivery.body.as_object_mut() {
            body.remove("sentAt");
        }
        quarters.entry(delivery.received_at.timestamp().div_euclid(6 * 3600)).or_default().push(delivery);
    }
    quarters.into_values().collect()
}

async fn post(deliveries: &[Delivery], shop: &Shop, webs: &mut [Web]) -> Result<(), Error> {
    let lanes = webs.len();
    stream::iter(webs.iter_mut().enumerate())
        .map(|(lane, web)| async move {
            for delivery in deliveries.iter().skip(lane).step_by(lanes) {
                let key = &shop.write_keys[delivery.source.as_str()];
                let answer = web.collect("/v1/batch", key, delivery.body.to_string()).await?;
                if answer.status != http::StatusCode::OK {
                    let text = String::from_utf8_lossy(&answer.body).into_owned();
                    return Err(Error::unavailable("COLLECTOR_REFUSED", format!("{}: {text}", answer.status)));
                }
            }
            Ok(())
        })
        .buffer_unordered(lanes)
        .try_collect::<Vec<()>>()
        .await?;
    Ok(())
}

/// Does what is on the agenda up to `until`.
async fn do_deeds(
    stage: &impl Stage,
    agenda: &mut Agenda,
    until: DateTime<Utc>,
    visitor: &mut Web,
    lived: &mut Lived,
) -> Result<(), Error> {
    while let Some(entry) = agenda.first_entry().filter(|entry| *entry.key() <= until) {
        let time = *entry.key();
        stage.set_intake(time);
        for deed in entry.remove() {
            match deed {
                Deed::Get(path) => {
                    let answer = visitor.get(&path, USER_AGENT).await?;
                    lived.clicks += u64::from(answer.status == http::StatusCode::FOUND);
                }
                Deed::Unsubscribe(path) => {
                    let request = http::Request::builder()
                        .method(http::Method::POST)
                        .uri(path)
                        .header(http::header::CONTENT_TYPE, "application/x-www-form-urlencoded")
                        .body(http_body_util::Full::new("List-Unsubscribe=One-Click".into()))
                        .map_err(Error::internal)?;
                    let answer = visitor.send(request).await?;
                    lived.unsubscribes += u64::from(answer.status == http::StatusCode::OK);
                }
            }
        }
    }
    Ok(())
}

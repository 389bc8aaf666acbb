use std::time::{Duration, Instant};

use async_stream::stream;
use futures::Stream;
use kit::Error;
use kit::auth::{AuthContext, caller, scope};
use prost::Message;
use proto::event::v1::Event;
use proto::ingestion::v1::verdict::Outcome;
use proto::ingestion::v1::{TailEventsRequest, TailEventsResponse};
use tonic::{Request, Status};

use crate::app::App;
use crate::domain::mask::mask;
use crate::intake::{Tailed, Watch, What};
use kit::time::timestamp;

/// Shows what a source sends while it is being committed.
pub(super) async fn tail_events(
    app: &App,
    request: Request<TailEventsRequest>,
) -> Result<impl Stream<Item = Result<TailEventsResponse, Status>> + Send + use<>, Error> {
    let tenant = caller(&request, scope::SOURCES_WRITE)?.tenant;
    let shows_people =
        request.extensions().get::<AuthContext>().is_some_and(|context| context.allows(scope::PROFILES_READ));
    let request = request.into_inner();
    if request.outcomes.iter().any(|outcome| Outcome::try_from(*outcome).is_err()) {
        return Err(Error::violations([("outcomes", "must be known values")]));
    }
    let source_id = app.source(&tenant, &request.source_id).await?.source_id.clone();
    let watch = app.tail.watch(tenant, source_id);
    let watch = watch.ok_or_else(|| {
        Error::resource_exhausted("TOO_MANY_WATCHERS", "too many watch already").retry_after(Duration::from_secs(10))
    })?;
    let most = if request.max_per_second == 0 { 20 } else { request.max_per_second.min(200) };
    Ok(responses(watch, request, shows_people, most))
}

fn responses(
    mut watch: Watch,
    request: TailEventsRequest,
    shows_people: bool,
    most: u32,
) -> impl Stream<Item = Result<TailEventsResponse, Status>> + Send + use<> {
    stream! {
        let mut skipped = 0;
        let (mut second, mut shown_in_second) = (Instant::now(), 0);
        while let Some((shown, missed)) = watch.next().await {
            skipped += missed + shown.skipped;
            if second.elapsed() >= Duration::from_secs(1) {
                (second, shown_in_second) = (Instant::now(), 0);
            }
            for tailed in &shown.events {
                let outcome = tailed.verdict.outcome;
                if !(request.outcomes.is_empty() || request.outcomes.contains(&outcome)) {
                    continue;
                }
                if shown_in_second >= most {
                    skipped += 1;
                    continue;
                }
                let response = render(tailed, shows_people);
                if request.event_name.is_empty() || request.event_name == response.event_name {
                    shown_in_second += 1;
                    yield Ok(TailEventsResponse { skipped: std::mem::take(&mut skipped), ..response });
                }
            }
        }
    }
}

fn render(tailed: &Tailed, shows_people: bool) -> TailEventsResponse {
    let (event, event_name, library) = match &tailed.what {
        What::Event(payload) => {
            // It was serialised here a moment ago.
            let event = Event::decode(payload.clone()).unwrap_or_default();
            let library = event.provenance.as_ref().map(|provenance| provenance.library.clone()).unwrap_or_default();
            let event_name = event.name.clone();
            (Some(if shows_people { event } else { mask(event) }), event_name, library)
        }
        What::Letter { event_name, library } => (None, event_name.clone(), library.clone()),
    };
    TailEventsResponse {
        verdict: Some(tailed.verdict.clone()),
        event_name,
        library,
        receive_time: Some(timestamp(tailed.received_us)),
        event,
        skipped: 0,
    }
}

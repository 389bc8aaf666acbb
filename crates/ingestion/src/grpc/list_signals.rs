use kit::auth::{caller, scope};
use kit::{Error, Violations, paging};
use proto::event::v1::{ContextSignal, Provenance};
use proto::ingestion::v1::{ListSignalsRequest, ListSignalsResponse, Signal};
use tonic::Request;

use crate::app::App;
use crate::domain::instant::from_timestamp;
use crate::domain::signal::{Place, SignalRow};
use crate::store::signals::{self, After, Wanted};
use kit::time::timestamp;

/// Properties of one page, unless a single signal has more: a page must fit into a message.
const PAGE_BYTES: usize = 16 << 20;

/// Lists the signals of a place and a span of time.
pub(super) async fn list_signals(
    app: &App,
    request: Request<ListSignalsRequest>,
) -> Result<ListSignalsResponse, Error> {
    let tenant = caller(&request, scope::SCORES_READ)?.tenant;
    let request = request.into_inner();
    let mut violations = Violations::new();
    let size = paging::size(request.page_size, 100, 1_000, &mut violations);
    let after = paging::place(&request.page_token, place_of, &mut violations).unwrap_or_else(After::nothing);
    let wanted = wanted(request, &mut violations);
    violations.finish()?;

    let mut rows = signals::list(&app.db, &tenant, &wanted, &after, size as i64 + 1).await?;
    let all = rows.len();
    rows.truncate(fitting(&rows).min(size));
    let next_page_token = match rows.last() {
        Some(last) if rows.len() < all => token(last),
        _ => String::new(),
    };
    Ok(ListSignalsResponse { signals: rows.into_iter().map(render).collect(), next_page_token })
}

fn wanted(request: ListSignalsRequest, violations: &mut Violations) -> Wanted {
    let mut time = |field: &'static str, time: Option<prost_types::Timestamp>, otherwise: i64| match time {
        None => otherwise,
        Some(time) => {
            violations.take(from_timestamp(&time).map_err(|_| "must be a time after 1970"), field).unwrap_or(otherwise)
        }
    };
    let from_us = time("start_time", request.start_time, i64::MIN);
    let until_us = time("end_time", request.end_time, i64::MAX);
    violations.check(from_us <= until_us, "end_time", "must not lie before start_time");
    let place = request.place.as_ref().map(Place::from).unwrap_or_default();
    Wanted { kind: request.kind, place, from_us, until_us }
}

fn fitting(rows: &[SignalRow]) -> usize {
    let mut bytes = 0;
    let beyond = rows.iter().position(|row| {
        bytes += row.properties_json.len();
        bytes > PAGE_BYTES
    });
    beyond.unwrap_or(rows.len()).max(1)
}

type Token = (i64, String, String, String, String, String);

fn token(last: &SignalRow) -> String {
    let Place { country, region, city, postal_code } = &last.place;
    let place = serde_json::json!([last.start_us, last.kind, country, region, city, postal_code]);
    paging::token(&place.to_string())
}

fn place_of(key: &str) -> Option<After> {
    let read: Token = serde_json::from_str(key).ok()?;
    let (start_us, kind, country, region, city, postal_code) = read;
    let has_nul = [&kind, &country, &region, &city, &postal_code].into_iter().any(|text| text.contains('\0'));
    (!has_nul).then_some(After { start_us, kind, place: Place { country, region, city, postal_code } })
}

fn render(row: SignalRow) -> Signal {
    let end_time = (row.end_us > row.start_us).then(|| timestamp(row.end_us));
    let place = (row.place != Place::default()).then(|| row.place.into());
    let signal = ContextSignal { kind: row.kind, place, start_time: Some(timestamp(row.start_us)), end_time };
    let number = |number: i64| i32::try_from(number).unwrap_or_default();
    let provenance = Provenance { party: number(row.party), medium: number(row.medium), ..Provenance::default() };
    Signal {
        signal: Some(signal),
        properties_json: row.properties_json.into(),
        source_id: row.source_id,
        event_id: row.event_id,
        told_time: Some(timestamp(row.told_us)),
        provenance: Some(provenance),
    }
}

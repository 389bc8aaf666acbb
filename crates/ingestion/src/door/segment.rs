//! Reading the events of an HTTP request into items.

use bytes::Bytes;
use proto::ingestion::v1::CollectHttpRequest;
use proto::ingestion::v1::dead_letter::Encoding;

use super::{breathe, drawn_message_id};
use crate::domain::consent::{Country, Unread};
use crate::domain::finish::Arrival;
use crate::domain::json::{Json, Members};
use crate::domain::problem::Problem;
use crate::domain::segment::{Call, HttpArrival, Request, Shared, kept_payload, read, take_signals};
use crate::intake::{Arrived, DeadLetterIdSeed, Item, Refused, Source};

/// Reads every event of a body.
pub(super) async fn read_all(
    source: &Source,
    received_us: i64,
    parts: &Request<'_>,
    request: &CollectHttpRequest,
) -> Vec<Item> {
    let arrival = Arrival { source, received_us };
    let from_page = request.from_visitor || !request.origin.is_empty();
    let from = HttpArrival::new(arrival, &request.client_ip, &request.user_agent, from_page);
    let mut items = Vec::with_capacity(parts.events.len());
    for (index, event) in parts.events.iter().enumerate() {
        items.push(Item::new(read_one(*event, &parts.shared, from, source, drawn_message_id)));
        breathe(index).await;
    }
    items
}

/// Reads one event, or keeps it with what is wrong.
pub(super) fn read_one(
    event: Json<'_>,
    shared: &Shared<'_>,
    from: HttpArrival<'_>,
    source: &Source,
    message_id: impl FnOnce() -> String,
) -> Arrived {
    match read(event, shared, from, message_id) {
        Ok(ready) => Arrived::Ready(ready),
        Err(problem) => refused(problem, event, shared, from, source),
    }
}

fn refused(problem: Problem, event: Json<'_>, shared: &Shared<'_>, from: HttpArrival<'_>, source: &Source) -> Arrived {
    let members = event.members().unwrap_or_else(Members::none);
    let payload = match may_keep(&members, shared, from, source) {
        true => kept_payload(event, shared, from.sender),
        false => Bytes::new(),
    };
    let message_id = members.get("messageId").and_then(Json::scalar).filter(|text| !text.is_empty());
    let seed = match &message_id {
        Some(message_id) => DeadLetterIdSeed::Message(message_id),
        None => DeadLetterIdSeed::None,
    };
    let refused = Refused {
        problem,
        payload,
        encoding: Encoding::SegmentJson,
        library: library(&members, shared),
        event_name: event_name(&members, shared),
    };
    Arrived::refused(refused, (source, from.arrival.received_us), seed)
}

/// Returns the name that the event would have had, as far as one can tell.
fn event_name(members: &Members<'_>, shared: &Shared<'_>) -> String {
    let named = members.get("type").and_then(Json::string);
    match named.and_then(|name| Call::parse(&name)).or(shared.call) {
        Some(Call::Page) => "Page Viewed".to_owned(),
        Some(Call::Screen) => "Screen Viewed".to_owned(),
        Some(Call::Identify) => "Identified".to_owned(),
        Some(Call::Group) => "Grouped".to_owned(),
        Some(Call::Alias) => "Aliased".to_owned(),
        Some(Call::Track) | None => members.get("event").and_then(Json::scalar).unwrap_or_default().trim().to_owned(),
    }
}

/// Whether consent allows to keep the content of an event that cannot be taken.
fn may_keep(members: &Members<'_>, shared: &Shared<'_>, from: HttpArrival<'_>, source: &Source) -> bool {
    let policy = &source.edge.policy;
    if policy.required.is_empty() {
        return true;
    }
    let mut context = members.get("context").and_then(Json::members).unwrap_or_else(Members::none);
    if let Some(of_batch) = &shared.context {
        context.underlay(of_batch);
    }
    let signals = take_signals(&mut context);
    let mut place = context.get("location").and_then(Json::members).unwrap_or_else(Members::none);
    let told = Country::parse(&place.take_text(&["country"]));
    let ip = match context.take_text(&["ip"]) {
        own if own.is_empty() => from.sender.client_ip.to_owned(),
        own => own,
    };
    let country = told.or_else(|| Country::parse(&source.edge.enricher.country(&ip)?));
    policy.keeps_unread(&Unread { signals: signals.as_ref(), country, ..Unread::default() })
}

/// Returns the library as "name/version", as far as one can tell.
fn library(members: &Members<'_>, shared: &Shared<'_>) -> String {
    let own = members.get("context").and_then(Json::members);
    let context = own.as_ref().or(shared.context.as_ref());
    let library = context.and_then(|context| context.get("library")).and_then(Json::members);
    let Some(mut library) = library else { return String::new() };
    let name = library.take_text(&["name"]);
    let version = library.take_text(&["version"]);
    if version.is_empty() { name } else { format!("{name}/{version}") }
}

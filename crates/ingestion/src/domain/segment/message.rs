//! One event of the Segment vocabulary.

use bytes::Bytes;
use proto::event::v1::event::Body;
use proto::event::v1::{Aliased, Custom, Event, Grouped, PageViewed, Provenance};

use super::context::{ContextReader, Sender, fill_page};
use super::request::{Call, Shared};
use super::{commerce, consent, people};
use crate::domain::edge::cut_text;
use crate::domain::finish::{Arrival, Ready, finish};
use crate::domain::instant;
use crate::domain::json::{Json, Members, ObjectWriter};
use crate::domain::json_scan::is_deeper_than;
use crate::domain::limits::{MAX_EVENT_BYTES, MAX_JSON_DEPTH};
use crate::domain::problem::{Problem, Reason, field_invalid};
use crate::domain::typed::too_large;
use crate::domain::vocabulary::meaning;

/// How an event came in over HTTP.
#[derive(Debug, Clone, Copy)]
pub(crate) struct HttpArrival<'a> {
    pub(crate) arrival: Arrival<'a>,
    pub(crate) sender: Sender<'a>,
}

impl<'a> HttpArrival<'a> {
    /// An event that came with these headers.
    pub(crate) fn new(arrival: Arrival<'a>, client_ip: &'a str, user_agent: &'a str, from_page: bool) -> Self {
        Self { arrival, sender: Sender { client_ip, user_agent, from_page } }
    }
}

/// Members that only carry the request, and say nothing about the event.
const ENVELOPE: &[&str] = &["writeKey", "_metadata", "receivedAt", "sentAt", "type", "timestamp", "originalTimestamp"];

/// Reads, checks and completes one event. `message_id` stands in when the sender gave none.
pub(crate) fn read(
    json: Json<'_>,
    shared: &Shared<'_>,
    from: HttpArrival<'_>,
    message_id: impl FnOnce() -> String,
) -> Result<Ready, Problem> {
    if json.raw().len() > MAX_EVENT_BYTES {
        return Err(too_large());
    }
    if shared.maybe_too_deep && is_deeper_than(json.raw().as_bytes(), MAX_JSON_DEPTH) {
        return Err(Problem::new(Reason::TooDeep, format!("an event nests deeper than {MAX_JSON_DEPTH} levels")));
    }
    let Some(members) = json.members() else {
        return Err(Problem::new(Reason::Malformed, "an event must be a JSON object"));
    };
    let mut event = Reader::new(members, shared)?.read(from)?;
    finish(&mut event, from.arrival, message_id)
}

struct Reader<'a> {
    members: Members<'a>,
    context: ContextReader<'a>,
    call: Call,
    event: Event,
}

impl<'a> Reader<'a> {
    fn new(mut members: Members<'a>, shared: &Shared<'a>) -> Result<Self, Problem> {
        let call = call(&members, shared)?;
        let event = Event {
            message_id: message_id(&mut members)?,
            event_time: claimed_time(&members, shared)?.map(kit::time::timestamp),
            sent_time: sent_time(&members, shared).map(kit::time::timestamp),
            ..Event::default()
        };
        for key in ENVELOPE {
            members.take(key);
        }
        let mut context = object(&mut members, "context")?;
        if let Some(of_batch) = &shared.context {
            context.underlay(of_batch);
        }
        let mut context = ContextReader::new(context);
        if let Some(integrations) = take_integrations(&mut members, shared) {
            context.put_extra("integrations", &integrations.rest_text());
        }
        Ok(Self { members, context, call, event })
    }

    fn read(mut self, from: HttpArrival<'_>) -> Result<Event, Problem> {
        let user_id = people::take_id(&mut self.members, "userId")?;
        let anonymous_id = people::take_id(&mut self.members, "anonymousId")?;
        people::add(&mut self.event.identifiers, "user_id", user_id);
        people::add(&mut self.event.identifiers, "anonymous_id", anonymous_id.clone());

        let body = match self.call {
            Call::Track => self.track(from.arrival)?,
            Call::Identify => self.identify()?,
            Call::Page | Call::Screen => self.page()?,
            Call::Group => self.group()?,
            Call::Alias => self.alias(anonymous_id.as_deref())?,
        };
        self.event.body = Some(body);
        Ok(self.finish(from.sender))
    }

    fn finish(mut self, sender: Sender<'_>) -> Event {
        let identifiers = &mut self.event.identifiers;
        people::take_external_ids(&mut self.members, identifiers);
        people::take_external_ids(self.context.members(), identifiers);
        if let Some(traits) = self.context.members().get("traits").and_then(Json::members) {
            people::peek_contacts(&traits, identifiers);
        }
        // Last, so that no group orders the events of a person.
        if let Some(Body::Grouped(grouped)) = &self.event.body {
            people::add(identifiers, "group_id", Some(grouped.group_id.clone()));
        }
        if let (true, Some(Body::Aliased(Aliased { previous: Some(previous) }))) =
            (identifiers.is_empty(), &self.event.body)
        {
            identifiers.push(previous.clone());
        }
        let signals = consent::take_signals(self.context.members());

        let library = self.context.take_library();
        let page = self.event.context.take().and_then(|context| context.page);
        let mut context = self.context.finish(&library, sender, &self.members);
        context.consent_signals = signals;
        if page.is_some() {
            context.page = page;
        }
        self.event.context = Some(context);
        self.event.provenance = Some(Provenance { library, ..Provenance::default() });
        self.event
    }

    fn track(&mut self, arrival: Arrival<'_>) -> Result<Body, Problem> {
        self.event.name = self.members.take_text(&["event"]);
        if self.event.name.is_empty() {
            return Err(Problem::new(Reason::NameMissing, "a track call must name its event"));
        }
        let mut properties = object(&mut self.members, "properties")?;
        let body = match meaning(&self.event.name) {
            Some(meaning) => commerce::read(meaning, &mut properties, arrival.source.default_currency)?,
            None => Body::Custom(Custom {}),
        };
        self.event.properties_json = properties.rest();
        Ok(body)
    }

    fn identify(&mut self) -> Result<Body, Problem> {
        let mut traits = object(&mut self.members, "traits")?;
        people::take_contacts(&mut traits, &mut self.event.identifiers);
        people::take_external_ids(&mut traits, &mut self.event.identifiers);
        Ok(Body::Identified(people::identified(&mut traits)))
    }

    fn page(&mut self) -> Result<Body, Problem> {
        let mut properties = object(&mut self.members, "properties")?;
        let mut title = self.members.take_text(&["name"]);
        let mut category = self.members.take_text(&["category"]);
        // SDKs repeat name and category among the properties.
        for (key, text) in [("name", &mut title), ("category", &mut category)] {
            let repeated = properties.get(key).and_then(Json::string);
            if let Some(repeated) = repeated.filter(|repeated| text.is_empty() || **repeated == **text) {
                *text = repeated.into_owned();
                properties.take(key);
            }
        }
        if title.is_empty() {
            title = properties.get("title").and_then(Json::string).unwrap_or_default().into_owned();
        }
        let of_context = self.context.members().get("page").and_then(Json::members);
        let mut page = of_context.map(|mut page| super::context::page(&mut page)).unwrap_or_default();
        fill_page(&mut page, &mut properties);
        let context = proto::event::v1::Context { page: Some(page), ..Default::default() };
        self.event.context = Some(context);
        self.event.properties_json = properties.rest();
        Ok(Body::PageViewed(PageViewed { title, category, screen: self.call == Call::Screen }))
    }

    fn group(&mut self) -> Result<Body, Problem> {
        let group_id = people::take_id(&mut self.members, "groupId")?;
        let group_id = group_id.ok_or_else(|| field_invalid("groupId", "must be given"))?;
        let traits = object(&mut self.members, "traits")?;
        Ok(Body::Grouped(Grouped { group_id, traits_json: traits.rest() }))
    }

    fn alias(&mut self, anonymous_id: Option<&str>) -> Result<Body, Problem> {
        let previous = people::take_id(&mut self.members, "previousId")?;
        let previous = previous.ok_or_else(|| field_invalid("previousId", "must be given"))?;
        Ok(Body::Aliased(Aliased { previous: Some(people::previous_identifier(previous, anonymous_id)) }))
    }
}

fn call(members: &Members<'_>, shared: &Shared<'_>) -> Result<Call, Problem> {
    own_call(members).or(shared.call).ok_or_else(|| {
        Problem::new(Reason::TypeUnknown, "the type must be track, identify, page, screen, group or alias")
    })
}

/// Returns the call that an event's own type names, if it names one.
fn own_call(members: &Members<'_>) -> Option<Call> {
    let named = members.get("type").and_then(Json::string)?;
    Call::parse(&named.trim().to_ascii_lowercase())
}

fn message_id(members: &mut Members<'_>) -> Result<String, Problem> {
    let Some(json) = members.take("messageId") else { return Ok(String::new()) };
    let text = json
        .scalar()
        .ok_or_else(|| Problem::new(Reason::MessageIdInvalid, "the messageId must be a string or a number"))?;
    Ok(text.into_owned())
}

/// Returns when the sender says it happened. A sender that gives both has corrected `timestamp` already, and
/// `originalTimestamp` goes with its `sentAt`.
fn claimed_time(members: &Members<'_>, shared: &Shared<'_>) -> Result<Option<i64>, Problem> {
    let given = members.get("originalTimestamp").or_else(|| members.get("timestamp")).or(shared.timestamp);
    let Some(given) = given else { return Ok(None) };
    let time = given.scalar().and_then(|text| instant::parse(&text));
    time.map(Some).ok_or_else(|| Problem::new(Reason::TimeInvalid, "the timestamp must be a time of ISO 8601"))
}

/// Returns when it was sent. Only good for correcting a clock: one that cannot be read corrects nothing.
fn sent_time(members: &Members<'_>, shared: &Shared<'_>) -> Option<i64> {
    let given = members.get("sentAt").or(shared.sent_at)?;
    given.scalar().and_then(|text| instant::parse(&text)).filter(|&sent_us| sent_us >= 0)
}

/// Takes the event's integrations with those of its batch under them.
fn take_integrations<'a>(members: &mut Members<'a>, shared: &Shared<'a>) -> Option<Members<'a>> {
    let own = members.take_if("integrations", Json::members);
    match (own, &shared.integrations) {
        (Some(mut own), Some(of_batch)) => {
            own.underlay(of_batch);
            Some(own)
        }
        (Some(own), None) => Some(own),
        (None, Some(of_batch)) if members.get("integrations").is_none() => Some(of_batch.clone()),
        (None, _) => None,
    }
}

/// Takes an object; absent and null are an empty one.
fn object<'a>(members: &mut Members<'a>, key: &'static str) -> Result<Members<'a>, Problem> {
    let Some(json) = members.take(key) else { return Ok(Members::none()) };
    json.members().ok_or_else(|| field_invalid(key, "must be an object"))
}

/// Returns an event as a dead letter keeps it: complete in itself, with what it shared with its batch and what the
/// request said about its sender, so that replaying it alone gives what it would have given then.
pub(crate) fn kept_payload(json: Json<'_>, shared: &Shared<'_>, sender: Sender<'_>) -> Bytes {
    let Some(mut members) = json.members() else {
        return Bytes::copy_from_slice(json.raw().as_bytes());
    };
    let mut kept = ObjectWriter::default();
    if let (None, Some(call)) = (own_call(&members), shared.call) {
        // In the place of one that names nothing, if there is any: the event was read as the path says.
        members.take("type");
        kept.put_text("type", call.name());
    }
    members.take("writeKey");
    if members.get("context").is_none_or(Json::is_object) {
        let mut context = members.take("context").and_then(Json::members).unwrap_or_else(Members::none);
        if let Some(of_batch) = &shared.context {
            context.underlay(of_batch);
        }
        let merged = with_sender(&context, sender);
        if !merged.is_empty() {
            kept.put("context", std::str::from_utf8(&merged).expect("slices of text are text"));
        }
    }
    if let Some(integrations) = take_integrations(&mut members, shared) {
        kept.put("integrations", &integrations.rest_text());
    }
    let has_time = members.get("timestamp").or(members.get("originalTimestamp")).is_some();
    for (key, has_own, of_batch) in
        [("timestamp", has_time, shared.timestamp), ("sentAt", members.get("sentAt").is_some(), shared.sent_at)]
    {
        if let (false, Some(value)) = (has_own, of_batch) {
            members.take(key);
            kept.put(key, value.raw());
        }
    }
    for (key, value) in members.left() {
        kept.put(key, value.raw());
    }
    kept.finish()
}

/// Adds what the request says of a visitor, where [`ContextReader`] would take it from there.
fn with_sender(context: &Members<'_>, sender: Sender<'_>) -> Bytes {
    let mut probe = ContextReader::new(context.clone());
    let library = probe.take_library();
    let read = probe.finish(&library, sender, &Members::none());
    let mut merged = ObjectWriter::default();
    for (key, value) in context.left().filter(|(key, _)| *key != "ip") {
        merged.put(key, value.raw());
    }
    // A dead letter is kept as well: the end of the address is not.
    for (key, text) in [("ip", &cut_text(&read.ip)), ("userAgent", &read.user_agent)] {
        if (key == "ip" || context.get(key).is_none()) && !text.is_empty() {
            merged.put_text(key, text);
        }
    }
    merged.finish()
}

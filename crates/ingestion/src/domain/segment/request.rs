//! Taking an HTTP body apart into events and what they share.

use std::borrow::Cow;

use crate::domain::json::{Json, Members};
use crate::domain::json_scan;
use crate::domain::limits::{MAX_EVENTS, MAX_JSON_DEPTH};

/// What the path of a request says about its body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Route {
    /// Many events.
    Batch,
    /// One event of this type.
    Single(Call),
    /// Measurements of the browser SDK about itself.
    Metrics,
}

/// The type of a Segment event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Call {
    Track,
    Identify,
    Page,
    Screen,
    Group,
    Alias,
}

impl Route {
    /// Returns the route with this path, whatever slashes stand around it.
    pub(crate) fn parse(path: &str) -> Option<Self> {
        match path.trim_matches('/') {
            "batch" | "b" | "import" => Some(Self::Batch),
            "m" => Some(Self::Metrics),
            "t" => Some(Self::Single(Call::Track)),
            "i" => Some(Self::Single(Call::Identify)),
            "p" => Some(Self::Single(Call::Page)),
            "s" => Some(Self::Single(Call::Screen)),
            "g" => Some(Self::Single(Call::Group)),
            "a" => Some(Self::Single(Call::Alias)),
            path => Call::parse(path).map(Self::Single),
        }
    }
}

impl Call {
    /// Returns the call of this name.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        match name {
            "track" => Some(Self::Track),
            "identify" => Some(Self::Identify),
            "page" => Some(Self::Page),
            "screen" => Some(Self::Screen),
            "group" => Some(Self::Group),
            "alias" => Some(Self::Alias),
            _ => None,
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Track => "track",
            Self::Identify => "identify",
            Self::Page => "page",
            Self::Screen => "screen",
            Self::Group => "group",
            Self::Alias => "alias",
        }
    }
}

/// Why a whole body cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BodyError {
    /// Not a JSON object.
    NotJson,
    /// No `batch` array.
    NoBatch,
    /// More events than one request may hold.
    TooManyEvents,
    /// What the events share nests too deep.
    TooDeep,
}

/// A body, taken apart.
#[derive(Debug)]
pub(crate) struct Request<'a> {
    /// The write key beside the events.
    write_key: Option<Cow<'a, str>>,
    pub(crate) shared: Shared<'a>,
    /// The events, in their order, each unread.
    pub(crate) events: Vec<Json<'a>>,
}

impl<'a> Request<'a> {
    /// Returns the write key in the body: that of the batch, else of the first event that has one.
    pub(crate) fn write_key(&self) -> Option<Cow<'a, str>> {
        let of_an_event = || self.events.iter().find_map(|event| text(&event.members()?, "writeKey"));
        self.write_key.clone().or_else(of_an_event)
    }
}

/// What the events of a batch share.
#[derive(Debug, Default)]
pub(crate) struct Shared<'a> {
    /// The type that the path says.
    pub(crate) call: Option<Call>,
    pub(crate) context: Option<Members<'a>>,
    pub(crate) integrations: Option<Members<'a>>,
    pub(crate) timestamp: Option<Json<'a>>,
    pub(crate) sent_at: Option<Json<'a>>,
    /// Whether some event may nest too deep; each is looked at then.
    pub(crate) maybe_too_deep: bool,
}

/// Takes a body apart. Escapes in it must have been mended.
pub(crate) fn split<'a>(route: Route, body: &'a str) -> Result<Request<'a>, BodyError> {
    let maybe_too_deep = json_scan::is_deeper_than(body.as_bytes(), MAX_JSON_DEPTH);
    let mut members = Members::parse(body).ok_or(BodyError::NotJson)?;
    let write_key = text(&members, "writeKey");
    let Route::Batch = route else {
        let call = if let Route::Single(call) = route { Some(call) } else { None };
        let event = Json::parse(body).ok_or(BodyError::NotJson)?;
        return Ok(Request {
            write_key,
            shared: Shared { call, maybe_too_deep, ..Shared::default() },
            events: vec![event],
        });
    };

    let batch = members.take("batch").ok_or(BodyError::NoBatch)?;
    let events = batch.items().ok_or(BodyError::NoBatch)?;
    if events.len() > MAX_EVENTS {
        return Err(BodyError::TooManyEvents);
    }
    let context = members.take("context");
    let integrations = members.take("integrations");
    let shared_too_deep = maybe_too_deep
        && [context, integrations]
            .iter()
            .flatten()
            .any(|json| json_scan::is_deeper_than(json.raw().as_bytes(), MAX_JSON_DEPTH));
    if shared_too_deep {
        return Err(BodyError::TooDeep);
    }
    let shared = Shared {
        call: None,
        context: context.and_then(Json::members),
        integrations: integrations.and_then(Json::members),
        timestamp: members.take("timestamp"),
        sent_at: members.take("sentAt"),
        maybe_too_deep,
    };
    Ok(Request { write_key, shared, events })
}

fn text<'a>(members: &Members<'a>, key: &str) -> Option<Cow<'a, str>> {
    members.get(key)?.string().filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_route_is_known_with_and_without_slashes() {
        for path in ["batch", "import", "b", "/batch/"] {
            assert_eq!(Route::parse(path), Some(Route::Batch), "{path}");
        }
        for (long, short) in
            [("track", "t"), ("identify", "i"), ("page", "p"), ("screen", "s"), ("group", "g"), ("alias", "a")]
        {
            assert!(Route::parse(long).is_some());
            assert_eq!(Route::parse(long), Route::parse(short), "{long}");
        }
        assert_eq!(Route::parse("projects"), None);
    }

    #[test]
    fn a_batch_is_taken_apart() {
        let body = r#"{"writeKey":"wk","batch":[{"type":"track"},7],"sentAt":"now","context":{"ip":"1"}}"#;

        let request = split(Route::Batch, body).unwrap();

        assert_eq!(request.write_key().as_deref(), Some("wk"));
        assert_eq!(request.events.iter().map(|event| event.raw()).collect::<Vec<_>>(), [r#"{"type":"track"}"#, "7"]);
        assert!(request.shared.context.is_some() && request.shared.sent_at.is_some());
    }

    #[test]
    fn the_write_key_may_stand_in_an_event() {
        let request = split(Route::Batch, r#"{"batch":[7,{"type":"page"},{"writeKey":"inner"}]}"#).unwrap();

        assert_eq!(request.write_key().as_deref(), Some("inner"));
    }

    #[test]
    fn bodies_that_cannot_be_read_say_why() {
        let many = format!("{{\"batch\":[{}1]}}", "1,".repeat(MAX_EVENTS));
        let deep = format!("{{\"batch\":[],\"context\":{{\"a\":{}{}}}}}", "[".repeat(10_000), "]".repeat(10_000));
        for (body, error) in [
            ("", BodyError::NotJson),
            ("[]", BodyError::NotJson),
            ("{\"batch\":[}", BodyError::NotJson),
            ("{}", BodyError::NoBatch),
            ("{\"batch\":{}}", BodyError::NoBatch),
            (many.as_str(), BodyError::TooManyEvents),
            (deep.as_str(), BodyError::TooDeep),
        ] {
            assert_eq!(split(Route::Batch, body).unwrap_err(), error);
        }
    }
}

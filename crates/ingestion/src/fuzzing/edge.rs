use proto::event::v1::{Context, Custom, Event, Page, event::Body};

use super::first_line;
use crate::domain::edge::Enricher;
use crate::domain::texts;

/// Most that the door tells of a visit, as text: a few short words, a click id, and campaign tags.
const MOST_TOLD_BYTES: usize = 16 << 10;

/// What is told of a visit: lines of user agent, network address, address of the page, its query, page before.
pub fn edge(data: &[u8]) {
    let mut rest = data;
    let mut line = || {
        let (line, after) = first_line(rest);
        rest = after;
        String::from_utf8_lossy(line).into_owned()
    };
    let context = Context {
        user_agent: line(),
        ip: line(),
        page: Some(Page { url: line(), search: line(), referrer: line(), ..Page::default() }),
        ..Context::default()
    };
    let mut event = Event { context: Some(context), body: Some(Body::Custom(Custom {})), ..Event::default() };
    if texts::check(&event).is_err() {
        return;
    }
    let enricher = Enricher::default();
    let bot = enricher.enrich(&mut event);
    if let Err(problem) = texts::check(&event) {
        panic!("what is added at the door would be refused: {}", problem.message);
    }
    let added = event.context.as_ref().expect("a context was given");
    let told = format!("{:?} {:?} {:?}", added.client, added.touchpoint, added.campaign);
    assert!(!told.contains("\\0"), "PostgreSQL could not keep it");
    assert!(told.len() <= MOST_TOLD_BYTES, "{} bytes are told of a visit", told.len());
    let before = event.clone();
    assert_eq!(enricher.enrich(&mut event), bot, "told twice");
    assert_eq!(event, before, "told twice");
}

//! What pages may know of a source: which sites may send to it, and which events it expects.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use axum::http::{HeaderValue, Uri};
use kit::{Error, Kind, Origins};
use proto::ingestion::v1::{DescribeWriteKeyRequest, source_service_client::SourceServiceClient};

use super::Gate;

/// Most keys remembered at once; beyond it all are forgotten, which costs look-ups and nothing else.
const MAX_REMEMBERED: usize = 10_000;

/// Longer ones open nothing.
const MAX_KEY: usize = 100;

/// A source, as far as pages may know it.
#[derive(Debug, Default)]
pub(super) struct Described {
    pub(super) source_id: String,
    pub(super) name: String,
    pub(super) origins: Origins,
    pub(super) planned_events: Vec<String>,
    pub(super) unplanned_quarantined: bool,
}

/// What was learnt of write keys, for some seconds. What opens nothing is not remembered: it may be made the next moment.
pub(crate) struct Sources {
    ttl: Duration,
    known: Mutex<HashMap<String, (Instant, Arc<Described>)>>,
}

impl Sources {
    pub(crate) fn new(ttl: Duration) -> Self {
        Self { ttl, known: Mutex::default() }
    }

    fn recall(&self, key: &str) -> Option<Arc<Described>> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let (since, described) = known.get(key)?;
        (since.elapsed() < self.ttl).then(|| Arc::clone(described))
    }

    fn remember(&self, key: &str, described: Arc<Described>) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MAX_REMEMBERED {
            known.clear();
        }
        known.insert(key.to_owned(), (Instant::now(), described));
    }
}

/// Returns the source that a write key opens; `None` when it opens nothing.
pub(super) async fn describe(gate: &Gate, key: &str) -> Result<Option<Arc<Described>>, Error> {
    if key.is_empty() || key.len() > MAX_KEY {
        return Ok(None);
    }
    if let Some(known) = gate.sources.recall(key) {
        return Ok(Some(known));
    }
    let request = DescribeWriteKeyRequest { write_key: key.to_owned() };
    let answer = SourceServiceClient::new(gate.upstreams.ingestion.clone())
        .max_decoding_message_size(kit::MAX_MESSAGE_BYTES)
        .describe_write_key(gate.as_service(request))
        .await;
    let source = match answer.map_err(Error::from) {
        Ok(answer) => answer.into_inner(),
        Err(error) if error.kind == Kind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let described = Arc::new(Described {
        source_id: source.source_id,
        name: source.name,
        origins: Origins::parse(&source.allowed_origins).unwrap_or_default(),
        planned_events: source.planned_events,
        unplanned_quarantined: source.unplanned_quarantined,
    });
    gate.sources.remember(key, Arc::clone(&described));
    Ok(Some(described))
}

/// Whether a page of `origin` may call an address. Only where the address names the write key: a browser that asks before it sends
/// does not show what it will send. Ingestion refuses then what comes from other sites.
pub(super) async fn admits(gate: Arc<Gate>, key: Option<String>, origin: HeaderValue) -> bool {
    let Some(key) = key else { return true };
    match describe(&gate, &key).await {
        Ok(Some(source)) => origin.to_str().is_ok_and(|origin| source.origins.admit(origin)),
        // Whoever asks is told what is wrong, and can read it.
        Ok(None) | Err(_) => true,
    }
}

/// Returns the write key in an address. It is looked at as it is: keys have no characters that need an escape.
pub(super) fn named_key(uri: &Uri) -> Option<String> {
    let mut parts = uri.path().split('/').skip(1).peekable();
    parts.next_if_eq(&"v1");
    if parts.next() == Some("projects") {
        return parts.next().map(str::to_owned);
    }
    let mut pairs = uri.query()?.split('&').filter_map(|pair| pair.split_once('='));
    pairs.rfind(|(name, _)| *name == "writeKey").map(|(_, key)| key.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_may_name_the_key() {
        for (uri, key) in [
            ("/v1/projects/wk_1/settings", Some("wk_1")),
            ("/projects/wk_1/settings/", Some("wk_1")),
            ("/sourceConfig?p=web&writeKey=wk_1", Some("wk_1")),
            ("/beacon/v1/batch?writeKey=wk_1", Some("wk_1")),
            ("http://events.test/v1/batch?writeKey=old&writeKey=wk_1", Some("wk_1")),
            ("/v1/batch", None),
            ("/v1/batch?writekey=wk_1", None),
            ("/", None),
        ] {
            assert_eq!(named_key(&uri.parse().unwrap()).as_deref(), key, "{uri}");
        }
    }

    #[test]
    fn what_was_learnt_is_forgotten_and_does_not_pile_up() {
        let sources = Sources::new(Duration::from_secs(60));
        for number in 0..3 * MAX_REMEMBERED {
            sources.remember(&number.to_string(), Arc::default());
        }
        assert!(sources.known.lock().unwrap().len() <= MAX_REMEMBERED);
        assert!(sources.recall("29999").is_some());

        let forgetful = Sources::new(Duration::ZERO);
        forgetful.remember("wk_1", Arc::default());
        assert!(forgetful.recall("wk_1").is_none());
    }
}

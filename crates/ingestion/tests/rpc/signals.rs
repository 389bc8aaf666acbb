//! Context signals, collected and served.

use proto::event::v1::event::Body;
use proto::event::v1::{ContextSignal, Event, Location, Party, Provenance};
use proto::ingestion::v1::context_service_client::ContextServiceClient;
use proto::ingestion::v1::verdict::Outcome;
use proto::ingestion::v1::{ListSignalsRequest, ListSignalsResponse, Signal};

use crate::harness::{Setup, both, noon, outcomes, reason};

fn at(hours: i64) -> Option<prost_types::Timestamp> {
    Some(prost_types::Timestamp { seconds: noon().timestamp() + hours * 3_600, nanos: 0 })
}

fn place(country: &str, city: &str) -> Option<Location> {
    Some(Location { country: country.into(), city: city.into(), ..Location::default() })
}

/// A signal from `from` to `until`, told at `told`, in hours from noon.
fn signal(kind: &str, city: &str, (from, until): (i64, i64), told: i64, says: &str) -> Event {
    let place = if city.is_empty() { place("FR", "") } else { place("FR", city) };
    let signal = ContextSignal { kind: kind.into(), place, start_time: at(from), end_time: at(until) };
    Event {
        message_id: format!("{kind} {city} {from} {told}"),
        event_time: at(told),
        provenance: Some(Provenance { party: Party::Third.into(), ..Provenance::default() }),
        properties_json: format!(r#"{{"says":"{says}"}}"#).into(),
        body: Some(Body::ContextSignal(signal)),
        ..Event::default()
    }
}

async fn list(setup: &Setup, tenant: &str, request: ListSignalsRequest) -> Result<ListSignalsResponse, tonic::Status> {
    let channel = setup.tenant_channel(tenant, &[kit::auth::scope::SCORES_READ]);
    Ok(ContextServiceClient::new(channel).list_signals(request).await?.into_inner())
}

async fn said(setup: &Setup, request: ListSignalsRequest) -> Vec<String> {
    let answer = list(setup, "shop", request).await.unwrap();
    answer.signals.iter().map(says).collect()
}

fn says(signal: &Signal) -> String {
    let properties: serde_json::Value = serde_json::from_slice(&signal.properties_json).unwrap();
    properties["says"].as_str().unwrap().to_owned()
}

/// Returns a service on each engine, with signals, and the source they came through.
async fn filled() -> Vec<(Setup, String)> {
    let mut filled = Vec::new();
    for setup in both().await {
        let source_id = setup.source().await;
        let events = vec![
            signal("weather", "Lyon", (0, 24), -1, "sun in Lyon"),
            signal("weather", "Paris", (0, 24), -1, "rain in Paris"),
            signal("weather", "Paris", (24, 48), -1, "snow in Paris tomorrow"),
            signal("holiday", "", (12, 36), -2, "a holiday in France"),
            signal("tv_spot", "", (1, 1), -2, "a spot"),
        ];
        assert_eq!(outcomes(&setup.collect(&source_id, events).await), [Outcome::Accepted; 5]);
        filled.push((setup, source_id));
    }
    filled
}

#[tokio::test]
async fn signals_are_served_by_kind_place_and_time() {
    for (setup, _) in filled().await {
        let all = ListSignalsRequest::default();
        assert_eq!(
            said(&setup, all.clone()).await,
            ["sun in Lyon", "rain in Paris", "a spot", "a holiday in France", "snow in Paris tomorrow"]
        );
        let lyon = ListSignalsRequest { place: place("FR", "Lyon"), ..all.clone() };
        assert_eq!(said(&setup, lyon).await, ["sun in Lyon", "a spot", "a holiday in France"]);
        let weather = ListSignalsRequest { kind: "weather".into(), place: place("FR", "Paris"), ..all.clone() };
        assert_eq!(said(&setup, weather).await, ["rain in Paris", "snow in Paris tomorrow"]);
        let abroad = ListSignalsRequest { place: place("BE", ""), ..all.clone() };
        assert_eq!(said(&setup, abroad).await, [""; 0]);
        // An instant holds at its beginning, a span until before its end.
        let later = ListSignalsRequest { start_time: at(24), end_time: at(25), ..all.clone() };
        assert_eq!(said(&setup, later).await, ["a holiday in France", "snow in Paris tomorrow"]);
        let spot = ListSignalsRequest { kind: "tv_spot".into(), start_time: at(1), end_time: at(2), ..all.clone() };
        assert_eq!(said(&setup, spot).await, ["a spot"]);

        assert!(list(&setup, "other", all.clone()).await.unwrap().signals.is_empty(), "another tenant sees none");
        let first = &list(&setup, "shop", all).await.unwrap().signals[0];
        assert_eq!(first.provenance.as_ref().unwrap().party(), Party::Third);
        assert_eq!(first.told_time, at(-1));
        assert!(setup.logged("shop").await.iter().any(|event| event.event_id == first.event_id));
    }
}

#[tokio::test]
async fn the_newest_word_counts_in_whatever_order_they_come() {
    for (setup, source_id) in filled().await {
        let newer = signal("weather", "Lyon", (0, 20), 0, "hail in Lyon");
        let older = signal("weather", "Lyon", (0, 30), -3, "fog in Lyon");
        setup.collect(&source_id, vec![newer.clone(), older.clone(), newer.clone()]).await;

        let lyon = || ListSignalsRequest { kind: "weather".into(), place: place("FR", "Lyon"), ..Default::default() };
        assert_eq!(said(&setup, lyon()).await, ["hail in Lyon"]);
        setup.collect(&source_id, vec![Event { message_id: "once more".into(), ..older }]).await;
        assert_eq!(said(&setup, lyon()).await, ["hail in Lyon"]);
    }
}

#[tokio::test]
async fn signals_come_in_pages() {
    for (setup, _) in filled().await {
        let mut request = ListSignalsRequest { page_size: 2, ..ListSignalsRequest::default() };
        let mut found = Vec::new();
        loop {
            let page = list(&setup, "shop", request.clone()).await.unwrap();
            assert!(page.signals.len() <= 2);
            found.extend(page.signals.iter().map(says));
            if page.next_page_token.is_empty() {
                break;
            }
            request.page_token = page.next_page_token;
        }
        assert_eq!(found, said(&setup, ListSignalsRequest::default()).await);

        for bad in [
            ListSignalsRequest { page_token: "bm9wZQ".into(), ..ListSignalsRequest::default() },
            ListSignalsRequest { page_size: -1, ..ListSignalsRequest::default() },
            ListSignalsRequest { start_time: at(2), end_time: at(1), ..ListSignalsRequest::default() },
            ListSignalsRequest {
                start_time: Some(prost_types::Timestamp { seconds: i64::MAX, nanos: -1 }),
                ..ListSignalsRequest::default()
            },
        ] {
            let status = list(&setup, "shop", bad).await.unwrap_err();
            assert_eq!(status.code(), tonic::Code::InvalidArgument, "{}", reason(status));
        }
        let all_wrong = ListSignalsRequest {
            page_token: "bm9wZQ".into(),
            page_size: -1,
            start_time: at(2),
            end_time: at(1),
            ..ListSignalsRequest::default()
        };
        let told = kit::Error::from(list(&setup, "shop", all_wrong).await.unwrap_err());
        let fields: Vec<&str> = told.violations.iter().map(|violation| violation.field.as_str()).collect();
        assert_eq!(fields, ["page_size", "page_token", "end_time"], "all at once");
        let strange = ListSignalsRequest { kind: "a\0b".into(), ..ListSignalsRequest::default() };
        assert!(list(&setup, "shop", strange).await.unwrap().signals.is_empty());
        let channel = setup.tenant_channel("shop", &[kit::auth::scope::EVENTS_WRITE]);
        let refused = ContextServiceClient::new(channel).list_signals(ListSignalsRequest::default()).await;
        assert_eq!(refused.unwrap_err().code(), tonic::Code::PermissionDenied);
    }
}

#[tokio::test]
async fn a_signal_that_no_index_holds_is_kept_as_a_dead_letter() {
    for (setup, source_id) in filled().await {
        let long = |length: usize| "é".repeat(length);
        let city = signal("weather", &long(101), (0, 1), 0, "too long");
        let kind = signal(&long(65), "Lyon", (0, 1), 0, "too long");
        let longest = signal(&long(64), &long(100), (0, 1), 0, "long");
        let events = [city, kind, longest].map(|event| Event { message_id: String::new(), ..event });

        let verdicts = setup.collect(&source_id, events.to_vec()).await;

        assert_eq!(outcomes(&verdicts), [Outcome::Quarantined, Outcome::Quarantined, Outcome::Accepted]);
    }
}

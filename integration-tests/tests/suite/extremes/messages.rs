//! Messages of gRPC and JSON: as large as may be and larger, small ones that become large, and depth without end.

use bytes::Bytes;
use comptoir_integration_tests::{
    Engine,
    http::{call_grpc, call_json, frame, reason},
};
use kit::channel::{self, Channel, ChannelOptions, Credential};
use prost::Message;
use proto::{
    event::v1::{Custom, Event, event::Body},
    ingestion::v1::{CollectRequest, verdict::Outcome},
    r#type::v1::Identifier,
};
use tower::ServiceExt;

use super::{Counts, Door};

const COLLECT: &str = "comptoir.ingestion.v1.IngestionService/Collect";
/// What each process may have in memory during these tests, in MiB.
const MEMORY: u64 = 384;

fn event(message_id: &str, properties_json: impl Into<Bytes>) -> Event {
    Event {
        message_id: message_id.into(),
        name: "Wheel Spun".into(),
        identifiers: vec![Identifier { kind: "user_id".into(), value: "u".into() }],
        properties_json: properties_json.into(),
        body: Some(Body::Custom(Custom {})),
        ..Event::default()
    }
}

fn raw(door: &Door) -> anyhow::Result<Channel> {
    let channel = channel::remote(&door.cluster.gateway_url(), ChannelOptions::new(Credential::none()).retries(0))?;
    let bearer = http::HeaderValue::try_from(format!("Bearer {}", door.key))?;
    Ok(Channel::new(channel.map_request(move |mut request: http::Request<tonic::body::Body>| {
        request.headers_mut().insert(http::header::AUTHORIZATION, bearer.clone());
        request
    })))
}

/// A request of so many bytes that is nothing but empty elements of the list `field`, two bytes each.
fn empty_elements(field: u8, bytes: usize) -> Vec<u8> {
    [field << 3 | 2, 0].repeat(bytes / 2)
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_at_their_limit_are_taken_and_over_it_refused() -> anyhow::Result<()> {
    let door = Door::open(Engine::Sqlite).await?;
    let text = format!(r#"{{"text":"{}"}}"#, "x".repeat(100_000));
    let request = |name: &str, events: usize| CollectRequest {
        events: (0..events).map(|number| event(&format!("{name}-{number}"), text.clone())).collect(),
        source_id: door.source_id.clone(),
    };

    let verdicts = door.api.ingestion().collect(request("large", 160)).await?.into_inner().verdicts;
    assert!(verdicts.iter().all(|verdict| verdict.outcome() == Outcome::Accepted));
    // 16 MiB of events are too many; a message of 32 MiB is not even read.
    for (events, reason) in [(170, "INVALID_FIELDS"), (340, "MESSAGE_TOO_LARGE")] {
        let too_large = kit::Error::from(door.api.ingestion().collect(request("over", events)).await.unwrap_err());
        assert_eq!((too_large.kind, too_large.reason.as_ref()), (kit::Kind::InvalidArgument, reason));
    }

    assert_eq!(door.counts().await?, Counts { accepted: 160, ..Counts::default() });
    door.assert_small(MEMORY);
    door.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn small_messages_that_become_large_are_refused_unread() -> anyhow::Result<()> {
    let door = Door::open(Engine::Sqlite).await?;
    let channel = raw(&door)?;
    let of_events = empty_elements(1, 16_000_000);
    let within_an_event = {
        let body = empty_elements(8, 15_000_000);
        let mut request = Vec::new();
        prost::encoding::encode_key(1, prost::encoding::WireType::LengthDelimited, &mut request);
        prost::encoding::encode_varint(body.len() as u64, &mut request);
        [request, body].concat()
    };
    // The list is what the test takes it for.
    assert_eq!(CollectRequest::decode(&of_events[..200])?.events.len(), 100);
    let event = CollectRequest::decode(&[&[0x0a, 200][..], &[1], &empty_elements(8, 200)].concat()[..])?;
    assert_eq!(event.events[0].identifiers.len(), 100);

    let bombs = [of_events, within_an_event, empty_elements(1, 1_000_000)];
    for bomb in &bombs {
        let refused = kit::Error::from(call_grpc(&channel, COLLECT, frame(bomb)).await.unwrap_err());
        assert_eq!((refused.kind, refused.reason.as_ref()), (kit::Kind::InvalidArgument, "MESSAGE_TOO_LARGE"));
    }
    let json = format!(r#"{{"events":[{}{{}}]}}"#, "{},".repeat(5_000_000));
    let answer = call_json(&mut door.web()?, Some(&door.key), COLLECT, json).await?;
    assert_eq!((answer.status.as_u16(), reason(&answer).as_str()), (413, "MESSAGE_TOO_LARGE"));
    let answer = call_json(&mut door.web()?, None, COLLECT, " ".repeat(15 << 20)).await?;
    assert_eq!((answer.status.as_u16(), reason(&answer).as_str()), (401, "CREDENTIAL_MISSING"));
    // As many as one may send are fine, whatever they are.
    let most = CollectRequest { events: vec![Event::default(); 5_000], source_id: door.source_id.clone() };
    let verdicts = door.api.ingestion().collect(most).await?.into_inner().verdicts;
    assert!(verdicts.iter().all(|verdict| verdict.outcome() == Outcome::Quarantined));

    door.assert_small(MEMORY);
    door.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn depth_without_end_is_refused_where_it_is() -> anyhow::Result<()> {
    let door = Door::open(Engine::Sqlite).await?;
    let deep = format!("{}1{}", r#"{"a":"#.repeat(10_000), "}".repeat(10_000));

    let events = vec![event("a", "{}"), event("deep", deep.clone()), event("b", "{}")];
    let request = CollectRequest { events, source_id: door.source_id.clone() };
    let verdicts = door.api.ingestion().collect(request).await?.into_inner().verdicts;
    let told: Vec<_> = verdicts.iter().map(|verdict| (verdict.outcome(), verdict.reason.as_str())).collect();
    assert_eq!(told, [(Outcome::Accepted, ""), (Outcome::Quarantined, "TOO_DEEP"), (Outcome::Accepted, "")]);

    let answer = call_json(&mut door.web()?, Some(&door.key), COLLECT, format!(r#"{{"events":{deep}}}"#)).await?;
    assert_eq!((answer.status.as_u16(), reason(&answer).as_str()), (400, "JSON_INVALID"));

    assert_eq!(door.counts().await?, Counts { accepted: 2, quarantined: 1, dead_letters: 1 });
    door.assert_small(MEMORY);
    door.close().await
}

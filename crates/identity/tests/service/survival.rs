//! Crashes, replicas, disorder and damage change nothing.

use std::collections::{BTreeMap, BTreeSet};

use comptoir_identity::Config;
use eventlog::{EventLog, LogOptions, Record};
use kit::{Clock, TenantId, metrics::Metrics};
use prost::Message;
use proto::event::v1::Event;
use proto::identity::v1::{ListProfilesRequest, SeparateIdentifiersRequest, SetIdentifierBlockedRequest};

use crate::{
    mirror::assert_mirrored,
    shop::{Client, Service, Source, at, by_identifier, consenting, engines, identified, identifier, timeline},
};

/// People with devices, accounts and addresses that mix, as in life.
fn life(source: &Source, events: u64) -> Vec<Event> {
    let mut state = 7_u64;
    let mut draw = move |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    let mut all = Vec::new();
    for _ in 0..events {
        let person = draw(40);
        let device = format!("device-{}", if draw(8) == 0 { draw(10) } else { 100 + person * 2 + draw(2) });
        let (user, mail) = (format!("u{person}"), format!("p{}@shop.example", person / 2 * 2 + draw(10) / 9));
        let mut ids: Vec<(&str, &str)> = vec![("anonymous_id", &device)];
        if draw(3) == 0 {
            ids.push(("user_id", &user));
        }
        if draw(5) == 0 {
            ids.push(("email", &mail));
        }
        let seconds = draw(100_000) as i64;
        let mut event = source.event(seconds, &ids);
        if draw(6) == 0 {
            event = identified(event, &format!("name {}", draw(5)), "Lyon");
        }
        if draw(9) == 0 {
            event = consenting(event, draw(2) == 0, seconds);
        }
        all.push(event);
    }
    all
}

/// Who each event belongs to, by identifiers; with golden records. What must be the same however it came about.
type Picture = BTreeSet<(BTreeSet<String>, BTreeMap<String, String>, BTreeSet<String>)>;

async fn picture(client: &mut Client) -> Picture {
    let request = ListProfilesRequest { page_size: 1_000, ..Default::default() };
    let mut picture = Picture::new();
    for profile in client.list_profiles(request).await.unwrap().into_inner().profiles {
        let events = timeline(client, &profile.profile_id).await;
        // A profile that lost its last event to another remains by id only.
        if !events.is_empty() {
            picture.insert((
                profile.identifiers.iter().map(|known| format!("{}:{}", known.kind, known.value)).collect(),
                profile.traits.iter().map(|known| (known.name.clone(), known.value.clone())).collect(),
                events.into_iter().map(|event| event.message_id).collect(),
            ));
        }
    }
    picture
}

fn small_batches(batch: usize) -> Config {
    let mut config = Config::default();
    config.follower.batch = batch;
    // Everything is forgotten after each batch, and loaded again.
    config.follower.cached_components = 4;
    config
}

#[tokio::test(flavor = "multi_thread")]
async fn crashes_replicas_and_disorder_leave_the_same_people() {
    let source = Source::new().await;
    let events = life(&source, 1_500);
    let undisturbed_db = engines().await.remove(0);
    source.publish("shop", &events).await;
    let service = Service::start(&source, undisturbed_db.handle()).await;
    service.caught_up("shop", 1_500).await;
    let expected = picture(&mut service.full_client("shop")).await;
    assert_mirrored(&mut service.full_client("shop"), undisturbed_db.handle(), "shop").await;
    service.stop().await;

    for db in engines().await {
        let disorder = Source::new().await;
        let mut shuffled = events.clone();
        shuffled.sort_by_key(|event| event.message_id.bytes().rev().collect::<Vec<u8>>());
        for (round, part) in shuffled.chunks(150).enumerate() {
            disorder.publish("shop", part).await;
            // The process dies in the middle of its work, with a second replica beside it in some rounds.
            let service = Service::start_with(&disorder, db.handle(), small_batches(20 + round * 7)).await;
            let second = Service::start_with(&disorder, db.handle(), small_batches(33)).await;
            service.caught_up("shop", (round as u64) * 150 + 40).await;
            drop(second);
            service.shutdown.begin();
        }
        let service = Service::start_with(&disorder, db.handle(), small_batches(100)).await;
        service.caught_up("shop", 1_500).await;
        let mut client = service.full_client("shop");

        assert_eq!(picture(&mut client).await, expected, "{}", db.engine());
        assert_eq!(assert_mirrored(&mut client, db.handle(), "shop").await.len(), 1_500);
        service.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_record_is_set_aside_and_the_rest_goes_on() {
    for db in engines().await {
        let source = Source::new().await;
        let service = Service::start(&source, db.handle()).await;
        let tenant = TenantId::try_from("shop").unwrap();
        let broken = Record { key: "k".into(), payload: vec![0xff; 9].into(), event_time_us: 0, traceparent: None };
        source.publish_records(&tenant, vec![broken]).await;
        let mut nameless = source.event(0, &[("user_id", "u1")]);
        nameless.event_id = "no uuid".into();
        source.publish("shop", &[nameless, source.event(1, &[("user_id", "u1")])]).await;

        service.caught_up("shop", 1).await;

        let person = by_identifier(&mut service.full_client("shop"), "user_id", "u1").await.unwrap();
        assert_eq!(person.event_count, 1);
        let mut aside = eventlog::dead_letters(&db.handle(), &tenant, None, 10).await.unwrap();
        // Partitions are read side by side: the broken record may come a moment later.
        while aside.len() < 2 {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            aside = eventlog::dead_letters(&db.handle(), &tenant, None, 10).await.unwrap();
        }
        assert_eq!(aside.len(), 2);
        service.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn decisions_made_while_events_pour_in_hold() {
    for db in engines().await {
        let source = Source::new().await;
        let service = Service::start_with(&source, db.handle(), small_batches(25)).await;
        let events = life(&source, 900);
        let mut client = service.full_client("shop");
        let mut parted = Vec::new();
        for (round, part) in events.chunks(60).enumerate() {
            source.publish("shop", part).await;
            service.caught_up("shop", round as u64 * 60 + 10).await;
            let person = round as u64;
            let request = SeparateIdentifiersRequest {
                first: Some(identifier("user_id", &format!("u{person}"))),
                second: Some(identifier("anonymous_id", &format!("device-{}", 100 + person * 2))),
                reason: "sold".into(),
            };
            // Not everybody was seen yet.
            if client.separate_identifiers(request.clone()).await.is_ok() {
                parted.push(request);
            }
            let request = SetIdentifierBlockedRequest {
                identifier: Some(identifier("email", &format!("p{}@shop.example", round / 2 * 2))),
                blocked: round % 2 == 0,
                reason: "to try".into(),
            };
            client.set_identifier_blocked(request).await.unwrap();
        }
        service.caught_up("shop", 900).await;

        assert!(parted.len() > 5, "{}", parted.len());
        for request in parted {
            let (first, second) = (request.first.unwrap(), request.second.unwrap());
            let one = by_identifier(&mut client, &first.kind, &first.value).await.unwrap();
            let other = by_identifier(&mut client, &second.kind, &second.value).await.unwrap();
            assert_ne!(one.profile_id, other.profile_id);
        }
        assert_eq!(assert_mirrored(&mut client, db.handle(), "shop").await.len(), 900);
        service.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_trace_of_an_event_goes_on_in_the_profile_log() {
    const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    let db = engines().await.remove(0);
    let source = Source::new().await;
    let service = Service::start(&source, db.handle()).await;
    let tenant = TenantId::try_from("shop").unwrap();
    let payload = source.event(0, &[("user_id", "u1")]).encode_to_vec().into();
    let record = Record { key: "u1".into(), payload, event_time_us: 0, traceparent: Some(TRACE.into()) };
    source.publish_records(&tenant, vec![record]).await;
    service.caught_up("shop", 1).await;

    let log = EventLog::new(db.handle(), "profiles", LogOptions::default(), Clock::manual(at(0)), &Metrics::new());
    let mut traces = Vec::new();
    for partition in 0..8 {
        for record in log.read(&tenant, partition, 0, 10).await.unwrap() {
            traces.extend(record.record.traceparent);
        }
    }

    assert_eq!(traces.len(), 1);
    assert!(traces[0].starts_with("00-4bf92f3577b34da6a3ce929d0e0e4736-"));
    service.stop().await;
}

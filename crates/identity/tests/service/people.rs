//! People come together from what was seen.

use proto::event::v1::{ContextSignal, Event, event::Body as EventBody};
use proto::identity::v1::{ListChangesRequest, ListProfilesRequest, profile_change::Kind, profile_record::Body};
use proto::r#type::v1::ConsentState;
use tonic::Code;

use crate::{
    mirror::{assert_mirrored, records},
    shop::{
        Service, Source, aliased, by_id, by_identifier, code, consenting, engines, identified, in_country, timeline,
        trait_of,
    },
};

#[tokio::test(flavor = "multi_thread")]
async fn a_visitor_who_signs_in_brings_their_past_along() {
    for db in engines().await {
        let source = Source::new().await;
        let service = Service::start(&source, db.handle()).await;
        let mut client = service.full_client("shop");
        let visits: Vec<Event> = (0..3).map(|n| source.event(n, &[("anonymous_id", "a1")])).collect();
        source.publish("shop", &visits).await;
        let account =
            identified(source.event(100, &[("user_id", "u1"), ("email", "Ann.Lee@gmail.com")]), "Ann", "Lille");
        source.publish("shop", &[account]).await;
        service.caught_up("shop", 4).await;
        let visitor = by_identifier(&mut client, "anonymous_id", "a1").await.unwrap();

        source.publish("shop", &[source.event(200, &[("anonymous_id", "a1"), ("user_id", "u1")])]).await;
        let summary = service.caught_up("shop", 5).await;

        // The visitor was seen first, so the visitor's id stays.
        let person = by_identifier(&mut client, "email", "annlee+news@googlemail.com").await.unwrap();
        assert_eq!(person.profile_id, visitor.profile_id);
        assert_eq!(person.event_count, 5);
        assert_eq!(person.identifiers.len(), 3);
        assert_eq!(trait_of(&person, "first_name"), Some("Ann"));
        assert_eq!(trait_of(&person, "email"), Some("Ann.Lee@gmail.com"));
        assert_eq!(person.absorbed_profile_ids.len(), 1);
        let absorbed = by_id(&mut client, &person.absorbed_profile_ids[0]).await.unwrap();
        assert_eq!(absorbed.profile_id, person.profile_id);
        assert_eq!((summary.profiles, summary.identified_profiles, summary.merges, summary.identifiers), (1, 1, 1, 3));

        let events = timeline(&mut client, &person.profile_id).await;
        let times: Vec<i64> = events.iter().map(|event| event.event_time.as_ref().unwrap().seconds).collect();
        assert!(times.is_sorted_by(|left, right| left >= right), "newest first");

        let log = records(db.handle(), "shop").await;
        let told_of_merge: Vec<&str> = log
            .iter()
            .filter(|record| matches!(record.body, Some(Body::Merged(_))))
            .map(|record| record.profile_id.as_str())
            .collect();
        assert_eq!(told_of_merge.len(), 2, "the merge stands in both partitions");
        let restated =
            log.iter().filter(|record| matches!(&record.body, Some(Body::Event(event)) if event.restated)).count();
        assert_eq!(restated, 1, "only the absorbed profile's event is told again");
        assert_mirrored(&mut client, db.handle(), "shop").await;

        let changes = client.list_changes(ListChangesRequest::default()).await.unwrap().into_inner().changes;
        assert_eq!(changes.len(), 1);
        assert_eq!(changes[0].kind(), Kind::Merge);
        let evidence = changes[0].evidence.as_ref().unwrap();
        assert_eq!(evidence.rule, "anonymous_id and user_id seen together in one event");
        let of_absorbed =
            ListChangesRequest { profile_id: person.absorbed_profile_ids[0].clone(), ..Default::default() };
        assert_eq!(client.list_changes(of_absorbed).await.unwrap().into_inner().changes.len(), 1);
        service.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_golden_record_and_the_consents_follow_event_time_and_not_arrival() {
    for db in engines().await {
        let source = Source::new().await;
        let service = Service::start(&source, db.handle()).await;
        let mut client = service.full_client("shop");
        let ids = [("user_id", "u1")];
        let late = identified(consenting(source.event(900, &ids), false, 900), "Zoe", "Nice");
        let early = identified(consenting(source.event(100, &ids), true, 100), "Zo", "Paris");
        source.publish("shop", std::slice::from_ref(&late)).await;
        service.caught_up("shop", 1).await;
        source.publish("shop", &[early, in_country(source.event(950, &ids), "FR")]).await;
        service.caught_up("shop", 3).await;

        let person = by_identifier(&mut client, "user_id", "u1").await.unwrap();

        assert_eq!(trait_of(&person, "first_name"), Some("Zoe"));
        assert_eq!(trait_of(&person, "city"), Some("Nice"));
        assert_eq!(trait_of(&person, "country"), Some("FR"));
        assert_eq!(trait_of(&person, "locale"), Some("fr-FR"));
        assert_eq!(person.consents.len(), 1);
        assert_eq!(person.consents[0].state(), ConsentState::Denied);
        let golden = person.traits.iter().find(|known| known.name == "first_name").unwrap();
        assert_eq!((golden.event_id.as_str(), golden.source_id.as_str()), (late.event_id.as_str(), "site"));
        assert_mirrored(&mut client, db.handle(), "shop").await;
        service.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shared_tablet_joins_nobody_even_those_it_joined_before() {
    for db in engines().await {
        let source = Source::new().await;
        let service = Service::start(&source, db.handle()).await;
        let mut client = service.full_client("shop");
        let names = ["ann", "bob", "cid", "dan", "eve"];
        let mut sent = 0;
        for (number, name) in names.iter().enumerate() {
            let number = number as i64;
            let email = format!("{name}@shop.example");
            source
                .publish("shop", &[source.event(number * 10, &[("anonymous_id", "tablet"), ("email", &email)])])
                .await;
            source.publish("shop", &[source.event(number * 10 + 1, &[("anonymous_id", "tablet")])]).await;
            sent += 2;
            service.caught_up("shop", sent).await;
        }

        let mut people = Vec::new();
        for name in names {
            let person = by_identifier(&mut client, "email", &format!("{name}@shop.example")).await.unwrap();
            assert_eq!((person.identifiers.len(), person.event_count), (1, 1), "{name}");
            people.push(person.profile_id);
        }
        let tablet = by_identifier(&mut client, "anonymous_id", "tablet").await.unwrap();
        assert_eq!(tablet.event_count, 5, "what only the tablet saw stays with it");
        people.push(tablet.profile_id);
        people.sort();
        people.dedup();
        assert_eq!(people.len(), 6);
        assert_eq!(assert_mirrored(&mut client, db.handle(), "shop").await.len(), 10);
        service.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_joins_nobody_aliases_do_and_context_is_nobodys() {
    for db in engines().await {
        let source = Source::new().await;
        let service = Service::start(&source, db.handle()).await;
        let mut client = service.full_client("shop");
        let mut weather = source.event(5, &[]);
        weather.body = Some(EventBody::ContextSignal(ContextSignal { kind: "weather".into(), ..Default::default() }));
        let events = [
            source.event(1, &[("user_id", "undefined"), ("anonymous_id", "a1")]),
            source.event(2, &[("user_id", "undefined"), ("anonymous_id", "a2")]),
            source.event(3, &[("user_id", "null")]),
            weather,
            aliased(source.event(4, &[("user_id", "u7")]), "anonymous_id", "a2"),
        ];
        source.publish("shop", &events).await;

        let summary = service.caught_up("shop", 3).await;

        assert_eq!((summary.profiles, summary.events, summary.refused_evidence), (2, 3, 2));
        let alone = by_identifier(&mut client, "anonymous_id", "a1").await.unwrap();
        let aliased = by_identifier(&mut client, "user_id", "u7").await.unwrap();
        assert_ne!(alone.profile_id, aliased.profile_id);
        assert_eq!(aliased.identifiers.len(), 2);
        assert_eq!(code(by_identifier(&mut client, "user_id", "undefined").await), Code::NotFound);
        let listed = client
            .list_profiles(ListProfilesRequest { page_size: 1, ..Default::default() })
            .await
            .unwrap()
            .into_inner();
        let rest = ListProfilesRequest { page_size: 1_000, page_token: listed.next_page_token };
        let rest = client.list_profiles(rest).await.unwrap().into_inner();
        assert_eq!((listed.profiles.len(), rest.profiles.len()), (1, 1));
        service.stop().await;
    }
}

//! People part what evidence joins, block what misleads, and are told why.

use proto::identity::v1::{
    ExplainLinkRequest, ExplainLinkResponse, SeparateIdentifiersRequest, SetIdentifierBlockedRequest, evidence::Verdict,
};
use tonic::Code;

use crate::{
    mirror::assert_mirrored,
    shop::{Client, Service, Source, by_identifier, code, engines, identifier},
};

async fn explain(client: &mut Client, first: (&str, &str), second: (&str, &str)) -> ExplainLinkResponse {
    let request =
        ExplainLinkRequest { first: Some(identifier(first.0, first.1)), second: Some(identifier(second.0, second.1)) };
    client.explain_link(request).await.unwrap().into_inner()
}

fn separation(first: (&str, &str), second: (&str, &str)) -> SeparateIdentifiersRequest {
    SeparateIdentifiersRequest {
        first: Some(identifier(first.0, first.1)),
        second: Some(identifier(second.0, second.1)),
        reason: "two sisters".into(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn separated_identifiers_stay_apart_and_each_keeps_its_own_events() {
    for db in engines().await {
        let source = Source::new().await;
        let service = Service::start(&source, db.handle()).await;
        let mut client = service.full_client("shop");
        let (ann, bea) = (("email", "ann@shop.example"), ("email", "bea@shop.example"));
        let mut events = vec![source.event(0, &[ann, bea])];
        events.extend((1..90).map(|n| source.event(n, &[ann])));
        events.extend((90..100).map(|n| source.event(n, &[bea, ("phone", "06 98 76 54 31")])));
        source.publish("shop", &events).await;
        service.caught_up("shop", 100).await;
        let before = by_identifier(&mut client, bea.0, bea.1).await.unwrap();
        assert_eq!(before.event_count, 100);
        let linked = explain(&mut client, ann, ("phone", "+33698765431")).await;
        assert!(linked.linked);
        assert_eq!(linked.path.len(), 2);
        assert_eq!(linked.path[0].first, Some(identifier(ann.0, ann.1)));
        assert_eq!(linked.path[1].observations, 10);

        let parted = client.separate_identifiers(separation(ann, bea)).await.unwrap().into_inner();

        assert_ne!(parted.first_profile_id, parted.second_profile_id);
        let again = client.separate_identifiers(separation(bea, ann)).await.unwrap().into_inner();
        assert_eq!(
            (again.first_profile_id, again.second_profile_id),
            (parted.second_profile_id.clone(), parted.first_profile_id.clone())
        );
        source.publish("shop", &[source.event(200, &[ann, bea]), source.event(201, &[("phone", "0698765431")])]).await;
        let summary = service.caught_up("shop", 102).await;
        assert_eq!(summary.splits, 1);
        let (one, other) = (
            by_identifier(&mut client, ann.0, ann.1).await.unwrap(),
            by_identifier(&mut client, bea.0, bea.1).await.unwrap(),
        );
        assert_eq!((&one.profile_id, &other.profile_id), (&parted.first_profile_id, &parted.second_profile_id));
        assert_eq!(one.event_count + other.event_count, 102);
        assert!(other.event_count >= 11);
        let why = explain(&mut client, ann, bea).await;
        assert!(!why.linked);
        assert_eq!(why.refused[0].verdict(), Verdict::Separated);
        assert_eq!(why.refused[0].observations, 2);
        assert_eq!(assert_mirrored(&mut client, db.handle(), "shop").await.len(), 102);

        assert_eq!(
            code(client.separate_identifiers(separation(ann, ("email", "who@shop.example"))).await),
            Code::NotFound
        );
        service.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blocked_identifier_joins_nobody_until_it_is_freed() {
    for db in engines().await {
        let source = Source::new().await;
        let service = Service::start(&source, db.handle()).await;
        let mut client = service.full_client("shop");
        let till = ("phone", "+33199887766");
        source
            .publish(
                "shop",
                &[source.event(0, &[("loyalty_card", "c1"), till]), source.event(1, &[("loyalty_card", "c2"), till])],
            )
            .await;
        service.caught_up("shop", 2).await;
        let card = |number: &'static str| ("loyalty_card", number);
        assert!(explain(&mut client, card("c1"), card("c2")).await.linked);
        let set = |blocked| SetIdentifierBlockedRequest {
            identifier: Some(identifier(till.0, till.1)),
            blocked,
            reason: "the shop's own number".into(),
        };

        let blocked = client.set_identifier_blocked(set(true)).await.unwrap().into_inner();

        assert_eq!(blocked.profile_ids.len(), 2);
        let why = explain(&mut client, card("c1"), card("c2")).await;
        assert!(!why.linked);
        assert_eq!(why.refused[0].verdict(), Verdict::BlockedValue);
        source.publish("shop", &[source.event(2, &[card("c3"), till])]).await;
        service.caught_up("shop", 3).await;
        assert!(!explain(&mut client, card("c1"), card("c3")).await.linked);
        assert_eq!(assert_mirrored(&mut client, db.handle(), "shop").await.len(), 3);

        client.set_identifier_blocked(set(false)).await.unwrap();

        assert!(explain(&mut client, card("c1"), card("c2")).await.linked);
        assert!(explain(&mut client, card("c1"), card("c3")).await.linked, "evidence that came meanwhile counts");
        let person = by_identifier(&mut client, "loyalty_card", "c3").await.unwrap();
        assert_eq!((person.event_count, person.identifiers.len()), (3, 4));
        assert_eq!(assert_mirrored(&mut client, db.handle(), "shop").await.len(), 3);
        service.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_are_explained() {
    for db in engines().await {
        let source = Source::new().await;
        let service = Service::start(&source, db.handle()).await;
        let mut client = service.full_client("shop");
        let mail = ("email", "family@shop.example");
        let events = [
            source.event(0, &[("user_id", "u1"), mail]),
            source.event(1, &[("user_id", "u2"), mail]),
            source.event(2, &[("user_id", "null"), ("email", "new@shop.example")]),
        ];
        source.publish("shop", &events).await;
        service.caught_up("shop", 3).await;

        let limit = explain(&mut client, ("user_id", "u2"), mail).await;
        let nothing = explain(&mut client, ("user_id", "null"), ("email", "new@shop.example")).await;
        let unseen = explain(&mut client, ("user_id", "u9"), mail).await;

        assert_eq!(limit.refused[0].verdict(), Verdict::LimitExceeded);
        assert!(limit.summary.contains("one person has at most 1 of user_id"), "{}", limit.summary);
        assert!(nothing.summary.contains("identifies nobody"), "{}", nothing.summary);
        assert_eq!(nothing.refused[0].verdict(), Verdict::BlockedValue);
        assert!(unseen.summary.contains("was never seen"), "{}", unseen.summary);
        service.stop().await;
    }
}

//! Every RPC refuses bad input, wrong scopes and other tenants.

use kit::auth::scope;
use proto::identity::v1::{
    ExplainLinkRequest, GetProfileRequest, ListChangesRequest, ListProfilesRequest, ListTimelineRequest,
    SeparateIdentifiersRequest, SetIdentifierBlockedRequest, SummarizeProfilesRequest, get_profile_request::Key,
};
use tonic::Code;

use crate::shop::{Service, Source, by_id, by_identifier, code, engines, identifier};

#[tokio::test(flavor = "multi_thread")]
async fn bad_input_is_refused_with_every_field() {
    let db = engines().await.remove(0);
    let source = Source::new().await;
    let service = Service::start(&source, db.handle()).await;
    let mut client = service.full_client("shop");
    let bad = || Some(identifier("E-Mail", ""));

    assert_eq!(code(client.get_profile(GetProfileRequest { key: None }).await), Code::InvalidArgument);
    assert_eq!(code(by_id(&mut client, "not-a-uuid").await), Code::InvalidArgument);
    let status = by_identifier(&mut client, "E-Mail", "").await.unwrap_err();
    assert!(status.message().contains("identifier.kind") && status.message().contains("identifier.value"));
    assert_eq!(code(by_identifier(&mut client, "group_id", "acme").await), Code::InvalidArgument);
    let page = ListProfilesRequest { page_size: -1, page_token: "what".into() };
    assert_eq!(code(client.list_profiles(page).await), Code::InvalidArgument);
    let page = ListTimelineRequest { profile_id: String::new(), page_size: 0, page_token: "1".into() };
    assert_eq!(code(client.list_timeline(page).await), Code::InvalidArgument);
    assert_eq!(
        code(client.explain_link(ExplainLinkRequest { first: bad(), second: None }).await),
        Code::InvalidArgument
    );
    let same = Some(identifier("email", "a@shop.example"));
    let request = SeparateIdentifiersRequest { first: same.clone(), second: same.clone(), reason: String::new() };
    assert_eq!(code(client.separate_identifiers(request).await), Code::InvalidArgument);
    let request = SetIdentifierBlockedRequest { identifier: same, blocked: true, reason: "x".repeat(1_025) };
    assert_eq!(code(client.set_identifier_blocked(request).await), Code::InvalidArgument);
    let request = ListChangesRequest { profile_id: "x".into(), ..Default::default() };
    assert_eq!(code(client.list_changes(request).await), Code::InvalidArgument);
    let unknown = "0190d3a0-0000-7000-8000-000000000000";
    assert_eq!(code(by_id(&mut client, unknown).await), Code::NotFound);
    let page = ListTimelineRequest { profile_id: unknown.into(), ..Default::default() };
    assert_eq!(code(client.list_timeline(page).await), Code::NotFound);
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_reads_or_writes_across_tenants_or_beyond_scopes() {
    for db in engines().await {
        let source = Source::new().await;
        let service = Service::start(&source, db.handle()).await;
        let ids = [("user_id", "u1"), ("email", "ann@shop.example")];
        source.publish("shop", &[source.event(0, &ids)]).await;
        source.publish("rival", &[source.event(0, &[("user_id", "u2")])]).await;
        service.caught_up("shop", 1).await;
        service.caught_up("rival", 1).await;
        let own = by_identifier(&mut service.full_client("shop"), "user_id", "u1").await.unwrap();
        let mut rival = service.full_client("rival");
        let both = |reason: &str| SeparateIdentifiersRequest {
            first: Some(identifier(ids[0].0, ids[0].1)),
            second: Some(identifier(ids[1].0, ids[1].1)),
            reason: reason.into(),
        };

        assert_eq!(code(by_identifier(&mut rival, "user_id", "u1").await), Code::NotFound);
        assert_eq!(code(by_id(&mut rival, &own.profile_id).await), Code::NotFound);
        let page = ListTimelineRequest { profile_id: own.profile_id.clone(), ..Default::default() };
        assert_eq!(code(rival.list_timeline(page).await), Code::NotFound);
        let listed = rival.list_profiles(ListProfilesRequest::default()).await.unwrap().into_inner();
        assert!(listed.profiles.iter().all(|profile| profile.profile_id != own.profile_id));
        assert_eq!(listed.profiles.len(), 1);
        let explained = ExplainLinkRequest { first: both("").first, second: both("").second };
        assert!(!rival.explain_link(explained).await.unwrap().into_inner().linked);
        assert_eq!(code(rival.separate_identifiers(both("")).await), Code::NotFound);
        let block = SetIdentifierBlockedRequest { identifier: both("").first, blocked: true, reason: String::new() };
        assert!(rival.set_identifier_blocked(block.clone()).await.unwrap().into_inner().profile_ids.is_empty());
        assert!(rival.list_changes(ListChangesRequest::default()).await.unwrap().into_inner().changes.is_empty());
        assert_eq!(rival.summarize_profiles(SummarizeProfilesRequest {}).await.unwrap().into_inner().identifiers, 1);
        let unharmed = by_identifier(&mut service.full_client("shop"), "user_id", "u1").await.unwrap();
        assert_eq!(unharmed, own);

        let mut reader = service.client("shop", &[scope::PROFILES_READ]);
        assert_eq!(code(reader.separate_identifiers(both("")).await), Code::PermissionDenied);
        assert_eq!(code(reader.set_identifier_blocked(block).await), Code::PermissionDenied);
        let mut stranger = service.client("shop", &[]);
        let key = Some(Key::ProfileId(own.profile_id.clone()));
        assert_eq!(code(stranger.get_profile(GetProfileRequest { key }).await), Code::PermissionDenied);
        assert_eq!(code(stranger.summarize_profiles(SummarizeProfilesRequest {}).await), Code::PermissionDenied);
        service.stop().await;
    }
}

//! The API: works, repeats safely, refuses bad input, keeps tenants apart.

use kit::auth::scope;
use proto::campaign::v1::{
    AddSuppressionRequest, Channel, GetCampaignRequest, GetContactPolicyRequest, GetMessageRequest,
    GetSuppressionRequest, GetTemplateRequest, ListCampaignsRequest, ListMessagesRequest, ListTemplatesRequest,
    PreviewTemplateRequest, PutCampaignRequest, PutTemplateRequest, RemoveSuppressionRequest, SetCampaignPausedRequest,
    SummarizeMessagesRequest, Template, UnsubscribeRequest, campaign_service_client::CampaignServiceClient,
    link_service_client::LinkServiceClient, message_service_client::MessageServiceClient,
    template_service_client::TemplateServiceClient,
};
use tonic::Code;

use crate::{
    harness::{Replica, SHOP, World, databases, minutes, noon, sqlite},
    shop::*,
};

#[tokio::test(flavor = "multi_thread")]
async fn templates_are_put_listed_and_previewed() {
    for db in databases().await {
        let world = World::new().await;
        let replica = Replica::start(db.handle(), &world).await;
        replica.put_template(template()).await;
        replica.put_template(template()).await;
        replica.put_template(Template { template_id: "another".into(), ..template() }).await;

        let request = GetTemplateRequest { template_id: "basket".into() };
        let found = replica.templates().get_template(request).await.unwrap().into_inner().template.unwrap();
        assert_eq!(found.version, 2, "{}", db.engine());
        let first = ListTemplatesRequest { page_size: 1, page_token: String::new() };
        let first = replica.templates().list_templates(first).await.unwrap().into_inner();
        let second = ListTemplatesRequest { page_size: 1, page_token: first.next_page_token };
        let second = replica.templates().list_templates(second).await.unwrap().into_inner();
        assert_eq!(
            (first.templates[0].template_id.as_str(), second.templates[0].template_id.as_str()),
            ("another", "basket")
        );
        assert_eq!(second.next_page_token, "");

        world.tell(vec![customer("ann")]).await;
        replica.folded(&world).await;
        let request =
            PreviewTemplateRequest { template_id: "basket".into(), profile_id: "ann".into(), product_count: 1 };
        let shown = replica.templates().preview_template(request).await.unwrap().into_inner();
        assert_eq!(shown.subject, "Zoé, your basket");
        assert!(shown.text.contains("Candle & Co 0: https://shop.example/p?id=r0"), "{}", shown.text);
        assert_eq!(world.sink.count(), 0);
        replica.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_template_that_does_not_compile_is_refused_with_line_and_reason() {
    let db = sqlite().await;
    let world = World::new().await;
    let replica = Replica::start(db.handle(), &world).await;

    let broken = Template { html: "ok\n{% for p in products %}\n".into(), ..template() };
    let refused = replica.templates().put_template(PutTemplateRequest { template: Some(broken) }).await.unwrap_err();

    let error = kit::Error::from(refused);
    assert_eq!(error.kind, kit::Kind::InvalidArgument);
    assert_eq!(error.violations[0].field, "template.html");
    assert!(error.violations[0].description.starts_with("line 2: syntax error"), "{:?}", error.violations);
    replica.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn campaigns_are_put_paused_and_listed() {
    for db in databases().await {
        let world = World::new().await;
        let replica = Replica::start(db.handle(), &world).await;
        let early = PutCampaignRequest { campaign: Some(abandoned_basket()) };
        let refused = replica.campaigns().put_campaign(early).await.unwrap_err();
        assert_eq!(refused.code(), Code::FailedPrecondition);

        replica.put_template(template()).await;
        let first = replica.put_campaign(abandoned_basket()).await;
        world.clock.advance(std::time::Duration::from_secs(60));
        let same = replica.put_campaign(abandoned_basket()).await;
        assert_eq!(first, same, "putting the same again changes nothing");
        let pause = SetCampaignPausedRequest { campaign_id: "basket".into(), paused: true };
        replica.campaigns().set_campaign_paused(pause).await.unwrap();
        let mut other = abandoned_basket();
        other.product_count = 5;
        let changed = replica.put_campaign(other).await;
        assert!(changed.paused, "a pause outlives a change");
        assert_ne!(changed.update_time, first.update_time, "{}", db.engine());

        let listed = replica.campaigns().list_campaigns(ListCampaignsRequest::default()).await.unwrap().into_inner();
        assert_eq!(listed.campaigns, [changed]);
        let unknown = SetCampaignPausedRequest { campaign_id: "nothing".into(), paused: true };
        assert_eq!(replica.campaigns().set_campaign_paused(unknown).await.unwrap_err().code(), Code::NotFound);
        let policy = replica.campaigns().get_contact_policy(GetContactPolicyRequest {}).await.unwrap().into_inner();
        assert_eq!(policy.policy.unwrap().cap_messages, 3);
        replica.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn suppressions_are_added_lifted_and_kept_as_hashes() {
    for db in databases().await {
        let world = World::new().await;
        let replica = Replica::start(db.handle(), &world).await;
        let (channel, address) = (Channel::Email.into(), "ann@mail.example".to_owned());
        for cause in ["complained", "manual"] {
            let add = AddSuppressionRequest { channel, address: address.clone(), cause: cause.into() };
            replica.suppressions().add_suppression(add).await.unwrap();
        }
        let get = GetSuppressionRequest { channel, address: " ANN@mail.example".into() };
        let found = replica.suppressions().get_suppression(get.clone()).await.unwrap().into_inner();
        assert_eq!((found.suppressed, found.cause.as_str()), (true, "complained"), "{}", db.engine());
        let hashes: Vec<Vec<u8>> = store::on!(*db, pool => {
            sqlx::query_scalar("SELECT address_hash FROM suppressions").fetch_all(pool).await
        })
        .unwrap();
        assert_eq!((hashes.len(), hashes[0].len()), (1, 32));

        for _ in 0..2 {
            let remove = RemoveSuppressionRequest { channel, address: address.clone() };
            replica.suppressions().remove_suppression(remove).await.unwrap();
        }
        assert!(!replica.suppressions().get_suppression(get).await.unwrap().into_inner().suppressed);
        let bad = AddSuppressionRequest { channel: 0, address: "no address".into(), cause: String::new() };
        let refused = kit::Error::from(replica.suppressions().add_suppression(bad).await.unwrap_err());
        assert_eq!(refused.violations.len(), 3);
        replica.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_are_listed_by_page_and_filter() {
    for db in databases().await {
        let world = World::new().await;
        let replica = Replica::start(db.handle(), &world).await;
        replica.put_template(template()).await;
        replica.put_campaign(post_purchase("thanks")).await;
        for person in 0..7 {
            let profile_id = format!("p{person}");
            world.tell(vec![customer(&profile_id), did(&profile_id, &profile_id, noon(), ordered(&profile_id))]).await;
        }
        replica.pass(&world, minutes(61)).await;

        let mut seen = Vec::new();
        let mut page_token = String::new();
        loop {
            let request = ListMessagesRequest { page_size: 3, page_token, ..ListMessagesRequest::default() };
            let page = replica.messages().list_messages(request).await.unwrap().into_inner();
            seen.extend(page.messages.into_iter().map(|message| message.profile_id));
            page_token = page.next_page_token;
            if page_token.is_empty() {
                break;
            }
        }
        seen.sort();
        assert_eq!(seen, ["p0", "p1", "p2", "p3", "p4", "p5", "p6"], "{}", db.engine());
        let of_one = ListMessagesRequest { profile_id: "p4".into(), ..ListMessagesRequest::default() };
        assert_eq!(replica.messages().list_messages(of_one).await.unwrap().into_inner().messages.len(), 1);
        let summary = replica.messages().summarize_messages(SummarizeMessagesRequest {}).await.unwrap().into_inner();
        assert_eq!(summary.counts.iter().map(|count| count.count).sum::<u64>(), 7);
        for bad in [
            ListMessagesRequest { page_size: -1, ..ListMessagesRequest::default() },
            ListMessagesRequest { page_token: "*".into(), ..ListMessagesRequest::default() },
        ] {
            assert_eq!(replica.messages().list_messages(bad).await.unwrap_err().code(), Code::InvalidArgument);
        }
        replica.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_sees_and_changes_nothing_of_another() {
    let db = sqlite().await;
    let world = World::new().await;
    let replica = Replica::start(db.handle(), &world).await;
    replica.put_template(template()).await;
    replica.put_campaign(post_purchase("thanks")).await;
    world.tell(vec![customer("ann"), did("ann", "e1", noon(), ordered("o1"))]).await;
    replica.pass(&world, minutes(61)).await;
    let message_id = replica.message().await.message_id;

    let rival = replica.channel("rival", &[scope::ADMIN]);
    let code = |status: tonic::Status| status.code();
    let get = GetTemplateRequest { template_id: "basket".into() };
    assert_eq!(
        TemplateServiceClient::new(rival.clone()).get_template(get).await.map_err(code).unwrap_err(),
        Code::NotFound
    );
    let get = GetCampaignRequest { campaign_id: "thanks".into() };
    assert_eq!(
        CampaignServiceClient::new(rival.clone()).get_campaign(get).await.map_err(code).unwrap_err(),
        Code::NotFound
    );
    let get = GetMessageRequest { message_id };
    assert_eq!(
        MessageServiceClient::new(rival.clone()).get_message(get).await.map_err(code).unwrap_err(),
        Code::NotFound
    );
    let listed = MessageServiceClient::new(rival.clone()).list_messages(ListMessagesRequest::default()).await.unwrap();
    assert_eq!(listed.into_inner().messages, []);
    let request = PreviewTemplateRequest { template_id: "basket".into(), profile_id: "ann".into(), product_count: 0 };
    let previewed = TemplateServiceClient::new(rival.clone()).preview_template(request).await;
    assert_eq!(previewed.map_err(code).unwrap_err(), Code::NotFound);
    // Links are for services only, whatever scope a key has.
    let request = UnsubscribeRequest { token: "x".into() };
    assert_eq!(
        LinkServiceClient::new(rival).unsubscribe(request).await.map_err(code).unwrap_err(),
        Code::PermissionDenied
    );
    let reader = replica.channel(SHOP, &[scope::CAMPAIGNS_READ]);
    let put = PutTemplateRequest { template: Some(template()) };
    assert_eq!(
        TemplateServiceClient::new(reader).put_template(put).await.map_err(code).unwrap_err(),
        Code::PermissionDenied
    );
    replica.stop().await;
}

use proto::ingestion::v1::source_service_client::SourceServiceClient;
use proto::ingestion::v1::{
    CollectHttpRequest, CreateSourceRequest, CreateWriteKeyRequest, DescribeWriteKeyRequest, GetSourceRequest,
    ListSourcesRequest, RevokeWriteKeyRequest, SetSourceOriginsRequest, Source,
};

use crate::harness::{WRITE_KEY, basic, both, reason};

fn create(name: &str, write_key: &str, request_id: &str) -> CreateSourceRequest {
    let source = Source { name: name.into(), kind: "site".into(), default_currency: "eur".into(), ..Source::default() };
    CreateSourceRequest { source: Some(source), write_key: write_key.into(), request_id: request_id.into() }
}

#[tokio::test]
async fn a_source_is_made_once_per_request() {
    for setup in both().await {
        let request_id = "0196f2f0-0000-7000-8000-000000000000";

        let first = setup.sources("shop").create_source(create("site", "", request_id)).await.unwrap().into_inner();
        let again = setup.sources("shop").create_source(create("site", "", request_id)).await.unwrap().into_inner();

        assert!(first.write_key.len() > 20 && again.write_key.is_empty(), "the key is shown once");
        assert_eq!(first.source, again.source);
        let source = first.source.unwrap();
        assert_eq!((source.default_currency.as_str(), source.write_keys.len()), ("EUR", 1));
        let get = GetSourceRequest { source_id: source.source_id.clone() };
        assert_eq!(setup.sources("shop").get_source(get.clone()).await.unwrap().into_inner().source, Some(source));
        assert_eq!(reason(setup.sources("rival").get_source(get).await.unwrap_err()), "SOURCE_NOT_FOUND");
    }
}

#[tokio::test]
async fn what_is_taken_or_wrong_is_told() {
    for setup in both().await {
        setup.source().await;

        for (request, expected) in [
            (create("site", "", ""), "SOURCE_NAME_TAKEN"),
            (create("other", WRITE_KEY, ""), "WRITE_KEY_TAKEN"),
            (create("", "short", "no uuid"), "INVALID_FIELDS"),
            (create("nul\0", "", ""), "INVALID_FIELDS"),
        ] {
            assert_eq!(reason(setup.sources("shop").create_source(request).await.unwrap_err()), expected);
        }
        assert!(setup.sources("rival").create_source(create("site", "", "")).await.is_ok());
    }
}

#[tokio::test]
async fn sources_are_listed_by_name_in_pages() {
    for setup in both().await {
        for name in ["c", "a", "b"] {
            setup.sources("shop").create_source(create(name, "", "")).await.unwrap();
        }

        let mut request = ListSourcesRequest { page_size: 2, ..ListSourcesRequest::default() };
        let first = setup.sources("shop").list_sources(request.clone()).await.unwrap().into_inner();
        request.page_token = first.next_page_token;
        let second = setup.sources("shop").list_sources(request).await.unwrap().into_inner();

        let names: Vec<String> = first.sources.into_iter().chain(second.sources).map(|source| source.name).collect();
        assert_eq!(names, ["a", "b", "c"]);
        assert!(second.next_page_token.is_empty());
        let none = setup.sources("rival").list_sources(ListSourcesRequest::default()).await.unwrap();
        assert!(none.into_inner().sources.is_empty());
    }
}

#[tokio::test]
async fn a_key_opens_its_source_until_it_is_revoked() {
    for setup in both().await {
        let source_id = setup.source().await;
        let made =
            setup.sources("shop").create_write_key(CreateWriteKeyRequest { source_id }).await.unwrap().into_inner();
        let post = || async {
            let request = proto::ingestion::v1::CollectHttpRequest {
                route: "track".into(),
                body: (&br#"{"event":"x","userId":"u"}"#[..]).into(),
                authorization: basic(&made.secret),
                ..Default::default()
            };
            setup.forward(request).await.status
        };
        let key = made.write_key.clone().unwrap();
        assert!(made.secret.starts_with(&key.prefix));
        let revoke = RevokeWriteKeyRequest { write_key_id: key.write_key_id };

        assert_eq!(post().await, 200);
        assert_eq!(
            reason(setup.sources("rival").revoke_write_key(revoke.clone()).await.unwrap_err()),
            "WRITE_KEY_NOT_FOUND"
        );
        assert_eq!(post().await, 200);
        for _ in 0..2 {
            setup.sources("shop").revoke_write_key(revoke.clone()).await.unwrap();
            assert_eq!(post().await, 401);
        }
    }
}

#[tokio::test]
async fn a_source_takes_from_pages_of_its_sites_only() {
    for setup in both().await {
        let source_id = setup.source().await;
        let set = |allowed: &[&str]| SetSourceOriginsRequest {
            source_id: source_id.clone(),
            allowed_origins: allowed.iter().map(|origin| (*origin).to_owned()).collect(),
        };
        let post = |origin: &'static str, from_visitor: bool| {
            let request = CollectHttpRequest {
                route: "track".into(),
                body: (&br#"{"event":"x","userId":"u"}"#[..]).into(),
                authorization: basic(WRITE_KEY),
                origin: origin.into(),
                from_visitor,
                ..CollectHttpRequest::default()
            };
            setup.forward(request)
        };
        assert_eq!(post("https://anywhere.test", false).await.status, 200);

        for _ in 0..2 {
            let stored = setup.sources("shop").set_source_origins(set(&["https://A.test", "https://a.test/"])).await;
            assert_eq!(stored.unwrap().into_inner().allowed_origins, ["https://a.test"]);
        }

        for (origin, status) in [("https://a.test", 200), ("", 200), ("https://anywhere.test", 403), ("null", 403)] {
            assert_eq!(post(origin, false).await.status, status, "{origin}");
        }
        assert_eq!(post("", true).await.status, 200, "a picture in a mail stands on no site");
        let listed = setup.sources("shop").list_sources(ListSourcesRequest::default()).await.unwrap().into_inner();
        assert_eq!(listed.sources[0].allowed_origins, ["https://a.test"]);
        setup.sources("shop").set_source_origins(set(&[])).await.unwrap();
        assert_eq!(post("https://anywhere.test", false).await.status, 200);

        let refused = setup.sources("shop").set_source_origins(set(&["https://a.test", "a.test"])).await.unwrap_err();
        assert!(refused.message().contains("allowed_origins[1]"), "{refused}");
        let many: Vec<String> = (0..101).map(|number| format!("https://a{number}.test")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert_eq!(reason(setup.sources("shop").set_source_origins(set(&many)).await.unwrap_err()), "INVALID_FIELDS");
        let of_another = setup.sources("rival").set_source_origins(set(&["https://a.test"])).await;
        assert_eq!(reason(of_another.unwrap_err()), "SOURCE_NOT_FOUND");
    }
}

#[tokio::test]
async fn the_gateway_learns_what_a_key_opens_and_nobody_else_does() {
    for setup in both().await {
        let source_id = setup.source().await;
        let ask = |key: &str| DescribeWriteKeyRequest { write_key: key.into() };
        let gateway = || SourceServiceClient::new(setup.service_channel());

        let told = gateway().describe_write_key(ask(WRITE_KEY)).await.unwrap().into_inner();

        assert_eq!((told.source_id, told.name.as_str()), (source_id, "site"));
        assert!(told.planned_events.is_empty() && told.allowed_origins.is_empty());
        for unknown in ["wk_unknown", "", "a\0b"] {
            assert_eq!(reason(gateway().describe_write_key(ask(unknown)).await.unwrap_err()), "WRITE_KEY_UNKNOWN");
        }
        assert!(setup.sources("shop").describe_write_key(ask(WRITE_KEY)).await.is_err());
    }
}

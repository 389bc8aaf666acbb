use proto::ingestion::v1::{
    CreateSourceRequest, CreateWriteKeyRequest, GetSourceRequest, ListSourcesRequest, RevokeWriteKeyRequest, Source,
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

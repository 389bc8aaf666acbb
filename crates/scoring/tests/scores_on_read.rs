//! Scores on both engines: matrix, lists, pages, tenants.

mod shop;

use kit::Kind;
use kit::auth::scope;
use kit::channel::{self, ChannelOptions, Credential};
use proto::scoring::v1::scoring_service_client::ScoringServiceClient;
use proto::scoring::v1::segment_service_client::SegmentServiceClient;
use proto::scoring::v1::{
    DeleteSegmentRequest, GetRfmMatrixRequest, GetScoresRequest, ListRfmScoresRequest, ListSegmentMembersRequest,
    ListSegmentsRequest, SummarizeOrdersRequest, TestSegmentRequest,
};
use shop::{START, Shop, at, engines, timestamp};

const DAY_US: i64 = 86_400_000_000;

/// Has `count` people order, the later ones less often, longer ago and for less.
async fn with_buyers(shop: &mut Shop, count: usize) -> Vec<String> {
    let names: Vec<String> = (0..count).map(|number| format!("p{number:04}")).collect();
    let mut records = Vec::new();
    for (number, name) in names.iter().enumerate() {
        for order in 0..(count - number) as i64 {
            let time_us = at(START) - number as i64 * DAY_US - order * 1_000;
            records.push((name.as_str(), shop.order(time_us, &format!("{name}-{order}"), 10)));
        }
    }
    shop.tell(records).await;
    names
}

#[tokio::test]
async fn the_matrix_the_list_and_the_person_agree() {
    for db in engines().await {
        let mut shop = Shop::open(&db).await;
        let names = with_buyers(&mut shop, 25).await;

        let matrix = shop.scores.get_rfm_matrix(GetRfmMatrixRequest::default()).await.unwrap().into_inner();
        let list = shop.scores.list_rfm_scores(ListRfmScoresRequest::default()).await.unwrap().into_inner();

        assert_eq!((matrix.buyer_count, matrix.currency.as_str(), matrix.cells.len()), (25, "EUR", 5));
        assert_eq!(matrix.cells.iter().map(|cell| cell.profile_count).sum::<u64>(), 25);
        assert_eq!(matrix.cells.iter().map(|cell| cell.order_count).sum::<u64>(), 325);
        assert_eq!(matrix.recency_cuts_days.len(), 4);
        assert!((matrix.recency_cuts_days[0] - 4.8).abs() < 1e-9, "{:?}", matrix.recency_cuts_days);
        assert_eq!(list.entries.iter().map(|entry| entry.profile_id.clone()).collect::<Vec<_>>(), names);
        let best = list.entries[0].rfm.clone().unwrap();
        assert_eq!((best.recency, best.frequency, best.monetary, best.segment.as_str()), (5, 5, 5, "champions"));
        for entry in &list.entries {
            let person = shop.get(&entry.profile_id).await;
            assert_eq!((person.rfm, person.statistics), (entry.rfm.clone(), entry.statistics.clone()));
        }

        let as_of_time = Some(timestamp(at(START) + 10 * DAY_US));
        let later = shop.scores.get_rfm_matrix(GetRfmMatrixRequest { as_of_time }).await.unwrap().into_inner();
        assert!((later.recency_cuts_days[0] - 14.8).abs() < 1e-9);
        shop.close().await;
    }
}

#[tokio::test]
async fn lists_page_through_everybody_once() {
    for db in engines().await {
        let mut shop = Shop::open(&db).await;
        let names = with_buyers(&mut shop, 23).await;

        let mut found = Vec::new();
        let mut page_token = String::new();
        loop {
            let request = ListRfmScoresRequest { page_size: 5, page_token, ..Default::default() };
            let page = shop.scores.list_rfm_scores(request).await.unwrap().into_inner();
            assert!(page.entries.len() <= 5);
            found.extend(page.entries.into_iter().map(|entry| entry.profile_id));
            page_token = page.next_page_token;
            if page_token.is_empty() {
                break;
            }
        }

        assert_eq!(found, names);
        let request = ListRfmScoresRequest { segment: "champions".into(), ..Default::default() };
        let champions = shop.scores.list_rfm_scores(request).await.unwrap().into_inner();
        assert!(!champions.entries.is_empty() && champions.entries.len() < 23);
        let request = ListRfmScoresRequest { segment: "champignons".into(), ..Default::default() };
        let refused = kit::Error::from(shop.scores.list_rfm_scores(request).await.unwrap_err());
        assert_eq!(refused.violations[0].field, "segment");
        shop.close().await;
    }
}

#[tokio::test]
async fn a_shop_without_orders_has_an_empty_matrix() {
    let db = engines().await.remove(0);
    let mut shop = Shop::open(&db).await;

    let matrix = shop.scores.get_rfm_matrix(GetRfmMatrixRequest::default()).await.unwrap().into_inner();
    let sums = shop.scores.summarize_orders(SummarizeOrdersRequest {}).await.unwrap().into_inner();

    assert!(matrix.cells.is_empty() && matrix.recency_cuts_days.is_empty());
    assert_eq!((sums.order_count, sums.buyer_count), (0, 0));
    shop.close().await;
}

#[tokio::test]
async fn no_rpc_crosses_the_border_of_tenants_or_lacks_its_scope() {
    let db = engines().await.remove(0);
    let mut shop = Shop::open(&db).await;
    with_buyers(&mut shop, 3).await;
    shop.put("all", "stats.order_count > 0").await;
    let (authority, routes) = (shop.authority.clone(), shop.routes.clone());
    let as_tenant = |tenant: &str, scopes: &[&str]| {
        let credential = Credential::tenant(&authority, tenant.parse().unwrap(), "key", scopes);
        channel::local(routes.clone(), ChannelOptions::new(credential))
    };

    let rival = as_tenant("rival", &[scope::SCORES_READ, scope::SCORES_WRITE]);
    let mut scores = ScoringServiceClient::new(rival.clone());
    let mut segments = SegmentServiceClient::new(rival);
    let get = GetScoresRequest { profile_id: "p0000".into() };
    assert_eq!(scores.get_scores(get.clone()).await.unwrap_err().code(), tonic::Code::NotFound);
    let matrix = scores.get_rfm_matrix(GetRfmMatrixRequest::default()).await.unwrap().into_inner();
    assert_eq!(matrix.buyer_count, 0);
    let list = scores.list_rfm_scores(ListRfmScoresRequest::default()).await.unwrap().into_inner();
    assert!(list.entries.is_empty());
    assert_eq!(scores.summarize_orders(SummarizeOrdersRequest {}).await.unwrap().into_inner().order_count, 0);
    let listed = segments.list_segments(ListSegmentsRequest::default()).await.unwrap().into_inner();
    assert!(listed.segments.is_empty());
    let members = ListSegmentMembersRequest { segment_id: "all".into(), ..Default::default() };
    assert_eq!(segments.list_segment_members(members).await.unwrap_err().code(), tonic::Code::NotFound);
    let test = TestSegmentRequest { profile_id: "p0000".into(), expression: "true".into() };
    assert_eq!(segments.test_segment(test).await.unwrap_err().code(), tonic::Code::NotFound);
    let delete = DeleteSegmentRequest { segment_id: "all".into() };
    segments.delete_segment(delete.clone()).await.unwrap();
    assert_eq!(shop.members("all").await.len(), 3);

    let reader = as_tenant("shop", &[scope::SCORES_READ]);
    let refused = SegmentServiceClient::new(reader).delete_segment(delete).await.unwrap_err();
    assert_eq!(kit::Error::from(refused).kind, Kind::PermissionDenied);
    let stranger = as_tenant("shop", &[scope::PROFILES_READ]);
    let refused = ScoringServiceClient::new(stranger).get_scores(get).await.unwrap_err();
    assert_eq!(kit::Error::from(refused).reason, "SCOPE_MISSING");
    shop.close().await;
}

//! Putting, getting and listing products.

use kit::auth::scope;
use proto::{
    event::v1::{Medium, Party, Provenance},
    google::r#type::Money,
    recommendation::v1::{GetProductRequest, ListProductsRequest, Product, UpsertProductsRequest},
};
use tonic::Code;
use tonic_types::StatusExt;

use crate::harness::{Publisher, Replica, SHOP, databases, product};

fn priced(product_id: &str, units: i64, nanos: i32) -> Product {
    let price = Some(Money { currency_code: "EUR".into(), units, nanos });
    Product { price, stock: Some(3), ..product(product_id, " Home / Candles ") }
}

fn get(product_id: &str) -> GetProductRequest {
    GetProductRequest { product_id: product_id.into() }
}

#[tokio::test]
async fn products_are_put_got_and_put_again() {
    let publisher = Publisher::start().await;
    for db in databases().await {
        let replica = Replica::idle(db.handle(), &publisher).await;
        let mut catalogue = replica.catalogue(SHOP);
        let put = |products| UpsertProductsRequest { products };

        let first = catalogue.upsert_products(put(vec![priced("a", 12, 500_000_000), product("b", "")])).await.unwrap();
        let again = catalogue.upsert_products(put(vec![product("b", "Garden"), product("c", "")])).await.unwrap();
        let kept = catalogue.get_product(get("a")).await.unwrap().into_inner().product.unwrap();

        assert_eq!((first.get_ref().created, first.get_ref().updated), (2, 0));
        assert_eq!((again.get_ref().created, again.get_ref().updated), (1, 1));
        assert_eq!(kept.price, Some(Money { currency_code: "EUR".into(), units: 12, nanos: 500_000_000 }));
        assert_eq!((kept.category.as_str(), kept.stock), ("Home/Candles", Some(3)));
        assert!(kept.update_time.is_some());
        assert_eq!(catalogue.get_product(get("z")).await.unwrap_err().code(), Code::NotFound);
        assert_eq!(catalogue.get_product(get("")).await.unwrap_err().code(), Code::InvalidArgument);
    }
}

#[tokio::test]
async fn a_product_says_whose_knowledge_it_is() {
    let publisher = Publisher::start().await;
    for db in databases().await {
        let replica = Replica::idle(db.handle(), &publisher).await;
        let mut catalogue = replica.catalogue(SHOP);
        let bought = Provenance {
            party: Party::Third.into(),
            medium: Medium::Offline.into(),
            library: "feed/1".into(),
            bot: false,
        };
        let products = vec![Product { provenance: Some(bought.clone()), ..product("a", "") }, product("b", "")];
        catalogue.upsert_products(UpsertProductsRequest { products }).await.unwrap();

        let listed = catalogue.list_products(ListProductsRequest::default()).await.unwrap().into_inner().products;

        let of_shop = Provenance { party: Party::First.into(), medium: Medium::Online.into(), ..Provenance::default() };
        let told: Vec<_> = listed.into_iter().map(|product| product.provenance.unwrap()).collect();
        assert_eq!(told, [bought.clone(), of_shop]);
        let strange = Provenance { party: 9, medium: -1, library: "l".repeat(257), bot: true };
        let products = vec![Product { provenance: Some(strange), ..product("a", "") }];
        let refused = catalogue.upsert_products(UpsertProductsRequest { products }).await.unwrap_err();
        let details = refused.get_error_details();
        let fields: Vec<_> = details.bad_request().unwrap().field_violations.iter().map(|one| &one.field).collect();
        assert_eq!(
            fields,
            ["products[0].provenance.party", "products[0].provenance.medium", "products[0].provenance.library"]
        );
        let kept = catalogue.get_product(get("a")).await.unwrap().into_inner().product.unwrap();
        assert_eq!(kept.provenance, Some(bought));
    }
}

#[tokio::test]
async fn a_bad_product_refuses_all_and_every_violation_is_named() {
    let publisher = Publisher::start().await;
    for db in databases().await {
        let replica = Replica::idle(db.handle(), &publisher).await;
        let mut catalogue = replica.catalogue(SHOP);
        let bad = Product {
            product_id: String::new(),
            title: "t".repeat(513),
            price: Some(Money { currency_code: "euro".into(), units: -1, nanos: 1 }),
            stock: Some(-1),
            ..Product::default()
        };
        let products = vec![product("good", "Home"), bad, product("good", "Home")];

        let refused = catalogue.upsert_products(UpsertProductsRequest { products }).await.unwrap_err();
        let empty = catalogue.upsert_products(UpsertProductsRequest { products: vec![] }).await.unwrap_err();

        let details = refused.get_error_details();
        let mut fields: Vec<&str> =
            details.bad_request().unwrap().field_violations.iter().map(|violation| violation.field.as_str()).collect();
        fields.sort_unstable();
        assert_eq!(
            fields,
            [
                "products[1].price.currency_code",
                "products[1].price.nanos",
                "products[1].price.units",
                "products[1].product_id",
                "products[1].stock",
                "products[1].title",
                "products[2].product_id",
            ]
        );
        assert_eq!(catalogue.get_product(get("good")).await.unwrap_err().code(), Code::NotFound);
        assert_eq!(empty.code(), Code::InvalidArgument);
    }
}

#[tokio::test]
async fn lists_go_by_page_and_category() {
    let publisher = Publisher::start().await;
    for db in databases().await {
        let replica = Replica::idle(db.handle(), &publisher).await;
        let categories = ["Home", "Home/Candles", "Home Decor", "home", "Garden"];
        let products = categories.iter().enumerate().map(|(index, category)| product(&format!("p{index}"), category));
        replica.upsert(products.chain([product("Z", "Home"), product("é", "Home")]).collect()).await;
        let mut catalogue = replica.catalogue(SHOP);

        let mut found = Vec::new();
        let mut request = ListProductsRequest { category: "Home/".into(), page_size: 2, ..Default::default() };
        loop {
            let page = catalogue.list_products(request.clone()).await.unwrap().into_inner();
            found.push(page.products.into_iter().map(|product| product.product_id).collect::<Vec<_>>());
            if page.next_page_token.is_empty() {
                break;
            }
            request.page_token = page.next_page_token;
        }
        let all = catalogue.list_products(ListProductsRequest::default()).await.unwrap().into_inner();
        let other = ListProductsRequest { category: "Garden".into(), ..request };
        let refused = catalogue.list_products(other).await.unwrap_err();

        assert_eq!(found, [vec!["Z", "p0"], vec!["p1", "é"]]);
        assert_eq!((all.products.len(), all.next_page_token.as_str()), (7, ""));
        assert_eq!(refused.code(), Code::InvalidArgument);
    }
}

#[tokio::test]
async fn tenants_and_scopes_are_kept_apart() {
    let publisher = Publisher::start().await;
    for db in databases().await {
        let replica = Replica::idle(db.handle(), &publisher).await;
        replica.upsert(vec![product("a", "Home")]).await;

        let rival = replica.catalogue("rival").get_product(get("a")).await.unwrap_err();
        let mut reader = replica.catalogue_with(SHOP, &[scope::RECOMMEND_READ]);
        let writing = reader.upsert_products(UpsertProductsRequest { products: vec![product("b", "")] }).await;
        let nothing = replica.catalogue_with(SHOP, &[]).get_product(get("a")).await.unwrap_err();
        let listed = replica.catalogue("rival").list_products(ListProductsRequest::default()).await.unwrap();

        assert_eq!(rival.code(), Code::NotFound);
        assert_eq!(writing.unwrap_err().code(), Code::PermissionDenied);
        assert_eq!(nothing.code(), Code::PermissionDenied);
        assert!(listed.get_ref().products.is_empty());
        assert!(reader.get_product(get("a")).await.is_ok());
    }
}

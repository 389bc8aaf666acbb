//! What the door adds to events and takes away, over HTTP.

use comptoir_ingestion::Config;
use proto::event::v1::{DeviceClass, Media};
use proto::ingestion::v1::{CollectHttpRequest, ListDeadLettersRequest};
use store::testing::databases;

use crate::harness::{Setup, WRITE_KEY, basic};
use crate::mmdb::{Value, database};

#[tokio::test]
async fn an_event_is_told_where_and_how_its_visitor_came() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("places.mmdb");
    let paris = Value::place("FR", "Île-de-France", "Paris", 48.8534, 2.3488, "Europe/Paris");
    std::fs::write(&path, database(&[("203.0.113.0/24", paris)])).unwrap();
    let mut config = Config::default();
    config.enrich.geo_file = path.to_string_lossy().into_owned();

    for db in databases(&[&eventlog::MIGRATIONS, &comptoir_ingestion::MIGRATIONS]).await {
        let setup = Setup::new(db, &config).await;
        setup.source().await;
        let event = |message_id: &str, rest: &str| {
            format!(
                r#"{{"type":"page","anonymousId":"a","messageId":"{message_id}",{rest}"context":{{"library":{{"name":"analytics.js"}},
                "page":{{"url":"https://shop.test/?utm_source=google&utm_medium=cpc&gclid=G","referrer":"https://www.google.fr/"}},
                "consent":{{"gcd":"13r3q3r3r5"}}}}}}"#
            )
        };
        let body = format!(r#"{{"batch":[{},{}]}}"#, event("good", ""), event("bad", r#""timestamp":"never","#));

        let answer = setup
            .forward(CollectHttpRequest {
                route: "batch".into(),
                body: body.into(),
                authorization: basic(WRITE_KEY),
                client_ip: "203.0.113.77".into(),
                user_agent: "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1".into(),
                ..CollectHttpRequest::default()
            })
            .await;

        assert_eq!(answer.status, 200);
        let logged = setup.logged("shop").await;
        let [event] = logged.as_slice() else { panic!("one event is good: {logged:?}") };
        let context = event.context.as_ref().unwrap();
        assert_eq!(context.ip, "203.0.113.0");
        let place = context.geography.as_ref().unwrap();
        assert_eq!((place.country.as_str(), place.city.as_str(), place.latitude_deci), ("FR", "Paris", 489));
        let client = context.client.as_ref().unwrap();
        assert_eq!((client.browser.as_str(), client.os.as_str()), ("Safari", "iOS"));
        assert_eq!(client.device_class(), DeviceClass::Mobile);
        let touchpoint = context.touchpoint.as_ref().unwrap();
        assert_eq!((touchpoint.media(), touchpoint.channel.as_str()), (Media::Paid, "search"));
        assert_eq!((touchpoint.click_id_kind.as_str(), touchpoint.referrer_host.as_str()), ("gclid", "google.fr"));
        assert_eq!(context.campaign.as_ref().unwrap().medium, "cpc");
        let decision = context.consent_decision.as_ref().unwrap();
        assert_eq!(
            (decision.granted_purposes.len(), decision.denied_purposes.as_slice()),
            (1, &["analytics".to_owned()][..])
        );
        assert_eq!((event.consents.len(), decision.country.as_str()), (2, "FR"));

        let letters = setup.dead_letters("shop").list_dead_letters(ListDeadLettersRequest::default()).await;
        let letters = letters.unwrap().into_inner().dead_letters;
        let kept = String::from_utf8(letters[0].payload.to_vec()).unwrap();
        assert!(kept.contains("203.0.113.0") && !kept.contains("203.0.113.77"), "{kept}");
    }
}

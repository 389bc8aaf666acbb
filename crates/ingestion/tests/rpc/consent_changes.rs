//! What becomes of events that wait when the policy changes.

use std::time::Duration;

use comptoir_ingestion::Config;
use proto::event::v1::consent_decision::Basis;
use proto::event::v1::{ConsentAnswer, Event};
use proto::ingestion::v1::verdict::Outcome;
use proto::ingestion::v1::{
    ConsentDefault, ConsentPolicy, CountryDefault, CreateSourceRequest, DeleteConsentPolicyRequest, Source,
};
use proto::r#type::v1::ConsentState;
use store::testing::databases;

use crate::consent::{answering, consents, decision, message_ids, policy, put, rows, sealing, summary, visit};
use crate::harness::{Setup, outcomes};

fn sealing_config() -> Config {
    let mut config = Config::default();
    config.consent.seal_secret = "a secret for what waits".into();
    config
}

fn by_country(source_id: &str, defaults: &[(&str, ConsentDefault)]) -> ConsentPolicy {
    let default = |(country, action): &(&str, ConsentDefault)| CountryDefault {
        countries: vec![(*country).to_owned()],
        action: (*action).into(),
    };
    let defaults = defaults.iter().map(default).collect();
    ConsentPolicy { defaults, ..policy(source_id, ConsentDefault::Ask) }
}

async fn waits(setup: &Setup, count: i64) {
    let settled = async {
        while rows(setup, "pending").await != count {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(120), settled).await;
    waited.unwrap_or_else(|_| panic!("{count} events should wait"));
}

async fn unsettled(setup: &Setup) -> i64 {
    let sql = "SELECT COUNT(*) FROM consent_policies WHERE settled_version < version";
    store::on!(*setup.db, pool => sqlx::query_scalar(sql).fetch_one(pool).await).unwrap()
}

#[tokio::test]
async fn what_is_allowed_comes_in_what_is_denied_goes_and_the_rest_waits_on() {
    for setup in sealing().await {
        let source_id = setup.source().await;
        put(&setup, policy("", ConsentDefault::Ask)).await.unwrap();
        let of_many = (0..25).map(|number| visit(&format!("fr-{number:02}"), "FR", &format!("v-{}", number % 12)));
        let rest = [("de", "DE", "w"), ("it", "IT", "x"), ("it-2", "IT", "x")];
        let rest = rest.map(|(message_id, country, visitor)| visit(message_id, country, visitor));
        let verdicts = setup.collect(&source_id, of_many.chain(rest).collect()).await;
        assert!(outcomes(&verdicts).iter().all(|outcome| *outcome == Outcome::Held));

        let defaults = [("FR", ConsentDefault::Grant), ("DE", ConsentDefault::Deny), ("EU", ConsentDefault::Ask)];
        put(&setup, by_country("", &defaults)).await.unwrap();
        // The replica that took the change is gone; another finds what is to be done.
        let replica = setup.replica(&sealing_config()).await;
        replica.start();
        waits(&setup, 2).await;

        let logged = setup.logged("shop").await;
        assert_eq!(logged.len(), 25);
        for visitor in 0..12 {
            let of_visitor = |event: &&Event| event.identifiers[0].value == format!("v-{visitor}");
            let theirs: Vec<Event> = logged.iter().filter(of_visitor).cloned().collect();
            assert!(theirs.len() >= 2 && message_ids(&theirs).is_sorted(), "in their order");
        }
        let told = decision(&logged[0]);
        assert_eq!((told.bases().collect::<Vec<_>>(), told.policy_version, told.held), (vec![Basis::Default], 2, true));
        assert_eq!((told.country.as_str(), told.required_purpose.as_str()), ("FR", "analytics"));
        let counted = summary(&setup).await;
        assert_eq!((counted.held, counted.released, counted.destroyed), (28, 25, 1));
        assert_eq!(rows(&setup, "keys").await, 1);
        setup.collect(&source_id, vec![answering(visit("yes", "IT", "x"), true)]).await;
        assert_eq!(setup.logged("shop").await.len(), 28);

        assert_eq!(unsettled(&setup).await, 1, "late ones may still come");
        setup.clock.advance(Duration::from_secs(3_600));
        setup.eventually_async("it is done", async || unsettled(&setup).await == 0).await;
        setup.shutdown.begin();
    }
}

#[tokio::test]
async fn without_a_policy_everything_comes_in() {
    for setup in sealing().await {
        let source_id = setup.source().await;
        put(&setup, policy("", ConsentDefault::Ask)).await.unwrap();
        setup.collect(&source_id, vec![visit("1", "FR", "v"), visit("2", "DE", "v")]).await;
        setup.service.start();

        let request = DeleteConsentPolicyRequest { source_id: String::new() };
        consents(&setup, "shop").delete_consent_policy(request).await.unwrap();
        waits(&setup, 0).await;

        let logged = setup.logged("shop").await;
        assert_eq!(message_ids(&logged), ["1", "2"]);
        let told = decision(&logged[0]);
        assert_eq!((told.required_purpose.as_str(), told.policy_version, told.held), ("", 0, true));
        assert_eq!(rows(&setup, "keys").await, 0);
        setup.shutdown.begin();
    }
}

#[tokio::test]
async fn another_purpose_is_waited_for_and_what_an_event_says_of_it_counts() {
    for setup in sealing().await {
        let source_id = setup.source().await;
        put(&setup, policy("", ConsentDefault::Ask)).await.unwrap();
        let saying = |message_id: &str, visitor: &str, state: ConsentState| {
            let mut event = visit(message_id, "FR", visitor);
            let categories = vec![ConsentAnswer { id: "Advertising".into(), state: state.into() }];
            event.context.as_mut().unwrap().consent_signals =
                Some(proto::event::v1::ConsentSignals { categories, ..Default::default() });
            event
        };
        let sent = vec![
            saying("yes", "v", ConsentState::Granted),
            saying("no", "w", ConsentState::Denied),
            visit("silent", "FR", "x"),
        ];
        assert_eq!(outcomes(&setup.collect(&source_id, sent).await), [Outcome::Held; 3]);
        setup.service.start();

        let changed = ConsentPolicy { required_purpose: "advertising".into(), ..policy("", ConsentDefault::Ask) };
        put(&setup, changed).await.unwrap();
        waits(&setup, 1).await;

        assert_eq!(message_ids(&setup.logged("shop").await), ["yes"]);
        let told = decision(&setup.logged("shop").await[0]);
        assert_eq!(
            (told.bases().collect::<Vec<_>>(), told.granted_purposes),
            (vec![Basis::Categories], vec!["advertising".into()])
        );
        assert_eq!(summary(&setup).await.destroyed, 1);
        let answer = saying("answer", "x", ConsentState::Granted);
        setup.collect(&source_id, vec![answer]).await;
        let logged = setup.logged("shop").await;
        let of_silent: Vec<&str> = message_ids(&logged).into_iter().filter(|id| *id != "yes").collect();
        assert_eq!(of_silent, ["silent", "answer"]);
        setup.shutdown.begin();
    }
}

#[tokio::test]
async fn a_source_with_a_policy_of_its_own_does_not_care_for_that_of_the_tenant() {
    for setup in sealing().await {
        let own = setup.source().await;
        let source = Source { name: "app".into(), ..Source::default() };
        let request = CreateSourceRequest { source: Some(source), ..CreateSourceRequest::default() };
        let made = setup.sources("shop").create_source(request).await.unwrap().into_inner();
        let other = made.source.unwrap().source_id;
        put(&setup, policy("", ConsentDefault::Ask)).await.unwrap();
        put(&setup, policy(&own, ConsentDefault::Ask)).await.unwrap();
        setup.collect(&own, vec![visit("own", "FR", "v")]).await;
        setup.collect(&other, vec![visit("other", "FR", "v")]).await;
        setup.service.start();

        put(&setup, policy("", ConsentDefault::Deny)).await.unwrap();
        waits(&setup, 1).await;
        put(&setup, policy(&own, ConsentDefault::Grant)).await.unwrap();
        waits(&setup, 0).await;

        assert_eq!(message_ids(&setup.logged("shop").await), ["own"]);
        setup.shutdown.begin();
    }
}

#[tokio::test]
async fn what_a_replica_holds_by_the_policy_before_is_settled_too() {
    let mut config = sealing_config();
    config.collect.source_cache_ms = 3_600_000;
    for db in databases(&[&eventlog::MIGRATIONS, &comptoir_ingestion::MIGRATIONS]).await {
        let mut setup = Setup::new(db, &config).await;
        let source_id = setup.source().await;
        put(&setup, policy("", ConsentDefault::Ask)).await.unwrap();
        let mut slow = setup.replica(&config).await;
        std::mem::swap(&mut setup.service, &mut slow);
        setup.collect(&source_id, vec![visit("1", "FR", "v")]).await;
        std::mem::swap(&mut setup.service, &mut slow);
        setup.service.start();
        put(&setup, policy("", ConsentDefault::Deny)).await.unwrap();
        waits(&setup, 0).await;

        std::mem::swap(&mut setup.service, &mut slow);
        let verdicts = setup.collect(&source_id, vec![visit("2", "FR", "v")]).await;
        assert_eq!(outcomes(&verdicts), [Outcome::Held], "it has not heard of the change");
        setup.clock.advance(Duration::from_secs(2 * 3_600));
        waits(&setup, 0).await;

        assert!(setup.logged("shop").await.is_empty());
        assert_eq!(summary(&setup).await.destroyed, 2);
        setup.shutdown.begin();
    }
}

#[tokio::test]
async fn nothing_waits_longer_than_it_was_to_wait_when_it_came() {
    for setup in sealing().await {
        let source_id = setup.source().await;
        let held_for = |seconds: i64| ConsentPolicy {
            hold_duration: Some(prost_types::Duration { seconds, nanos: 0 }),
            ..policy("", ConsentDefault::Ask)
        };
        put(&setup, held_for(7_200)).await.unwrap();
        setup.collect(&source_id, vec![visit("1", "FR", "v")]).await;
        setup.service.start();

        put(&setup, held_for(86_400)).await.unwrap();
        // A round may be under way; the one after the change counts.
        setup.clock.advance(Duration::from_secs(7_100));
        setup.eventually_async("the change is settled", async || unsettled(&setup).await == 0).await;
        assert_eq!(rows(&setup, "pending").await, 1);
        put(&setup, held_for(3_600)).await.unwrap();
        waits(&setup, 0).await;

        assert!(setup.logged("shop").await.is_empty());
        setup.shutdown.begin();
    }
}

//! Consent at the door, as senders and tenants see it.

use comptoir_ingestion::Config;
use kit::auth::scope;
use kit::channel::Channel;
use proto::event::v1::consent_decision::Basis;
use proto::event::v1::event::Body;
use proto::event::v1::{ConsentAnswer, ConsentSignals, Context, Event, Location, OrderActivity, order_activity};
use proto::google::r#type::Money;
use proto::ingestion::v1::consent_mapping::Vocabulary;
use proto::ingestion::v1::consent_service_client::ConsentServiceClient;
use proto::ingestion::v1::summarize_consent_response::SourceSummary;
use proto::ingestion::v1::verdict::Outcome;
use proto::ingestion::v1::{
    ConsentDefault, ConsentMapping, ConsentPolicy, CountryDefault, DeleteConsentPolicyRequest, ExplainConsentRequest,
    GetConsentPolicyRequest, ListConsentPoliciesRequest, ListDeadLettersRequest, PutConsentPolicyRequest,
    SummarizeConsentRequest,
};
use proto::r#type::v1::{ConsentState, Identifier};
use store::testing::databases;

use crate::harness::{Setup, both, event, outcomes, reason};

/// Purposes 3 to 9 of TCF, so that analytics is granted and advertising is not.
const TC_STRING: &str = "COrEAV4OrXx94ACABBENAHCIAD-AAAAAAACAAxAAAAgAIAwgAgAAAAEAgQAAAAAEAYQAQAAAACAAAABAAA";

pub(crate) async fn sealing() -> Vec<Setup> {
    let mut config = Config::default();
    config.consent.seal_secret = "a secret for what waits".into();
    let mut setups = Vec::new();
    for db in databases(&[&eventlog::MIGRATIONS, &comptoir_ingestion::MIGRATIONS]).await {
        setups.push(Setup::new(db, &config).await);
    }
    setups
}

pub(crate) fn consents(setup: &Setup, tenant: &str) -> ConsentServiceClient<Channel> {
    ConsentServiceClient::new(setup.tenant_channel(tenant, &[scope::SOURCES_WRITE]))
}

pub(crate) fn policy(source_id: &str, europe: ConsentDefault) -> ConsentPolicy {
    ConsentPolicy {
        source_id: source_id.into(),
        required_purpose: "analytics".into(),
        defaults: vec![CountryDefault { countries: vec!["EU".into()], action: europe.into() }],
        ..ConsentPolicy::default()
    }
}

pub(crate) async fn put(setup: &Setup, policy: ConsentPolicy) -> Result<ConsentPolicy, tonic::Status> {
    let request = PutConsentPolicyRequest { policy: Some(policy) };
    Ok(consents(setup, "shop").put_consent_policy(request).await?.into_inner().policy.unwrap())
}

/// A visit to a page from a country, by a visitor.
pub(crate) fn visit(message_id: &str, country: &str, visitor: &str) -> Event {
    let location = Location { country: country.into(), ..Location::default() };
    Event {
        identifiers: vec![Identifier { kind: "anonymous_id".into(), value: visitor.into() }],
        context: Some(Context { location: Some(location), ..Context::default() }),
        ..event(message_id)
    }
}

pub(crate) fn answering(mut event: Event, granted: bool) -> Event {
    let state = if granted { ConsentState::Granted } else { ConsentState::Denied };
    let categories = vec![ConsentAnswer { id: "Analytics".into(), state: state.into() }];
    let signals = ConsentSignals { categories, ..ConsentSignals::default() };
    event.context.get_or_insert_default().consent_signals = Some(signals);
    event
}

pub(crate) async fn summary(setup: &Setup) -> SourceSummary {
    let asked = consents(setup, "shop").summarize_consent(SummarizeConsentRequest::default()).await;
    asked.unwrap().into_inner().sources.into_iter().next().unwrap_or_default()
}

pub(crate) async fn rows(setup: &Setup, table: &'static str) -> i64 {
    let sql = match table {
        "keys" => "SELECT COUNT(*) FROM consent_keys",
        _ => "SELECT COUNT(*) FROM pending_events",
    };
    store::on!(*setup.db, pool => sqlx::query_scalar(sql).fetch_one(pool).await).unwrap()
}

pub(crate) fn message_ids(events: &[Event]) -> Vec<&str> {
    events.iter().map(|event| event.message_id.as_str()).collect()
}

pub(crate) fn decision(event: &Event) -> proto::event::v1::ConsentDecision {
    event.context.clone().unwrap().consent_decision.unwrap()
}

#[tokio::test]
async fn policies_are_kept_by_source_and_by_tenant() {
    for setup in both().await {
        let source_id = setup.source().await;
        let mut client = consents(&setup, "shop");
        let get = |source_id: &str| GetConsentPolicyRequest { source_id: source_id.into() };

        let built_in = client.get_consent_policy(get(&source_id)).await.unwrap().into_inner().policy.unwrap();
        assert_eq!((built_in.version, built_in.required_purpose.as_str()), (0, ""));
        let tenants = put(&setup, policy("", ConsentDefault::Deny)).await.unwrap();
        let first = put(&setup, policy(&source_id, ConsentDefault::Grant)).await.unwrap();
        let second = put(&setup, policy(&source_id, ConsentDefault::Deny)).await.unwrap();
        assert_eq!((tenants.version, first.version, second.version), (1, 1, 2));
        let in_force = client.get_consent_policy(get(&source_id)).await.unwrap().into_inner().policy;
        assert_eq!(in_force, Some(second.clone()));

        let list = |page_token| ListConsentPoliciesRequest { page_size: 1, page_token };
        let page = client.list_consent_policies(list(String::new())).await.unwrap().into_inner();
        assert_eq!(page.policies, std::slice::from_ref(&tenants));
        let page = client.list_consent_policies(list(page.next_page_token)).await.unwrap().into_inner();
        assert_eq!((page.policies, page.next_page_token.as_str()), (vec![second], ""));

        let delete = DeleteConsentPolicyRequest { source_id: source_id.clone() };
        client.delete_consent_policy(delete.clone()).await.unwrap();
        client.delete_consent_policy(delete).await.unwrap();
        let in_force = client.get_consent_policy(get(&source_id)).await.unwrap().into_inner().policy;
        assert_eq!(in_force, Some(tenants), "the tenant's counts again");
        let again = put(&setup, policy(&source_id, ConsentDefault::Deny)).await.unwrap();
        assert!(again.version > 2, "a number is never given twice");
    }
}

#[tokio::test]
async fn bad_policies_and_foreign_sources_are_refused() {
    for setup in both().await {
        let source_id = setup.source().await;
        let bad = ConsentPolicy { required_purpose: "No!".into(), ..ConsentPolicy::default() };
        assert_eq!(reason(put(&setup, bad).await.unwrap_err()), "INVALID_FIELDS");
        let unknown = policy("nowhere", ConsentDefault::Deny);
        assert_eq!(reason(put(&setup, unknown).await.unwrap_err()), "SOURCE_NOT_FOUND");
        let asking = policy(&source_id, ConsentDefault::Ask);
        assert_eq!(reason(put(&setup, asking).await.unwrap_err()), "SEAL_SECRET_MISSING");
        let nothing = consents(&setup, "shop").put_consent_policy(PutConsentPolicyRequest::default()).await;
        assert_eq!(reason(nothing.unwrap_err()), "INVALID_FIELDS");

        let get = GetConsentPolicyRequest { source_id };
        let foreign = consents(&setup, "rival").get_consent_policy(get).await;
        assert_eq!(reason(foreign.unwrap_err()), "SOURCE_NOT_FOUND");
        let weak = ConsentServiceClient::new(setup.tenant_channel("shop", &[scope::EVENTS_WRITE]));
        let list = ListConsentPoliciesRequest::default();
        assert_eq!(weak.clone().list_consent_policies(list).await.unwrap_err().code(), tonic::Code::PermissionDenied);
    }
}

#[tokio::test]
async fn a_country_may_deny_who_said_nothing() {
    for setup in both().await {
        let source_id = setup.source().await;
        let kept = put(&setup, policy("", ConsentDefault::Deny)).await.unwrap();
        let mut order = visit("order", "FR", "v");
        order.body = Some(Body::OrderActivity(OrderActivity {
            action: order_activity::Action::Completed.into(),
            order_id: "o-1".into(),
            total: Some(Money { currency_code: "EUR".into(), units: 5, nanos: 0 }),
            ..OrderActivity::default()
        }));
        let mut with_tcf = visit("tcf", "FR", "w");
        let signals = ConsentSignals { tc_string: TC_STRING.into(), ..ConsentSignals::default() };
        with_tcf.context.as_mut().unwrap().consent_signals = Some(signals);
        let sent = vec![
            visit("silent", "FR", "v"),
            visit("abroad", "US", "x"),
            order,
            with_tcf,
            visit("remembered", "FR", "w"),
            answering(visit("no", "US", "y"), false),
            visit("after no", "US", "y"),
        ];

        let verdicts = setup.collect(&source_id, sent.clone()).await;

        use Outcome::{Accepted, Denied};
        let expected = [Denied, Accepted, Accepted, Accepted, Accepted, Denied, Denied];
        assert_eq!(outcomes(&verdicts), expected);
        assert_eq!((verdicts[0].reason.as_str(), verdicts[0].dead_letter_id.as_str()), ("CONSENT_DENIED", ""));
        let logged = setup.logged("shop").await;
        let of = |id: &str| decision(logged.iter().find(|event| event.message_id == id).unwrap());
        let bases = |id: &str| of(id).bases().collect::<Vec<_>>();
        assert_eq!(logged.len(), 4, "what is denied is nowhere");
        assert_eq!((bases("abroad"), bases("order")), (vec![Basis::Default], vec![Basis::Exempt]));
        assert_eq!((bases("tcf"), bases("remembered")), (vec![Basis::Tcf], vec![Basis::Remembered]));
        let told = of("tcf");
        assert_eq!(told.granted_purposes, ["analytics", "personalisation", "precise_location"]);
        assert_eq!(told.denied_purposes, ["advertising", "storage"]);
        assert_eq!((told.policy_version, told.country.as_str(), told.held), (kept.version, "FR", false));

        let again = setup.collect(&source_id, sent).await;
        use Outcome::Duplicate;
        assert_eq!(outcomes(&again), [Denied, Duplicate, Duplicate, Duplicate, Duplicate, Denied, Denied]);
        assert_eq!((summary(&setup).await.denied, rows(&setup, "pending").await), (6, 0));
    }
}

#[tokio::test]
async fn what_waits_is_sealed_and_comes_in_once_and_in_order() {
    for setup in sealing().await {
        let source_id = setup.source().await;
        put(&setup, policy("", ConsentDefault::Ask)).await.unwrap();

        let held = setup.collect(&source_id, vec![visit("1", "FR", "visitor-v"), visit("2", "FR", "visitor-v")]).await;
        let third = setup.collect(&source_id, vec![visit("3", "FR", "visitor-v"), visit("1", "FR", "visitor-v")]).await;
        let other = setup.collect(&source_id, vec![visit("other", "FR", "visitor-w")]).await;

        assert_eq!(outcomes(&held), [Outcome::Held, Outcome::Held]);
        assert_eq!(held[0].reason, "CONSENT_PENDING");
        assert_eq!(outcomes(&third), [Outcome::Held, Outcome::Duplicate]);
        assert_eq!(outcomes(&other), [Outcome::Held]);
        assert!(setup.logged("shop").await.is_empty());
        let sealed: Vec<Vec<u8>> = store::on!(*setup.db, pool =>
            sqlx::query_scalar("SELECT sealed FROM pending_events").fetch_all(pool).await)
        .unwrap();
        assert_eq!(sealed.len(), 4);
        let is_in_clear = |bytes: &Vec<u8>| bytes.windows(7).any(|window| window == b"visitor");
        assert!(!sealed.iter().any(is_in_clear), "what waits can be read in the store");
        assert_eq!(rows(&setup, "keys").await, 2, "one key for each person");

        // An event that waits and the answer after it, in one request.
        let batch = vec![visit("4", "FR", "visitor-v"), answering(visit("yes", "FR", "visitor-v"), true)];
        let answered = setup.collect(&source_id, batch).await;
        let again = setup.collect(&source_id, vec![visit("2", "FR", "visitor-v"), visit("5", "FR", "visitor-v")]).await;

        assert_eq!(outcomes(&answered), [Outcome::Accepted, Outcome::Accepted]);
        assert_eq!(outcomes(&again), [Outcome::Duplicate, Outcome::Accepted]);
        let logged = setup.logged("shop").await;
        assert_eq!(message_ids(&logged), ["1", "2", "3", "4", "yes", "5"]);
        let told = decision(&logged[0]);
        assert!(told.held && told.decide_time.is_some());
        assert_eq!((told.bases().collect::<Vec<_>>(), told.country.as_str()), (vec![Basis::Categories], "FR"));
        assert_eq!(told.granted_purposes, ["analytics"]);
        assert!(decision(&logged[3]).held);
        assert_eq!((rows(&setup, "pending").await, rows(&setup, "keys").await), (1, 1), "the other still waits");
        let counted = summary(&setup).await;
        assert_eq!((counted.held, counted.released, counted.destroyed), (4, 3, 0));
    }
}

#[tokio::test]
async fn a_no_destroys_what_waits_and_is_remembered() {
    for setup in sealing().await {
        let source_id = setup.source().await;
        put(&setup, policy("", ConsentDefault::Ask)).await.unwrap();
        // Known by their account as well: an answer of the account alone counts for the visit.
        let mut known = visit("1", "FR", "v");
        known.identifiers.push(Identifier { kind: "user_id".into(), value: "u".into() });
        let mut of_account = answering(visit("no", "FR", "v"), false);
        of_account.identifiers[0] = Identifier { kind: "user_id".into(), value: "u".into() };
        setup.collect(&source_id, vec![known.clone()]).await;

        let verdicts = setup.collect(&source_id, vec![of_account.clone()]).await;

        assert_eq!(outcomes(&verdicts), [Outcome::Denied], "a visit that says no is not kept either");
        assert_eq!((rows(&setup, "pending").await, rows(&setup, "keys").await), (0, 0));
        assert_eq!(summary(&setup).await.destroyed, 1);
        known.message_id = "2".into();
        assert_eq!(outcomes(&setup.collect(&source_id, vec![known.clone()]).await), [Outcome::Denied]);
        assert!(setup.logged("shop").await.is_empty());

        // Who thinks again is let in; an older yes that comes late changes nothing.
        setup.clock.advance(std::time::Duration::from_secs(60));
        let yes = Event { message_id: "yes".into(), ..answering(known.clone(), true) };
        let mut late = Event { message_id: "late".into(), ..answering(known.clone(), false) };
        late.event_time = Some(prost_types::Timestamp { seconds: 1_748_770_000, nanos: 0 });
        known.message_id = "3".into();
        let verdicts = setup.collect(&source_id, vec![yes, late, known]).await;
        assert_eq!(outcomes(&verdicts), [Outcome::Accepted, Outcome::Denied, Outcome::Accepted]);
    }
}

#[tokio::test]
async fn what_nobody_answers_is_destroyed_in_time() {
    for setup in sealing().await {
        let source_id = setup.source().await;
        put(&setup, policy("", ConsentDefault::Ask)).await.unwrap();
        setup.collect(&source_id, vec![visit("1", "FR", "v"), visit("2", "FR", "v")]).await;
        setup.service.start();

        setup.clock.advance(std::time::Duration::from_secs(24 * 3_600 + 1));
        let emptied = async {
            while rows(&setup, "pending").await > 0 {
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(std::time::Duration::from_secs(120), emptied).await.expect("what expired is destroyed");

        assert_eq!(rows(&setup, "keys").await, 0);
        assert_eq!(summary(&setup).await.destroyed, 2);
        setup.collect(&source_id, vec![answering(visit("yes", "FR", "v"), true)]).await;
        assert_eq!(message_ids(&setup.logged("shop").await), ["yes"]);
        setup.shutdown.begin();
    }
}

#[tokio::test]
async fn the_lane_of_one_person_is_bounded() {
    for setup in sealing().await {
        let source_id = setup.source().await;
        put(&setup, policy("", ConsentDefault::Ask)).await.unwrap();
        let many = (0..510).map(|number| visit(&format!("m-{number}"), "FR", "v")).collect();

        let verdicts = setup.collect(&source_id, many).await;

        let held = verdicts.iter().filter(|verdict| verdict.outcome() == Outcome::Held).count();
        assert_eq!((held, verdicts[509].reason.as_str()), (500, "CONSENT_LANE_FULL"));
        let more = setup.collect(&source_id, vec![visit("more", "FR", "v"), visit("else", "FR", "w")]).await;
        assert_eq!(outcomes(&more), [Outcome::Denied, Outcome::Held]);
        setup.collect(&source_id, vec![answering(visit("yes", "FR", "v"), true)]).await;
        assert_eq!(setup.logged("shop").await.len(), 501);
    }
}

#[tokio::test]
async fn what_cannot_be_taken_is_kept_without_its_content_where_consent_lacks() {
    for setup in both().await {
        let source_id = setup.source().await;
        put(&setup, policy("", ConsentDefault::Deny)).await.unwrap();
        let broken = |event: Event| Event { body: None, ..event };
        let sent = vec![
            broken(visit("silent", "FR", "v")),
            broken(visit("abroad", "US", "v")),
            broken(answering(visit("yes", "FR", "v"), true)),
        ];
        let http = r#"{"type":"track","userId":"u","messageId":"http","context":{"location":{"country":"FR"}}}"#;

        let verdicts = setup.collect(&source_id, sent).await;
        setup.post("track", http).await;

        assert_eq!(outcomes(&verdicts), [Outcome::Quarantined; 3]);
        let request = ListDeadLettersRequest::default();
        let letters = setup.dead_letters("shop").list_dead_letters(request).await.unwrap().into_inner().dead_letters;
        let with_content = |id: &str| {
            let letter = letters.iter().find(|letter| letter.dead_letter_id == id).unwrap();
            !letter.payload.is_empty()
        };
        let kept: Vec<bool> = verdicts.iter().map(|verdict| with_content(&verdict.dead_letter_id)).collect();
        assert_eq!((kept, letters.len()), (vec![false, true, true], 4));
        assert_eq!(letters.iter().filter(|letter| letter.payload.is_empty()).count(), 2);
    }
}

#[tokio::test]
async fn signals_can_be_tried() {
    for setup in both().await {
        let source_id = setup.source().await;
        let mut asked = policy(&source_id, ConsentDefault::Deny);
        asked.mappings.push(ConsentMapping {
            vocabulary: Vocabulary::UsOptOut.into(),
            id: "sale".into(),
            purpose: "analytics".into(),
            channel: String::new(),
        });
        put(&setup, asked).await.unwrap();
        let explain = |signals: ConsentSignals, country: &str| {
            let request =
                ExplainConsentRequest { source_id: source_id.clone(), signals: Some(signals), country: country.into() };
            let mut client = consents(&setup, "shop");
            async move { client.explain_consent(request).await.map(tonic::Response::into_inner) }
        };

        let silent = explain(ConsentSignals::default(), "FR").await.unwrap();
        assert_eq!(silent.outcome(), ConsentDefault::Deny);
        let tcf = ConsentSignals { tc_string: TC_STRING.into(), ..ConsentSignals::default() };
        assert_eq!(explain(tcf, "FR").await.unwrap().outcome(), ConsentDefault::Grant);
        let opted_out =
            ConsentSignals { us_privacy: "1YYN".into(), gpp_string: "nonsense".into(), ..ConsentSignals::default() };
        let read = explain(opted_out, "US").await.unwrap();
        assert_eq!((read.outcome(), read.consents[0].purpose.as_str()), (ConsentDefault::Deny, "analytics"));
        assert_eq!(read.problems.len(), 1);
        let bad = explain(ConsentSignals { tc_string: "A".repeat(9_000), ..ConsentSignals::default() }, "").await;
        assert_eq!(reason(bad.unwrap_err()), "INVALID_FIELDS");
        assert_eq!(reason(explain(ConsentSignals::default(), "Mars").await.unwrap_err()), "INVALID_FIELDS");
    }
}

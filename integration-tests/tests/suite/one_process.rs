//! The whole way in one process: what comes out is what the simulated shop knows to be true.

use std::collections::{BTreeMap, BTreeSet};

use chrono::Duration;
use comptoir::{
    api::Api,
    shop::{self, Shop, Stage},
};
use comptoir_integration_tests::{
    Embedded, Engine, Picture, Subject, feed::post_until_taken, log::event_log, picture::micros, read, scenario,
};
use http::{Method, Request, StatusCode};
use http_body_util::Full;
use mail_parser::MessageParser;
use proto::{
    campaign::v1::{Gate, Message, Reason, gate::Verdict, message::State},
    event::v1::{event::Body, message_activity::Action},
    identity::v1::{GetProfileRequest, ListChangesRequest, get_profile_request::Key, profile_change},
    recommendation::v1::RecommendRequest,
    scoring::v1::{GetScoresRequest, SummarizeOrdersRequest},
};
use simulator::{IdentifierKind, World};

/// Values that stand where an identifier belongs and are nobody's.
const WORTHLESS: [&str; 5] = ["undefined", "null", "test@test.com", "0600000000", "+33600000000"];

async fn lived_on(engine: Engine) -> anyhow::Result<()> {
    let subject = Embedded::start(engine, scenario::start()).await?;
    let world = scenario::world();
    let shop = scenario::set_up(&subject, &world).await?;
    let lived = scenario::live(&subject, &shop, &world).await?;

    assert_eq!(lived.events, world.delivered_events());
    check_events(&shop.api, &world).await?;
    check_orders(&shop.api, &world).await?;
    check_people(&shop.api, &world).await?;
    check_merged_ids(&shop.api).await?;
    check_mails(&subject, &shop.api).await?;
    check_decisions(&shop.api).await?;
    check_unsubscribe_link(&subject, &shop, &world).await?;
    check_silence_after_unsubscribing(&subject, &shop.api).await?;
    subject.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lived_shop_on_sqlite_is_known_as_it_is() -> anyhow::Result<()> {
    lived_on(Engine::Sqlite).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lived_shop_on_postgres_is_known_as_it_is() -> anyhow::Result<()> {
    if !Engine::all().contains(&Engine::Postgres) {
        return Ok(());
    }
    lived_on(Engine::Postgres).await
}

/// Each event is kept once, a second telling is known as one, and nothing is refused that a shop may send.
async fn check_events(api: &Api, world: &World) -> anyhow::Result<()> {
    let truth = world.truth();
    let counts = read::event_counts(api).await?;
    let of_shop = counts.iter().filter(|(source, _)| ["site", "app", "till", "crm"].contains(&source.as_str()));
    let mut told = (0, 0, 0);
    for (_, count) in of_shop {
        told = (told.0 + count.accepted, told.1 + count.duplicate, told.2 + count.quarantined);
    }
    let letters = read::dead_letters(api).await?;
    let reasons: BTreeSet<&str> = letters.iter().map(|letter| letter.reason.as_str()).collect();

    assert_eq!(told, (truth.events, truth.duplicates, 0), "accepted, known, kept aside for {reasons:?}");
    Ok(())
}

/// Orders count once however often they are told, and are worth what was paid less what went back.
async fn check_orders(api: &Api, world: &World) -> anyhow::Result<()> {
    let truth = world.truth();
    let sums = api.scoring().summarize_orders(SummarizeOrdersRequest {}).await?.into_inner();
    let mut net: BTreeMap<String, i64> = BTreeMap::new();
    let mut refunded: BTreeMap<String, i64> = BTreeMap::new();
    for country in &sums.countries {
        for (sum, amount) in [(&mut net, &country.net_value), (&mut refunded, &country.refunded_value)] {
            let amount = amount.as_ref().expect("a sum has an amount");
            *sum.entry(amount.currency_code.clone()).or_default() += micros(amount);
        }
    }
    refunded.retain(|_, amount| *amount != 0);
    let expected: BTreeMap<String, i64> = truth
        .revenue_micros
        .iter()
        .map(|(currency, revenue)| {
            (currency.clone(), revenue - truth.refunded_micros.get(currency).copied().unwrap_or_default())
        })
        .collect();

    assert!(truth.refunds > 0 && truth.orders_sent_twice > 0, "the scenario has both");
    assert_eq!(sums.order_count, truth.orders);
    assert_eq!(net, expected);
    assert_eq!(refunded, truth.refunded_micros);
    Ok(())
}

/// Identifiers that belong together are one person, nobody is two people, and worthless values are nobody.
async fn check_people(api: &Api, world: &World) -> anyhow::Result<()> {
    let truth = world.truth();
    let profiles = read::profiles(api).await?;
    let mut holders: BTreeMap<(&str, &str), &str> = BTreeMap::new();
    for profile in &profiles {
        for identifier in &profile.identifiers {
            assert!(!WORTHLESS.contains(&identifier.value.as_str()), "{} identifies somebody", identifier.value);
            let before = holders.insert((&identifier.kind, &identifier.value), &profile.profile_id);
            assert_eq!(before, None, "an identifier of two profiles");
        }
    }

    let mut people: BTreeMap<&str, BTreeSet<usize>> = BTreeMap::new();
    for group in &truth.groups {
        let found: BTreeSet<Option<&str>> = group
            .identifiers
            .iter()
            .map(|identifier| holders.get(&(kind(identifier.kind), identifier.value.as_str())).copied())
            .collect();
        assert_eq!(found.len(), 1, "in several profiles, or not known: {group:?}");
        let profile = found.into_iter().flatten().next();
        people.entry(profile.unwrap_or_else(|| panic!("not known: {group:?}"))).or_default().insert(group.person);
    }
    let joined: Vec<_> = people.values().filter(|people| people.len() > 1).collect();
    assert!(joined.is_empty(), "people that were taken for one: {joined:?}");
    assert!(truth.garbage_identifiers > 0 && truth.untidy_identifiers > 0, "the scenario has both");
    Ok(())
}

/// The id of a profile that was merged away leads to the person it became, whoever is asked.
async fn check_merged_ids(api: &Api) -> anyhow::Result<()> {
    let request = ListChangesRequest { page_size: 500, ..ListChangesRequest::default() };
    let changes = api.identity().list_changes(request).await?.into_inner().changes;
    let merges = changes.into_iter().filter(|change| change.kind() == profile_change::Kind::Merge);
    let mut with_scores = 0;
    for absorbed in merges.flat_map(|merge| merge.other_profile_ids).take(30) {
        let by_id = GetProfileRequest { key: Some(Key::ProfileId(absorbed.clone())) };
        let survivor = api.identity().get_profile(by_id).await?.into_inner().profile.expect("a profile").profile_id;
        assert_ne!(survivor, absorbed);

        let scores_of = |profile_id: &str| GetScoresRequest { profile_id: profile_id.to_owned() };
        let asked = api.scoring().get_scores(scores_of(&absorbed)).await.map(|found| found.into_inner());
        let expected = api.scoring().get_scores(scores_of(&survivor)).await.map(|found| found.into_inner());
        match (asked, expected) {
            (Ok(asked), Ok(expected)) => {
                assert_eq!(asked, expected);
                with_scores += 1;
            }
            (asked, expected) => assert!(asked.is_err() && expected.is_err(), "{asked:?} is not {expected:?}"),
        }
        let products_for =
            |profile_id: &str| RecommendRequest { profile_id: profile_id.to_owned(), ..Default::default() };
        let asked = api.recommendation().recommend(products_for(&absorbed)).await?.into_inner();
        assert_eq!(asked, api.recommendation().recommend(products_for(&survivor)).await?.into_inner());
    }
    assert!(with_scores > 0, "the scenario merges people who did something");
    Ok(())
}

fn kind(kind: IdentifierKind) -> &'static str {
    match kind {
        IdentifierKind::UserId => "user_id",
        IdentifierKind::AnonymousId => "anonymous_id",
        IdentifierKind::Email => "email",
        IdentifierKind::Phone => "phone",
        IdentifierKind::LoyaltyCard => "loyalty_card",
    }
}

/// Mails arrived, each with products and with a way out that a mail program can use (RFC 8058).
async fn check_mails(subject: &Embedded, api: &Api) -> anyhow::Result<()> {
    let mails = subject.post().all();
    let sent = read::messages(api).await?.iter().filter(|message| message.state() == State::Sent).count();
    assert!(mails.len() > 10, "only {} mails arrived", mails.len());
    assert_eq!(mails.len(), sent);

    let mut ids = BTreeSet::new();
    for mail in &mails {
        let parsed = MessageParser::default().parse(&mail.bytes).expect("a mail can be read");
        let header = |name: &str| {
            let raw = parsed.header_raw(name).unwrap_or_default();
            raw.split_whitespace().collect::<Vec<_>>().join(" ")
        };
        let way_out = header("List-Unsubscribe");
        assert!(way_out.contains(&format!("<{}/u/", subject.url())), "List-Unsubscribe: {way_out}");
        assert_eq!(header("List-Unsubscribe-Post"), "List-Unsubscribe=One-Click");
        assert!(mail.to.ends_with(".example"), "a mail to somebody real");

        let links = shop::links(&mail.bytes).expect("a mail can be read");
        assert!(!links.clicks.is_empty(), "a mail without a product: {}", links.subject);
        assert!(links.unsubscribe.is_some() && !links.subject.is_empty());
        assert!(ids.insert(links.message_id), "a mail came twice");
    }
    Ok(())
}

/// Every decision says why.
async fn check_decisions(api: &Api) -> anyhow::Result<()> {
    let messages = read::messages(api).await?;
    let refused = |gate: &Gate| gate.verdict() == Verdict::Refused;
    for message in &messages {
        match message.state() {
            State::Sent => {
                assert_eq!(message.reason(), Reason::Unspecified, "{message:?}");
                assert!(!message.gates.is_empty() && !message.gates.iter().any(refused), "{message:?}");
                assert!(!message.product_ids.is_empty(), "sent without products: {message:?}");
            }
            State::Withheld => {
                assert_ne!(message.reason(), Reason::Unspecified, "withheld without a reason: {message:?}");
            }
            State::Scheduled | State::Queued => {}
            other => panic!("{other:?} where every mail is taken: {message:?}"),
        }
    }
    let states: BTreeSet<State> = messages.iter().map(Message::state).collect();
    let reasons: BTreeSet<Reason> = messages.iter().map(Message::reason).collect();
    assert!(states.contains(&State::Sent) && states.contains(&State::Withheld), "{states:?}");
    for reason in [Reason::NoConsent, Reason::FrequencyCap, Reason::NoAddress] {
        assert!(reasons.contains(&reason), "the scenario has nobody with {reason:?}, only {reasons:?}");
    }
    Ok(())
}

/// Whoever unsubscribed got nothing any more.
async fn check_silence_after_unsubscribing(subject: &Embedded, api: &Api) -> anyhow::Result<()> {
    let messages = read::messages(api).await?;
    let mut unsubscribed = 0;
    for record in event_log(subject).await? {
        let Some(Body::MessageActivity(activity)) = &record.event.body else { continue };
        if activity.action() != Action::Unsubscribed {
            continue;
        }
        unsubscribed += 1;
        let mail = messages.iter().find(|message| message.message_id == activity.message_id);
        let person = &mail.expect("an unsubscription names its message").profile_id;
        let at = record.event.received_time.expect("ingestion fills it").seconds;
        let later = messages.iter().filter(|message| message.profile_id == *person);
        let later: Vec<_> = later.filter(|one| one.send_time.is_some_and(|sent| sent.seconds > at)).collect();
        assert!(later.is_empty(), "written to after unsubscribing: {later:?}");
    }
    assert!(unsubscribed > 0, "unsubscriptions are events");
    Ok(())
}

/// Looking at the page behind the link changes nothing; the button does, for good.
async fn check_unsubscribe_link(subject: &Embedded, shop: &Shop, world: &World) -> anyhow::Result<()> {
    let quiet = latest_unsubscribed(shop, subject).await?;
    let mails = subject.post().all();
    let mail = mails.iter().rev().find(|mail| !quiet.contains(&mail.to)).expect("somebody still reads");
    let path = shop::links(&mail.bytes).and_then(|links| links.unsubscribe).expect("a mail has a way out");
    let mut web = subject.web()?;
    let before = Picture::take(&shop.api, &mails).await?;

    for method in [Method::GET, Method::GET, Method::HEAD] {
        let request = Request::builder().method(method).uri(&path).body(Full::default())?;
        assert_eq!(web.send(request).await?.status, StatusCode::OK);
    }
    subject.settle().await?;
    let looked_at = Picture::take(&shop.api, &mails).await?;
    before.assert_same(&looked_at, "looking at the unsubscribe page changed something");

    for _ in 0..2 {
        let body = Full::new("List-Unsubscribe=One-Click".into());
        let request = Request::builder().method(Method::POST).uri(&path).body(body)?;
        assert_eq!(web.send(request).await?.status, StatusCode::OK);
    }
    subject.settle().await?;

    // The same person fills a basket the next morning: the world is over, and a day has passed since.
    let morning = world.config().end() + Duration::hours(24 + 9);
    subject.set_intake(morning);
    subject.set_timers(morning);
    let person = world.person(&mail.to).expect("mails go to the shop's people");
    let body = basket(&mail.to, person.user_id.as_deref(), world);
    post_until_taken(&mut web, &shop.write_keys["site"], body.into()).await?;
    subject.settle().await?;
    subject.set_intake(morning + Duration::hours(3));
    subject.set_timers(morning + Duration::hours(3));
    subject.settle().await?;

    let due_since = (morning + Duration::minutes(30)).timestamp();
    let decided: Vec<Message> = read::messages(&shop.api)
        .await?
        .into_iter()
        .filter(|message| message.campaign_id == "abandoned-basket")
        .filter(|message| message.due_time.is_some_and(|due| due.seconds > due_since))
        .collect();
    assert_eq!(decided.len(), 1, "one basket, one decision: {decided:#?}");
    assert_eq!(decided[0].state(), State::Withheld, "{decided:#?}");
    assert!(matches!(decided[0].reason(), Reason::NoConsent | Reason::Suppressed), "{decided:#?}");
    let to_them = subject.post().all().into_iter().filter(|one| one.to == mail.to).count();
    let before = mails.iter().filter(|one| one.to == mail.to).count();
    assert_eq!(to_them, before, "a mail after unsubscribing");
    Ok(())
}

/// Returns the addresses of people whose last answer to marketing by e-mail is no.
async fn latest_unsubscribed(shop: &Shop, subject: &Embedded) -> anyhow::Result<BTreeSet<String>> {
    use proto::r#type::v1::ConsentState;

    let mut addresses = BTreeSet::new();
    for profile in read::profiles(&shop.api).await? {
        let refused = profile.consents.iter().any(|consent| {
            consent.purpose == "marketing" && consent.channel == "email" && consent.state() == ConsentState::Denied
        });
        let emails = profile.identifiers.iter().filter(|identifier| identifier.kind == "email");
        if refused {
            addresses.extend(emails.map(|identifier| identifier.value.clone()));
        }
    }
    let known: BTreeSet<String> = subject.post().all().into_iter().map(|mail| mail.to).collect();
    Ok(addresses.intersection(&known).cloned().collect())
}

fn basket(email: &str, user_id: Option<&str>, world: &World) -> String {
    let product = &world.catalogue()[0];
    let mut event = serde_json::json!({
        "type": "track",
        "event": "Product Added",
        "messageId": "the-basket-after",
        "properties": {"cart_id": "cart-after", "product_id": product.product_id, "price": 12.5, "quantity": 1},
        "context": {"traits": {"email": email}},
    });
    if let Some(user_id) = user_id {
        event["userId"] = user_id.into();
    }
    if user_id.is_none() {
        event["anonymousId"] = "a-new-browser".into();
    }
    serde_json::json!({ "batch": [event] }).to_string()
}

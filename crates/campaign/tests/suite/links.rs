//! What links lead to, and what they must not do.

use mail_parser::MessageParser;
use proto::{
    campaign::v1::{
        Channel, DescribeUnsubscribeRequest, FollowLinkRequest, GetSuppressionRequest, Reason, RecordOpenRequest,
        SummarizeMessagesRequest, UnsubscribeRequest, message::State,
    },
    event::v1::message_activity::{Action, Actor},
    r#type::v1::ConsentState,
};
use tonic::Code;

use crate::{
    harness::{Replica, World, databases, minutes, noon, sqlite},
    shop::*,
};

const PHONE: &str = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 Mobile/15E148";
const SCANNER: &str = "Barracuda Sentinel (EE)";

/// Somebody has received a mail; returns its HTML.
async fn sent(world: &World, db: store::Db) -> (Replica, String) {
    let replica = Replica::start(db, world).await;
    replica.put_template(template()).await;
    replica.put_campaign(abandoned_basket()).await;
    replica.set_policy(no_limits()).await;
    let consents =
        vec![consent("marketing", true, noon() - minutes(5)), consent("tracking_pixel", true, noon() - minutes(5))];
    world.tell(vec![updated("ann", "ann@mail.example", consents), did("ann", "e1", noon(), carted("a"))]).await;
    replica.pass(world, minutes(61)).await;
    let received = world.sink.received();
    let mail = MessageParser::default().parse(&received[0].bytes).unwrap();
    let html = mail.body_html(0).unwrap().into_owned();
    (replica, html)
}

/// The token behind the first link of a kind: "c", "o", "u".
fn token(html: &str, kind: &str) -> String {
    let start = format!("https://shop.example/{kind}/").replace('/', "&#x2f;");
    let plain = html.replace(&start, &format!("https://shop.example/{kind}/"));
    let (_, rest) = plain.split_once(&format!("https://shop.example/{kind}/")).expect("such a link");
    rest.split(['"', '.']).next().unwrap().to_owned()
}

async fn click(replica: &Replica, token: &str, user_agent: &str) -> Result<String, Code> {
    let request = FollowLinkRequest { token: token.into(), user_agent: user_agent.into() };
    replica.links().follow_link(request).await.map(|answer| answer.into_inner().url).map_err(|status| status.code())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_click_leads_to_the_address_in_the_message_and_is_told() {
    for db in databases().await {
        let world = World::new().await;
        let (replica, html) = sent(&world, db.handle()).await;
        let token = token(&html, "c");

        for _ in 0..3 {
            assert_eq!(click(&replica, &token, PHONE).await.unwrap(), "https://shop.example/p?id=r0&from=mail");
        }
        assert_eq!(click(&replica, &token, SCANNER).await.unwrap(), "https://shop.example/p?id=r0&from=mail");
        replica.settled(&world).await;

        let clicked = world.neighbours.activities(Action::Clicked);
        let by = |actor| clicked.iter().filter(|(activity, _)| activity.actor() == actor).count();
        assert_eq!((by(Actor::Human), by(Actor::Machine)), (1, 1), "{}", db.engine());
        assert_eq!(clicked[0].0.url, "https://shop.example/p?id=r0&from=mail");
        assert_eq!(clicked[0].1.identifiers[0].value, "ann@mail.example");
        assert!(replica.message().await.click_time.is_some());
        replica.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn scanner_get_is_safe() {
    let db = sqlite().await;
    let world = World::new().await;
    let (replica, html) = sent(&world, db.handle()).await;
    let unsubscribe = token(&html, "u");

    // A scanner loads every address in the mail, many times.
    for _ in 0..5 {
        click(&replica, &token(&html, "c"), SCANNER).await.unwrap();
        let request = RecordOpenRequest { token: token(&html, "o"), user_agent: SCANNER.into() };
        replica.links().record_open(request).await.unwrap();
        let request = DescribeUnsubscribeRequest { token: unsubscribe.clone() };
        let page = replica.links().describe_unsubscribe(request).await.unwrap().into_inner();
        assert!(!page.unsubscribed);
        assert_eq!(page.purpose, "marketing");
    }
    // A token is good for what it was made for only.
    assert_eq!(click(&replica, &unsubscribe, PHONE).await, Err(Code::NotFound));
    replica.settled(&world).await;

    let message = replica.message().await;
    assert_eq!((message.open_time, message.click_time), (None, None));
    assert_eq!(world.neighbours.activities(Action::Unsubscribed).len(), 0);
    let summary = replica.messages().summarize_messages(SummarizeMessagesRequest {}).await.unwrap().into_inner();
    assert_eq!((summary.opened, summary.clicked, summary.unsubscribed), (0, 0, 0));
    replica.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn unsubscribing_stops_everything_at_once_and_may_be_repeated() {
    for db in databases().await {
        let world = World::new().await;
        let (replica, html) = sent(&world, db.handle()).await;
        world.tell(vec![did("ann", "e2", noon() + minutes(24 * 60), carted("b"))]).await;
        replica.folded(&world).await;

        for _ in 0..2 {
            let request = UnsubscribeRequest { token: token(&html, "u") };
            let answer = replica.links().unsubscribe(request).await.unwrap().into_inner();
            assert_eq!((answer.purpose.as_str(), answer.channel()), ("marketing", Channel::Email));
        }
        replica.pass(&world, minutes(26 * 60)).await;

        let told = world.neighbours.activities(Action::Unsubscribed);
        assert_eq!(told.len(), 1, "{}", db.engine());
        let refusal = &told[0].1.consents[0];
        assert_eq!((refusal.purpose.as_str(), refusal.channel.as_str()), ("marketing", "email"));
        assert_eq!(refusal.state(), ConsentState::Denied);
        let request = GetSuppressionRequest { channel: Channel::Email.into(), address: "ANN@mail.example".into() };
        assert_eq!(replica.suppressions().get_suppression(request).await.unwrap().into_inner().cause, "unsubscribed");
        assert_eq!(world.sink.count(), 1);
        let outcomes = replica.outcomes().await;
        assert_eq!(
            outcomes,
            [(State::Sent, Reason::Unspecified, 1), (State::Withheld, Reason::Suppressed, 1)],
            "{}",
            db.engine()
        );
        let request = DescribeUnsubscribeRequest { token: token(&html, "u") };
        assert!(replica.links().describe_unsubscribe(request).await.unwrap().into_inner().unsubscribed);
        replica.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_is_recorded_only_while_the_person_agrees_to_it() {
    for db in databases().await {
        let world = World::new().await;
        let (replica, html) = sent(&world, db.handle()).await;
        let open = || RecordOpenRequest { token: token(&html, "o"), user_agent: PHONE.into() };

        replica.links().record_open(open()).await.unwrap();
        replica.settled(&world).await;
        assert_eq!(world.neighbours.activities(Action::Opened).len(), 1, "{}", db.engine());
        assert!(replica.message().await.open_time.is_some());

        // Taken back after the mail was sent: nothing more is kept.
        let consents = vec![
            consent("marketing", true, noon() - minutes(5)),
            consent("tracking_pixel", false, noon() + minutes(70)),
        ];
        world.tell(vec![updated("ann", "ann@mail.example", consents)]).await;
        replica.pass(&world, minutes(120)).await;
        replica.links().record_open(open()).await.unwrap();
        replica.settled(&world).await;

        assert_eq!(world.neighbours.activities(Action::Opened).len(), 1);
        replica.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_consent_to_it_a_mail_has_no_pixel() {
    let db = sqlite().await;
    let world = World::new().await;
    let replica = Replica::start(db.handle(), &world).await;
    replica.put_template(template()).await;
    replica.put_campaign(abandoned_basket()).await;
    world.tell(vec![customer("ann"), did("ann", "e1", noon(), carted("a"))]).await;
    replica.pass(&world, minutes(61)).await;

    let raw = world.sink.received().remove(0).bytes;
    let html = MessageParser::default().parse(&raw).unwrap().body_html(0).unwrap().into_owned();
    assert!(!html.contains("<img"), "{html}");
    replica.stop().await;
}

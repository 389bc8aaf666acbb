//! The way to the mail server, and what can go wrong on it.

use comptoir_campaign::sink::Script;
use mail_parser::MessageParser;
use proto::{
    campaign::v1::{
        AddSuppressionRequest, Channel, GetSuppressionRequest, Reason, Template, gate::Verdict, message::State,
    },
    event::v1::message_activity::Action,
};

use crate::{
    harness::{Replica, World, databases, minutes, noon, sqlite},
    shop::*,
};

async fn shop(world: &World, db: store::Db) -> Replica {
    let replica = Replica::start(db, world).await;
    replica.put_template(template()).await;
    replica.put_campaign(abandoned_basket()).await;
    replica.set_policy(no_limits()).await;
    replica
}

async fn basket(world: &World, profile_id: &str) {
    world.tell(vec![customer(profile_id), did(profile_id, profile_id, noon(), carted("a"))]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_has_everything_it_needs() {
    let db = sqlite().await;
    let world = World::new().await;
    let replica = shop(&world, db.handle()).await;
    let consents =
        vec![consent("marketing", true, noon() - minutes(5)), consent("tracking_pixel", true, noon() - minutes(5))];
    world.tell(vec![updated("ann", "ann@mail.example", consents), did("ann", "e1", noon(), carted("a"))]).await;

    replica.pass(&world, minutes(61)).await;

    let received = world.sink.received();
    let mail = MessageParser::default().parse(&received[0].bytes).unwrap();
    let message = replica.message().await;
    assert_eq!(received[0].from, "shop@shop.example");
    assert_eq!(mail.subject(), Some("Zoé, your basket"));
    assert_eq!(mail.message_id().unwrap(), format!("{}@shop.example", message.message_id));
    assert_eq!(mail.date().unwrap().to_timestamp(), (noon() + minutes(61)).timestamp());
    let raw = String::from_utf8_lossy(&received[0].bytes);
    assert!(raw.contains("List-Unsubscribe: <https://shop.example/u/"));
    assert!(raw.contains("List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"));
    let (html, text) = (mail.body_html(0).unwrap(), mail.body_text(0).unwrap());
    assert!(html.contains("Dear Zoé") && html.contains("Candle &amp; Co 0"), "{html}");
    assert!(html.contains("href=\"https://shop.example/c/") && !html.contains("shop.example/p?id"), "{html}");
    assert!(html.contains("<img src=\"https://shop.example/o/"), "{html}");
    assert!(text.contains("Candle & Co 1: https://shop.example/c/"), "{text}");
    assert!(text.contains("https://shop.example/u/"), "{text}");
    replica.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_render_error_isolated() {
    for db in databases().await {
        let world = World::new().await;
        let replica = shop(&world, db.handle()).await;
        let text = "{% if profile.email == 'p3@mail.example' %}{{ traits.nothing }}{% endif %}Hello".into();
        replica.put_template(Template { text, ..template() }).await;
        for person in 0..6 {
            basket(&world, &format!("p{person}")).await;
        }

        replica.pass(&world, minutes(61)).await;

        assert_eq!(world.sink.count(), 5, "{}", db.engine());
        let messages = replica.all_messages().await;
        let failed: Vec<_> = messages.iter().filter(|message| message.state() != State::Sent).collect();
        assert_eq!(failed.len(), 1);
        assert_eq!((failed[0].profile_id.as_str(), failed[0].state()), ("p3", State::Withheld));
        assert_eq!(failed[0].reason(), Reason::RenderFailed);
        let said = failed[0].gates.last().unwrap();
        assert_eq!((said.name.as_str(), said.detail.as_str()), ("render", "text, line 1: undefined value"));
        replica.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn retries_454() {
    for db in databases().await {
        let world = World::new().await;
        let replica = shop(&world, db.handle()).await;
        for person in 0..5 {
            let profile_id = format!("p{person}");
            for _ in 0..person {
                world.sink.script(&email(&profile_id), Script::AnswerRecipient("454 4.7.0 too fast".into()));
            }
            basket(&world, &profile_id).await;
        }

        replica.pass(&world, minutes(61)).await;
        assert_eq!(world.sink.count(), 1, "{}", db.engine());
        // 1, 5, 15 and 60 minutes.
        for (wait, taken) in [(1, 2), (5, 3), (15, 4), (60, 5)] {
            replica.pass(&world, minutes(wait)).await;
            assert_eq!(world.sink.count(), taken, "after {wait} minutes");
        }

        let messages = replica.all_messages().await;
        assert!(messages.iter().all(|message| message.state() == State::Sent));
        let stubborn = messages.iter().find(|message| message.profile_id == "p4").unwrap();
        assert_eq!(stubborn.attempts, 5);
        assert!(stubborn.gates.iter().any(|gate| gate.name == "channel" && gate.verdict() == Verdict::Deferred));
        replica.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_for_the_mail_server_is_stopped_by_a_suppression_a_refusal_or_a_purchase() {
    for db in databases().await {
        let world = World::new().await;
        let replica = shop(&world, db.handle()).await;
        for profile_id in ["suppressed", "refused", "bought"] {
            world.sink.script(&email(profile_id), Script::AnswerRecipient("451 4.3.0 later".into()));
            basket(&world, profile_id).await;
        }
        replica.pass(&world, minutes(61)).await;
        assert_eq!(replica.outcomes().await, [(State::Queued, Reason::Unspecified, 3)]);

        let (channel, address) = (Channel::Email.into(), email("suppressed"));
        let suppress = AddSuppressionRequest { channel, address, cause: "complained".into() };
        replica.suppressions().add_suppression(suppress).await.unwrap();
        let no = consent("marketing", false, noon() + minutes(61));
        world.tell(vec![updated("refused", &email("refused"), vec![no])]).await;
        world.tell(vec![did("bought", "o", noon() + minutes(61), ordered("o"))]).await;
        replica.pass(&world, minutes(1)).await;

        assert_eq!(world.sink.count(), 0, "{}", db.engine());
        let mut reasons: Vec<_> =
            replica.all_messages().await.into_iter().map(|m| (m.profile_id.clone(), m.reason())).collect();
        reasons.sort();
        let expected =
            [("bought", Reason::GoalReached), ("refused", Reason::NoConsent), ("suppressed", Reason::Suppressed)];
        assert_eq!(reasons, expected.map(|(profile_id, reason)| (profile_id.to_owned(), reason)));
        replica.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_cannot_leave_in_time_expires() {
    let db = sqlite().await;
    let world = World::new().await;
    let mut config = world.config();
    // Nobody listens there.
    config.smtp.port = 1;
    let replica = Replica::start_with(db.handle(), &world, config).await;
    replica.put_template(template()).await;
    replica.put_campaign(abandoned_basket()).await;
    replica.set_policy(no_limits()).await;
    basket(&world, "ann").await;

    replica.pass(&world, minutes(61)).await;
    assert_eq!(replica.message().await.state(), State::Queued);
    replica.pass(&world, minutes(4 * 24 * 60)).await;

    let message = replica.message().await;
    assert_eq!((message.state(), message.reason()), (State::Withheld, Reason::Expired));
    assert_eq!(message.attempts, 1);
    replica.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_does_not_exist_is_suppressed_and_a_policy_refusal_is_not() {
    for db in databases().await {
        let world = World::new().await;
        let replica = shop(&world, db.handle()).await;
        for (profile_id, answer) in [("gone", "550 5.1.1 no such user"), ("blocked", "550 5.7.1 we do not like you")] {
            world.sink.script(&email(profile_id), Script::AnswerRecipient(answer.into()));
            basket(&world, profile_id).await;
        }

        replica.pass(&world, minutes(61)).await;

        let outcomes = replica.outcomes().await;
        assert_eq!(
            outcomes,
            [(State::Failed, Reason::AddressRefused, 1), (State::Failed, Reason::ChannelRefused, 1)],
            "{}",
            db.engine()
        );
        for (profile_id, expected) in [("gone", true), ("blocked", false)] {
            let request = GetSuppressionRequest { channel: Channel::Email.into(), address: email(profile_id) };
            let found = replica.suppressions().get_suppression(request).await.unwrap().into_inner();
            assert_eq!(found.suppressed, expected, "{profile_id}");
        }
        let bounced = world.neighbours.activities(Action::Bounced);
        assert_eq!(bounced.len(), 1);
        assert_eq!(
            (bounced[0].0.detail.as_str(), bounced[0].1.identifiers[0].value.as_str()),
            ("hard", "gone@mail.example")
        );
        replica.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_products_a_message_leaves_if_its_template_can_do_without() {
    let db = sqlite().await;
    let world = World::new().await;
    world.neighbours.silence_recommendation(true);
    let replica = shop(&world, db.handle()).await;
    let needs = Template { template_id: "needs".into(), text: "{{ products[0].title }}".into(), ..template() };
    replica.put_template(needs).await;
    let mut picky = abandoned_basket();
    (picky.campaign_id, picky.template_id) = ("picky".into(), "needs".into());
    replica.put_campaign(picky).await;
    basket(&world, "ann").await;

    replica.pass(&world, minutes(61)).await;
    assert_eq!(world.sink.count(), 1);
    assert_eq!(
        replica.outcomes().await,
        [(State::Queued, Reason::Unspecified, 1), (State::Sent, Reason::Unspecified, 1)]
    );
    world.neighbours.silence_recommendation(false);
    replica.pass(&world, minutes(1)).await;

    assert_eq!(replica.outcomes().await, [(State::Sent, Reason::Unspecified, 2)]);
    replica.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_sent_is_told_to_ingestion_once() {
    for db in databases().await {
        let world = World::new().await;
        let replica = shop(&world, db.handle()).await;
        for person in 0..30 {
            basket(&world, &format!("p{person}")).await;
        }

        replica.pass(&world, minutes(61)).await;

        let sent = world.neighbours.activities(Action::Sent);
        assert_eq!(sent.len(), 30, "{}", db.engine());
        let (activity, event) = &sent[0];
        assert_eq!((activity.campaign_id.as_str(), activity.channel.as_str()), ("basket", "email"));
        assert_eq!(event.identifiers[0].kind, "email");
        assert_eq!(replica.message_of(&activity.message_id).await.state(), State::Sent);
        let sources = world.neighbours.sources();
        assert_eq!(sources.iter().map(|source| source.name.as_str()).collect::<Vec<_>>(), ["comptoir-campaign"]);
        replica.stop().await;
    }
}

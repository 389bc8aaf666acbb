//! Crashes and connections that break: what is certain stays certain, what is not is said to be so.

use std::{collections::BTreeSet, time::Duration};

use comptoir_campaign::sink::Script;
use proto::{
    campaign::v1::{Reason, message::State},
    event::v1::message_activity::Action,
};
use store::{Db, OpenOptions};

use crate::{
    harness::{Replica, World, databases, minutes, noon},
    shop::*,
};

async fn shop(world: &World, db: Db) -> Replica {
    let replica = Replica::start(db, world).await;
    replica.put_template(template()).await;
    replica.put_campaign(abandoned_basket()).await;
    replica.set_policy(no_limits()).await;
    replica
}

async fn baskets(world: &World, people: usize) {
    for person in 0..people {
        let profile_id = format!("p{person}");
        world.tell(vec![customer(&profile_id), did(&profile_id, &profile_id, noon(), carted("a"))]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn uncertain_after_dot() {
    for db in databases().await {
        let world = World::new().await;
        let replica = shop(&world, db.handle()).await;
        world.sink.script(&email("p0"), Script::CutAfterDot);
        world.sink.script(&email("p1"), Script::CutBeforeData);
        baskets(&world, 3).await;

        replica.pass(&world, minutes(61)).await;
        replica.pass(&world, minutes(24 * 60)).await;

        let messages = replica.all_messages().await;
        let state_of = |profile_id: &str| {
            messages.iter().find(|message| message.profile_id == profile_id).map(|message| message.state()).unwrap()
        };
        assert_eq!(state_of("p0"), State::Uncertain, "{}", db.engine());
        assert_eq!(state_of("p1"), State::Sent, "what broke before the message was handed over is tried again");
        assert_eq!(state_of("p2"), State::Sent);
        assert_eq!(world.sink.count(), 2);
        assert_eq!(world.neighbours.activities(Action::Sent).len(), 2);
        replica.stop().await;
    }
}

/// The process dies while messages are being handed over; another one takes over. Nobody hears twice, nobody is forgotten,
/// and no more messages are in doubt than there are connections.
#[tokio::test(flavor = "multi_thread")]
async fn kill9_mid_batch() {
    const PEOPLE: usize = 60;
    for db in databases().await {
        let world = World::new().await;
        for person in 0..PEOPLE {
            // Slow enough to be caught in the act.
            world.sink.script(&email(&format!("p{person}")), Script::Wait(Duration::from_millis(60)));
        }
        let mut config = world.config();
        config.smtp.connections = 4;
        let doomed = Db::open(db.url(), OpenOptions::default()).await.unwrap();
        let replica = Replica::start_with(doomed.clone(), &world, config.clone()).await;
        replica.put_template(template()).await;
        replica.put_campaign(abandoned_basket()).await;
        replica.set_policy(no_limits()).await;
        baskets(&world, PEOPLE).await;
        replica.folded(&world).await;
        world.clock.advance(Duration::from_secs(61 * 60));
        world.sink.reached(12).await;
        replica.crash(&doomed).await;

        let next = Replica::start_with(db.handle(), &world, config).await;
        next.settled(&world).await;

        let mut heard: Vec<String> = world.sink.received().into_iter().map(|mail| mail.to).collect();
        heard.sort();
        let distinct: BTreeSet<&String> = heard.iter().collect();
        assert_eq!(distinct.len(), heard.len(), "nobody hears twice ({})", db.engine());
        let mut in_doubt = 0;
        for message in next.all_messages().await {
            match message.state() {
                State::Sent => assert!(distinct.contains(&email(&message.profile_id))),
                State::Uncertain => in_doubt += 1,
                other => panic!("{other:?} {message:#?}"),
            }
        }
        assert_eq!(next.all_messages().await.len(), PEOPLE);
        assert!((1..=4).contains(&in_doubt), "{in_doubt} in doubt ({})", db.engine());
        assert!(heard.len() >= PEOPLE - in_doubt);
        next.stop().await;
    }
}

/// A replay of the logs from the beginning, as after a restored backup of the cursors, sends nothing again.
#[tokio::test(flavor = "multi_thread")]
async fn a_replay_sends_nothing_again() {
    for db in databases().await {
        let world = World::new().await;
        let replica = shop(&world, db.handle()).await;
        baskets(&world, 10).await;
        replica.pass(&world, minutes(61)).await;
        replica.stop().await;
        let mut tx = db.begin().await.unwrap();
        store::within!(tx, conn => sqlx::query("DELETE FROM log_cursors").execute(&mut *conn).await.map(|_| ()))
            .unwrap();
        tx.commit().await.unwrap();

        let replica = Replica::start(db.handle(), &world).await;
        replica.pass(&world, minutes(61)).await;

        assert_eq!(world.sink.count(), 10, "{}", db.engine());
        assert_eq!(replica.outcomes().await, [(State::Sent, Reason::Unspecified, 10)]);
        replica.stop().await;
    }
}

/// Two replicas on one database: each message leaves once.
#[tokio::test(flavor = "multi_thread")]
async fn two_replicas_send_each_message_once() {
    for db in databases().await.into_iter().filter(|db| db.engine() == "postgres") {
        let world = World::new().await;
        let first = shop(&world, db.handle()).await;
        let second = Replica::start(Db::open(db.url(), OpenOptions::default()).await.unwrap(), &world).await;
        baskets(&world, 40).await;
        let told = async {
            // Either may fold a partition; wait for the effect.
            while first.all_messages().await.len() < 40 {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), told).await.unwrap();
        world.clock.advance(Duration::from_secs(61 * 60));
        tokio::time::timeout(Duration::from_secs(60), world.sink.reached(40)).await.unwrap();
        first.stop().await;
        second.stop().await;

        assert_eq!(world.sink.count(), 40);
    }
}

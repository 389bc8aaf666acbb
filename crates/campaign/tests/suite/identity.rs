//! People who become one, several, or nobody.

use proto::campaign::v1::{ContactPolicy, Reason, message::State};

use crate::{
    harness::{Replica, World, databases, minutes, noon, sqlite},
    shop::*,
};

async fn shop(world: &World, db: store::Db) -> Replica {
    let replica = Replica::start(db, world).await;
    replica.put_template(template()).await;
    replica.set_policy(no_limits()).await;
    replica
}

#[tokio::test(flavor = "multi_thread")]
async fn identity_merge_most_restrictive() {
    for db in databases().await {
        let world = World::new().await;
        let replica = shop(&world, db.handle()).await;
        for number in 0..4 {
            replica.put_campaign(post_purchase(&format!("c{number}"))).await;
        }
        replica.set_policy(ContactPolicy { cap_messages: 4, ..no_limits() }).await;
        // Each of the two has heard four messages, and the second said no later than the first said yes.
        for (profile_id, order_id) in [("ann", "o1"), ("anna", "o2"), ("eve", "o3"), ("eva", "o4")] {
            world.tell(vec![customer(profile_id), did(profile_id, order_id, noon(), ordered(order_id))]).await;
        }
        replica.pass(&world, minutes(61)).await;
        assert_eq!(world.sink.count(), 16, "{}", db.engine());

        // Ann and Anna become one person, who orders again: pressure adds up.
        world.tell(vec![merged("anna", "ann", "anna"), merged("ann", "ann", "anna")]).await;
        world.tell(vec![restated("ann", "o2", noon(), ordered("o2"))]).await;
        world.tell(vec![did("ann", "o5", noon() + minutes(62), ordered("o5"))]).await;
        // Eve and Eva become one person, and Eva had refused.
        let (yes, no) = (noon() - minutes(1_440), noon() - minutes(10));
        world.tell(vec![merged("eva", "eve", "eva"), merged("eve", "eve", "eva")]).await;
        let consents = vec![consent("marketing", true, yes), consent("marketing", false, no)];
        world.tell(vec![updated("eve", &email("eve"), consents)]).await;
        world.tell(vec![did("eve", "o6", noon() + minutes(62), ordered("o6"))]).await;
        replica.pass(&world, minutes(63)).await;

        assert_eq!(world.sink.count(), 16, "{}", db.engine());
        let messages = replica.all_messages().await;
        let count = |profile_id: &str, reason: Reason| {
            messages.iter().filter(|message| message.profile_id == profile_id && message.reason() == reason).count()
        };
        assert_eq!(count("ann", Reason::Unspecified), 8, "the history of both");
        assert_eq!(count("ann", Reason::FrequencyCap), 4);
        assert_eq!(count("eve", Reason::NoConsent), 4);
        assert_eq!(count("anna", Reason::Unspecified) + count("eva", Reason::Unspecified), 0);
        replica.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_absorbed_profile_has_scheduled_reaches_the_survivor_once() {
    for db in databases().await {
        let world = World::new().await;
        let replica = shop(&world, db.handle()).await;
        replica.put_campaign(abandoned_basket()).await;
        // A visitor without a name fills a basket, then signs in.
        world.tell(vec![did("visitor", "e1", noon(), carted("a"))]).await;
        replica.folded(&world).await;
        world.tell(vec![merged("visitor", "ann", "visitor"), merged("ann", "ann", "visitor"), customer("ann")]).await;
        world.tell(vec![restated("ann", "e1", noon(), carted("a"))]).await;

        replica.pass(&world, minutes(61)).await;

        let message = replica.message().await;
        assert_eq!((message.profile_id.as_str(), message.state()), ("ann", State::Sent), "{}", db.engine());
        assert_eq!(world.sink.received()[0].to, email("ann"));
        replica.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn baskets_that_become_one_are_written_about_once() {
    let db = sqlite().await;
    let world = World::new().await;
    let replica = shop(&world, db.handle()).await;
    replica.put_campaign(abandoned_basket()).await;
    world.tell(vec![did("visitor", "e1", noon(), carted("a"))]).await;
    world.tell(vec![customer("ann"), did("ann", "e2", noon() + minutes(20), carted("b"))]).await;
    world.tell(vec![merged("visitor", "ann", "visitor"), merged("ann", "ann", "visitor")]).await;
    world.tell(vec![restated("ann", "e1", noon(), carted("a"))]).await;

    replica.pass(&world, minutes(81)).await;

    assert_eq!(world.sink.count(), 1);
    assert_eq!(replica.outcomes().await, [(State::Sent, Reason::Unspecified, 1)]);
    assert_eq!(world.neighbours.recommendations_asked()[0].product_ids, ["a", "b"]);
    replica.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_split_gives_each_what_their_own_events_have_scheduled() {
    let db = sqlite().await;
    let world = World::new().await;
    let replica = shop(&world, db.handle()).await;
    replica.put_campaign(post_purchase("thanks")).await;
    world.tell(vec![customer("ann"), did("ann", "e1", noon(), ordered("o1"))]).await;
    world.tell(vec![did("ann", "e2", noon(), ordered("o2"))]).await;
    replica.folded(&world).await;
    world.tell(vec![split("ann", "bob"), customer("ann"), customer("bob")]).await;
    world.tell(vec![restated("ann", "e1", noon(), ordered("o1")), restated("bob", "e2", noon(), ordered("o2"))]).await;

    replica.pass(&world, minutes(61)).await;

    let mut to: Vec<String> = world.sink.received().into_iter().map(|mail| mail.to).collect();
    to.sort();
    assert_eq!(to, [email("ann"), email("bob")]);
    replica.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_erased_person_is_not_written_to_and_leaves_no_trace() {
    for db in databases().await {
        let world = World::new().await;
        let replica = shop(&world, db.handle()).await;
        replica.put_campaign(post_purchase("thanks")).await;
        world.tell(vec![customer("ann"), did("ann", "e1", noon(), ordered("o1"))]).await;
        replica.pass(&world, minutes(61)).await;
        world.tell(vec![did("ann", "e2", noon() + minutes(62), ordered("o2")), erased("ann")]).await;
        world.tell(vec![did("bob", "e3", noon() + minutes(62), ordered("o3"))]).await;
        replica.pass(&world, minutes(120)).await;

        assert_eq!(world.sink.count(), 1);
        let messages = replica.all_messages().await;
        assert!(messages.iter().all(|message| message.profile_id != "ann"), "{messages:#?}");
        let gone = messages.iter().filter(|message| message.profile_id.is_empty()).count();
        assert_eq!(gone, 1, "{}", db.engine());
        replica.stop().await;
    }
}

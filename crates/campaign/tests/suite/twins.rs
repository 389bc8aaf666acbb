//! People who were two for a moment have the messages that they would have had as one, however far either log is read.

use chrono::{DateTime, Utc};
use proto::{campaign::v1::Message, identity::v1::ProfileRecord, scoring::v1::ScoreRecord};

use crate::{
    harness::{Replica, World, databases, minutes, noon},
    shop::*,
};

/// What the logs tell, in steps: all of one is folded before the next is told.
enum Step {
    People(Vec<ProfileRecord>),
    Stays(Vec<ScoreRecord>),
}
use Step::{People, Stays};

/// Campaign, person, what set it off when, and what became of it.
type Told = (String, String, DateTime<Utc>, String);

/// Tells everything at noon, lets three hours pass, and returns the messages that there are then, on every engine the same.
async fn messages(steps: impl Fn() -> Vec<Step>) -> Vec<Told> {
    let mut on_engines = Vec::new();
    for db in databases().await {
        on_engines.push(messages_on(db.handle(), steps()).await);
    }
    assert!(on_engines.iter().all(|told| told == &on_engines[0]), "{on_engines:?}");
    on_engines.swap_remove(0)
}

async fn messages_on(db: store::Db, steps: Vec<Step>) -> Vec<Told> {
    let world = World::new().await;
    let replica = Replica::start(db, &world).await;
    replica.put_template(template()).await;
    replica.set_policy(no_limits()).await;
    for campaign in [segment_entered(), post_purchase("thanks"), abandoned_basket()] {
        replica.put_campaign(campaign).await;
    }
    world.tell(vec![customer("ann"), customer("bob")]).await;
    replica.folded(&world).await;
    for step in steps {
        match step {
            People(records) => world.tell(records).await,
            Stays(records) => world.score(records).await,
        }
        replica.folded(&world).await;
    }
    replica.pass(&world, minutes(180)).await;

    let told = |message: Message| {
        let trigger = message.trigger_time.unwrap_or_default();
        let time = DateTime::from_timestamp(trigger.seconds, 0).unwrap_or_default();
        let what = format!("{:?} {:?}", message.state(), message.reason());
        (message.campaign_id, message.profile_id, time, what)
    };
    let mut messages: Vec<_> = replica.all_messages().await.into_iter().map(told).collect();
    messages.sort();
    replica.stop().await;
    messages
}

/// Ann absorbs Bob.
fn absorbed() -> Vec<ProfileRecord> {
    vec![merged("ann", "ann", "bob"), merged("bob", "ann", "bob")]
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_told_under_two_profiles_that_become_one_sets_off_what_it_would_have_under_one() {
    let (browser, server) = (noon() + minutes(1), noon() + minutes(2));
    let by_browser = || did("ann", "e1", browser, ordered("o1"));
    let by_server = |profile_id| did(profile_id, "e2", server, ordered("o1"));
    let as_one =
        messages(|| vec![People(vec![by_browser(), by_server("ann")]), Stays(vec![entered("ann", browser, false)])])
            .await;
    assert_eq!(as_one.len(), 2, "{as_one:?}");
    assert!(as_one.iter().all(|(_, _, time, what)| *time == browser && what == "Sent Unspecified"), "{as_one:?}");

    let apart = || People(vec![by_server("bob"), by_browser()]);
    let both_entered = || Stays(vec![entered("ann", browser, false), entered("bob", server, false)]);
    let merged = || People(absorbed());
    let told_again = || People(vec![restated("ann", "e2", server, ordered("o1"))]);
    let left = || Stays(vec![exited("bob", server)]);
    let in_step = messages(|| vec![apart(), both_entered(), merged(), told_again(), left()]).await;
    let scores_ahead = messages(|| vec![both_entered(), left(), apart(), merged(), told_again()]).await;
    let profiles_ahead = messages(|| vec![apart(), merged(), told_again(), both_entered(), left()]).await;

    assert_eq!([in_step, scores_ahead, profiles_ahead], [as_one.clone(), as_one.clone(), as_one]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_told_to_have_been_earlier_after_a_merge_is_told_of_the_one_who_remains() {
    let (browser, server) = (noon() + minutes(1), noon() + minutes(2));
    let bob_ordered = || People(vec![did("bob", "e2", server, ordered("o1"))]);
    let merged = || People([absorbed(), vec![restated("ann", "e2", server, ordered("o1"))]].concat());
    let moved = || Stays(vec![exited("bob", server), entered_by_restatement("ann", server, None)]);
    let bob_entered = || Stays(vec![entered("bob", server, false)]);
    let earlier = || People(vec![did("ann", "e1", browser, ordered("o1"))]);
    let entered_before = || Stays(vec![entered_earlier("ann", browser, false, Some(server))]);

    let in_step = messages(|| vec![bob_ordered(), bob_entered(), merged(), moved(), earlier(), entered_before()]).await;
    let scores_ahead =
        messages(|| vec![bob_entered(), moved(), entered_before(), bob_ordered(), merged(), earlier()]).await;

    let once = |campaign_id: &str| (campaign_id.into(), "ann".into(), browser, "Sent Unspecified".into());
    let expected: Vec<Told> = vec![once("thanks"), once("vip")];
    assert_eq!([in_step, scores_ahead], [expected.clone(), expected]);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_was_in_a_segment_before_is_not_greeted_because_a_twin_came_in() {
    let (before, later) = (noon() - minutes(60), noon() + minutes(1));
    let sent = messages(|| {
        vec![
            // By a new rule: nothing is set off.
            Stays(vec![entered("ann", before, true), entered("bob", later, false)]),
            People(absorbed()),
            Stays(vec![exited("bob", later)]),
        ]
    })
    .await;

    assert_eq!(sent, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_basket_that_was_taken_for_another_persons_is_written_about_after_the_split() {
    let (first, second) = (noon() + minutes(1), noon() + minutes(5));
    let sent = messages(|| {
        vec![
            People(vec![did("ann", "e1", first, carted("a")), did("ann", "e2", second, carted("b"))]),
            People(vec![split("ann", "bob"), customer("ann"), customer("bob")]),
            People(vec![restated("ann", "e1", first, carted("a")), restated("bob", "e2", second, carted("b"))]),
        ]
    })
    .await;

    let got: Vec<_> = sent.iter().map(|(_, to, time, what)| (to.as_str(), *time, what.as_str())).collect();
    assert_eq!(got, [("ann", first, "Sent Unspecified"), ("bob", second, "Sent Unspecified")]);
}

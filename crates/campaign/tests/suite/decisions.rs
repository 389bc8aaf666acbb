//! What sets messages off, and what keeps them from leaving.

use proto::campaign::v1::{
    AddSuppressionRequest, Channel, Reason, SetCampaignPausedRequest, gate::Verdict, message::State,
};

use crate::{
    harness::{Replica, World, databases, minutes, noon, sqlite},
    shop::*,
};

/// A replica with the template, the campaign and no limits.
async fn shop(world: &World, db: store::Db, campaigns: Vec<proto::campaign::v1::Campaign>) -> Replica {
    let replica = Replica::start(db, world).await;
    replica.put_template(template()).await;
    for campaign in campaigns {
        replica.put_campaign(campaign).await;
    }
    replica.set_policy(no_limits()).await;
    replica
}

#[tokio::test(flavor = "multi_thread")]
async fn an_abandoned_basket_sends_one_message_an_hour_after_its_last_change() {
    for db in databases().await {
        let world = World::new().await;
        let replica = shop(&world, db.handle(), vec![abandoned_basket()]).await;
        world
            .tell(vec![
                customer("ann"),
                did("ann", "e0", noon(), viewed()),
                did("ann", "e1", noon(), carted("a")),
                did("ann", "e2", noon() + minutes(30), carted("b")),
            ])
            .await;

        replica.pass(&world, minutes(89)).await;
        assert_eq!(replica.outcomes().await, [(State::Scheduled, Reason::Unspecified, 1)], "{}", db.engine());
        assert_eq!(world.sink.count(), 0);
        replica.pass(&world, minutes(1)).await;

        let message = replica.message().await;
        assert_eq!(message.state(), State::Sent, "{message:#?}");
        assert_eq!(message.due_time, Some(timestamp(noon() + minutes(90))));
        assert_eq!(message.product_ids, ["r0", "r1"]);
        assert_eq!(message.gates.len(), 8);
        assert!(message.gates.iter().all(|gate| gate.verdict() == Verdict::Passed));
        assert_eq!(world.sink.received()[0].to, email("ann"));
        assert_eq!(world.neighbours.recommendations_asked()[0].product_ids, ["a", "b"]);
        replica.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_before_the_due_time_reaches_the_goal_and_one_after_it_does_not() {
    let db = sqlite().await;
    let world = World::new().await;
    let replica = shop(&world, db.handle(), vec![abandoned_basket()]).await;
    // All is told before the clock moves: what counts is when it happened.
    world
        .tell(vec![
            customer("bought"),
            customer("later"),
            customer("emptied"),
            did("bought", "b1", noon(), carted("a")),
            did("bought", "b2", noon() + minutes(59), ordered("o1")),
            did("later", "l1", noon(), carted("a")),
            did("later", "l2", noon() + minutes(61), ordered("o2")),
            did("emptied", "m1", noon(), carted("a")),
            did("emptied", "m2", noon() + minutes(1), uncarted("a")),
        ])
        .await;

    replica.pass(&world, minutes(120)).await;

    let reason_of = |profile_id: &'static str, messages: &[proto::campaign::v1::Message]| {
        messages.iter().find(|message| message.profile_id == profile_id).unwrap().reason()
    };
    let messages = replica.all_messages().await;
    assert_eq!(reason_of("bought", &messages), Reason::GoalReached);
    assert_eq!(reason_of("later", &messages), Reason::Unspecified);
    assert_eq!(reason_of("emptied", &messages), Reason::GoalReached);
    assert_eq!(world.sink.received().iter().map(|mail| mail.to.clone()).collect::<Vec<_>>(), [email("later")]);
    replica.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_refusal_is_kept_with_its_reason() {
    for db in databases().await {
        let world = World::new().await;
        let mut paused = abandoned_basket();
        paused.campaign_id = "paused".into();
        let replica = shop(&world, db.handle(), vec![abandoned_basket(), paused]).await;
        let pause = SetCampaignPausedRequest { campaign_id: "paused".into(), paused: true };
        replica.campaigns().set_campaign_paused(pause).await.unwrap();
        let channel = Channel::Email.into();
        let address = format!(" {} ", email("suppressed").to_uppercase());
        let suppress = AddSuppressionRequest { channel, address, cause: "manual".into() };
        replica.suppressions().add_suppression(suppress).await.unwrap();
        let yes = consent("marketing", true, noon() - minutes(5));
        world
            .tell(vec![
                updated("nowhere", "", vec![yes.clone()]),
                updated("silent", "silent@mail.example", vec![]),
                updated("no", "no@mail.example", vec![yes, consent("marketing", false, noon())]),
                customer("suppressed"),
            ])
            .await;
        for profile_id in ["nowhere", "silent", "no", "suppressed"] {
            world.tell(vec![did(profile_id, &format!("{profile_id}-1"), noon(), carted("a"))]).await;
        }

        replica.pass(&world, minutes(61)).await;

        let mut reasons: Vec<(String, String, Reason)> = replica
            .all_messages()
            .await
            .into_iter()
            .map(|message| {
                let reason = message.reason();
                assert_eq!(message.gates.last().unwrap().verdict(), Verdict::Refused);
                (message.campaign_id, message.profile_id, reason)
            })
            .filter(|(campaign_id, _, reason)| campaign_id != "paused" || *reason != Reason::CampaignPaused)
            .collect();
        reasons.sort();
        let expected = [
            ("no", Reason::NoConsent),
            ("nowhere", Reason::NoAddress),
            ("silent", Reason::NoConsent),
            ("suppressed", Reason::Suppressed),
        ];
        let expected: Vec<_> = expected.map(|(id, reason)| ("basket".to_owned(), id.to_owned(), reason)).to_vec();
        assert_eq!(reasons, expected, "{}", db.engine());
        assert_eq!(world.sink.count(), 0);
        replica.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cap_is_exact_when_many_messages_fall_due_at_once() {
    for db in databases().await {
        let world = World::new().await;
        let campaigns = (0..8).map(|number| post_purchase(&format!("c{number}"))).collect();
        let replica = shop(&world, db.handle(), campaigns).await;
        let policy = proto::campaign::v1::ContactPolicy { cap_messages: 3, ..no_limits() };
        replica.set_policy(policy).await;
        for person in 0..20 {
            let profile_id = format!("p{person}");
            world.tell(vec![customer(&profile_id), did(&profile_id, &profile_id, noon(), ordered(&profile_id))]).await;
        }

        replica.pass(&world, minutes(61)).await;

        assert_eq!(
            replica.outcomes().await,
            [(State::Sent, Reason::Unspecified, 60), (State::Withheld, Reason::FrequencyCap, 100)],
            "{}",
            db.engine()
        );
        replica.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_in_quiet_hours_waits_for_their_end() {
    let db = sqlite().await;
    let world = World::new().await;
    let replica = shop(&world, db.handle(), vec![abandoned_basket()]).await;
    let mut policy = no_limits();
    (policy.quiet_start_minute, policy.quiet_end_minute) = (13 * 60, 15 * 60);
    replica.set_policy(policy).await;
    world.tell(vec![customer("ann"), did("ann", "e1", noon(), carted("a"))]).await;

    replica.pass(&world, minutes(61)).await;
    let waiting = replica.message().await;
    replica.pass(&world, minutes(118)).await;
    assert_eq!(world.sink.count(), 0);
    replica.pass(&world, minutes(1)).await;

    assert_eq!(waiting.state(), State::Scheduled);
    assert_eq!(waiting.gates.last().unwrap().verdict(), Verdict::Deferred);
    let message = replica.message().await;
    assert_eq!(message.state(), State::Sent);
    assert_eq!(message.gates[0].verdict(), Verdict::Deferred, "that it waited stays in the record");
    assert_eq!(message.send_time, Some(timestamp(noon() + minutes(180))));
    replica.stop().await;
}

/// What is put off takes its place among what falls due later, whether the clock walks or jumps.
#[tokio::test(flavor = "multi_thread")]
async fn a_jump_of_the_clock_changes_no_decision() {
    let mut seen = Vec::new();
    for step in [5, 300] {
        let db = sqlite().await;
        let world = World::new().await;
        let replica = shop(&world, db.handle(), vec![post_purchase("thanks"), abandoned_basket()]).await;
        let policy = proto::campaign::v1::ContactPolicy {
            cap_messages: 1,
            quiet_start_minute: 13 * 60,
            quiet_end_minute: 15 * 60,
            ..no_limits()
        };
        replica.set_policy(policy).await;
        // The order falls due in quiet hours, the basket after them: the order's message comes first all the same.
        world
            .tell(vec![
                customer("ann"),
                did("ann", "e1", noon() + minutes(30), ordered("o1")),
                did("ann", "e2", noon() + minutes(180), carted("a")),
            ])
            .await;
        for _ in 0..300 / step {
            replica.pass(&world, minutes(step)).await;
        }

        let mut messages = replica.all_messages().await;
        messages.sort_by(|one, other| one.campaign_id.cmp(&other.campaign_id));
        let outcomes: Vec<_> = messages.into_iter().map(|m| (m.campaign_id.clone(), m.state(), m.reason())).collect();
        seen.push(outcomes);
        replica.stop().await;
    }

    assert_eq!(seen[0][0].2, Reason::FrequencyCap);
    assert_eq!(seen[0][1].1, State::Sent);
    assert_eq!(seen[0], seen[1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_happened_before_the_campaign_or_too_long_ago_sets_nothing_off() {
    let db = sqlite().await;
    let world = World::new().await;
    let replica = shop(&world, db.handle(), vec![abandoned_basket(), post_purchase("thanks")]).await;
    world
        .tell(vec![
            customer("ann"),
            did("ann", "e1", noon() - minutes(1), carted("a")),
            did("ann", "e2", noon() - minutes(1), ordered("o1")),
        ])
        .await;
    let days = |count: i64| minutes(count * 24 * 60);
    replica.pass(&world, days(5)).await;
    world.tell(vec![did("ann", "e3", noon(), carted("a")), did("ann", "e4", noon(), ordered("o2"))]).await;
    // Told again, and due before now: it was decided for whoever had it then.
    world.tell(vec![restated("ann", "e5", noon() + days(4), ordered("o3"))]).await;
    replica.settled(&world).await;

    assert_eq!(replica.all_messages().await, []);
    replica.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_told_twice_is_thanked_for_once_and_a_cancelled_one_not() {
    let db = sqlite().await;
    let world = World::new().await;
    let replica = shop(&world, db.handle(), vec![post_purchase("thanks")]).await;
    world
        .tell(vec![
            customer("ann"),
            did("ann", "e1", noon(), ordered("o1")),
            did("ann", "e2", noon(), ordered("o1")),
            customer("bob"),
            did("bob", "e3", noon(), ordered("o2")),
            did("bob", "e4", noon() + minutes(10), cancelled("o2")),
        ])
        .await;

    replica.pass(&world, minutes(61)).await;

    assert_eq!(
        replica.outcomes().await,
        [(State::Sent, Reason::Unspecified, 1), (State::Withheld, Reason::GoalReached, 1)]
    );
    replica.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn entering_a_segment_sets_a_message_off_unless_it_is_backfilled_or_left() {
    for db in databases().await {
        let world = World::new().await;
        let replica = shop(&world, db.handle(), vec![segment_entered()]).await;
        world.tell(vec![customer("in"), customer("back"), customer("out")]).await;
        replica.folded(&world).await;
        let later = noon() + minutes(1);
        world
            .score(vec![
                entered("in", later, false),
                entered("back", later, true),
                entered("out", later, false),
                exited("out", later),
            ])
            .await;

        replica.pass(&world, minutes(2)).await;

        let received = world.sink.received();
        assert_eq!(received.iter().map(|mail| mail.to.clone()).collect::<Vec<_>>(), [email("in")], "{}", db.engine());
        assert_eq!(
            replica.outcomes().await,
            [(State::Sent, Reason::Unspecified, 1), (State::Withheld, Reason::GoalReached, 1)]
        );
        replica.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_turns_out_to_have_happened_earlier_falls_due_earlier_and_once() {
    for db in databases().await {
        let world = World::new().await;
        let replica = shop(&world, db.handle(), vec![segment_entered(), post_purchase("thanks")]).await;
        replica.set_policy(no_limits()).await;
        world.tell(vec![customer("ann")]).await;
        let (first, later) = (noon() + minutes(2), noon() + minutes(4));
        // Told by the browser, then by the shop's server, whose time is the earlier.
        world.tell(vec![did("ann", "e1", later, ordered("o1"))]).await;
        world.score(vec![entered("ann", later, false)]).await;
        replica.folded(&world).await;
        world.tell(vec![did("ann", "e2", first, ordered("o1"))]).await;
        world.score(vec![entered_earlier("ann", first, false, Some(later))]).await;

        replica.pass(&world, minutes(200)).await;
        // Once sent, nothing is drawn forward any more.
        world.score(vec![entered_earlier("ann", noon(), false, Some(first))]).await;
        replica.pass(&world, minutes(300)).await;

        let messages = replica.all_messages().await;
        let mut told: Vec<_> =
            messages.iter().map(|message| (message.campaign_id.as_str(), message.trigger_time.unwrap())).collect();
        told.sort_by_key(|(campaign_id, _)| *campaign_id);
        assert_eq!(told, [("thanks", timestamp(first)), ("vip", timestamp(first))], "{}", db.engine());
        assert_eq!(world.sink.count(), 2);
        replica.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn reentry_same_second() {
    let db = sqlite().await;
    let world = World::new().await;
    let replica = shop(&world, db.handle(), vec![segment_entered()]).await;
    world.tell(vec![customer("ann")]).await;
    replica.folded(&world).await;
    let (first, left) = (noon() + minutes(1), noon() + minutes(1) + chrono::Duration::milliseconds(100));
    let again = left + chrono::Duration::milliseconds(100);
    let record = |time| entered("ann", time, false);
    world.score(vec![record(first), record(first), exited("ann", left), record(again), record(again)]).await;

    replica.pass(&world, minutes(2)).await;

    assert_eq!(world.sink.count(), 1);
    assert_eq!(
        replica.outcomes().await,
        [(State::Sent, Reason::Unspecified, 1), (State::Withheld, Reason::MinInterval, 1)]
    );
    replica.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn import_never_unsuppresses() {
    let db = sqlite().await;
    let world = World::new().await;
    let replica = shop(&world, db.handle(), vec![abandoned_basket()]).await;
    let (channel, address) = (Channel::Email.into(), email("ann"));
    let suppress = AddSuppressionRequest { channel, address, cause: "complained".into() };
    replica.suppressions().add_suppression(suppress).await.unwrap();
    // An import says yes, later than everything else, and writes the address in another way.
    let yes = consent("marketing", true, noon() + minutes(1));
    world
        .tell(vec![
            customer("ann"),
            updated("ann", &email("ann").to_uppercase(), vec![yes]),
            did("ann", "e1", noon() + minutes(2), carted("a")),
        ])
        .await;

    replica.pass(&world, minutes(63)).await;

    assert_eq!(replica.message().await.reason(), Reason::Suppressed);
    assert_eq!(world.sink.count(), 0);
    replica.stop().await;
}

use super::*;
use crate::domain::DAY_US;
use crate::domain::state::{EVENTS, ORDERS, Span};

const NOW_US: i64 = 20_000 * DAY_US;

fn segment(segment_id: &str, version: i64, expression: &str) -> Segment {
    let rule = Rule::compile(expression).unwrap();
    Segment { segment_id: segment_id.into(), created_version: version, version, rule }
}

fn rules(segments: Vec<Segment>) -> RuleSet {
    let version = segments.iter().map(|segment| segment.version).max().unwrap_or(0);
    RuleSet { version, segments: segments.into_iter().map(Arc::new).collect() }
}

fn buyer(last_order_us: i64) -> State {
    let mut state = State::new();
    state.stats.order_count = 2;
    state.stats.orders_us = Some(Span { first_us: last_order_us - DAY_US, last_us: last_order_us });
    state
}

fn entered(segment_id: &str, enter_us: i64, backfilled: bool) -> Transition {
    Transition::Entered {
        segment_id: segment_id.into(),
        enter_us,
        how: if backfilled { How::Ruled } else { How::Lived },
    }
}

fn exited(segment_id: &str, exit_us: i64) -> Transition {
    Transition::Exited { segment_id: segment_id.into(), exit_us }
}

fn caught_up(bench: Bench<'_>, state: &mut State, now_us: i64) -> Vec<Transition> {
    let mut transitions = Vec::new();
    bench.catch_up(state, now_us, &mut transitions);
    transitions
}

#[test]
fn a_new_rule_enters_people_backfilled_and_once() {
    let rules = rules(vec![segment("twice", 1, "stats.order_count >= 2")]);
    let cuts = JudgingCuts::default();
    let bench = Bench { rules: &rules, cuts: &cuts };
    let mut state = buyer(NOW_US);

    assert_eq!(caught_up(bench, &mut state, NOW_US), [entered("twice", NOW_US, true)]);
    assert_eq!(caught_up(bench, &mut state, NOW_US + 5), []);
    assert_eq!(state.rules_version, 1);
}

#[test]
fn what_a_person_does_enters_and_leaves_only_by_rules_that_read_it() {
    let rules =
        rules(vec![segment("quiet", 1, "stats.event_count < 1"), segment("twice", 1, "stats.order_count >= 2")]);
    let cuts = JudgingCuts::default();
    let bench = Bench { rules: &rules, cuts: &cuts };
    let mut state = buyer(NOW_US);
    state.rules_version = 1;
    let cause = Cause { at_us: NOW_US - 7, ..Cause::default() };

    let mut transitions = Vec::new();
    bench.judge_changed(&mut state, EVENTS, NOW_US, cause, &mut transitions);
    assert_eq!(transitions, [entered("quiet", NOW_US - 7, false)]);
    state.stats.event_count = 1;
    bench.judge_changed(&mut state, EVENTS | ORDERS, NOW_US, cause, &mut transitions);

    assert_eq!(transitions[1..], [exited("quiet", NOW_US - 7), entered("twice", NOW_US - 7, false)]);
}

#[test]
fn time_alone_enters_and_leaves_at_the_very_instants_however_late_they_are_seen() {
    let rules =
        rules(vec![segment("slipping", 1, "stats.days_since_last_order >= 30 && stats.days_since_last_order < 60")]);
    let cuts = JudgingCuts::default();
    let bench = Bench { rules: &rules, cuts: &cuts };
    let mut state = buyer(NOW_US + 3);
    assert_eq!(caught_up(bench, &mut state, NOW_US + 3), []);

    let transitions = caught_up(bench, &mut state, NOW_US + 300 * DAY_US);

    let thirty = NOW_US + 3 + 30 * DAY_US;
    let sixty = NOW_US + 3 + 60 * DAY_US;
    assert_eq!(transitions, [entered("slipping", thirty, false), exited("slipping", sixty)]);
    assert_eq!(state.due_us, None);
}

#[test]
fn a_long_sleep_ends_with_the_answer_as_of_now() {
    let rules = rules(vec![segment("old", 1, "stats.days_since_last_order * 1 > 5000")]);
    let cuts = JudgingCuts::default();
    let bench = Bench { rules: &rules, cuts: &cuts };
    let mut state = buyer(NOW_US);
    caught_up(bench, &mut state, NOW_US);

    let transitions = caught_up(bench, &mut state, NOW_US + 9_000 * DAY_US);

    assert_eq!(transitions, [entered("old", NOW_US + 9_000 * DAY_US, false)]);
    assert_eq!(state.due_us, Some(NOW_US + 9_001 * DAY_US));
}

#[test]
fn a_segment_deleted_and_made_anew_starts_empty() {
    let cuts = JudgingCuts::default();
    let first = rules(vec![segment("all", 1, "stats.order_count >= 0")]);
    let mut state = buyer(NOW_US);
    caught_up(Bench { rules: &first, cuts: &cuts }, &mut state, NOW_US);
    let again = rules(vec![segment("all", 3, "stats.order_count >= 1")]);

    let transitions = caught_up(Bench { rules: &again, cuts: &cuts }, &mut state, NOW_US + 1);

    assert_eq!(transitions, [entered("all", NOW_US + 1, true)]);
    assert_eq!(state.memberships.len(), 1);
}

#[test]
fn new_cuts_judge_again_by_the_rules_that_read_them() {
    let rules = rules(vec![segment("best", 1, "rfm.segment == 'champions'")]);
    let mut state = buyer(NOW_US);
    let none = JudgingCuts::default();
    assert_eq!(caught_up(Bench { rules: &rules, cuts: &none }, &mut state, NOW_US), []);
    let others = (1..50).map(|days| Buyer { last_order_us: NOW_US - days * DAY_US, order_count: 1, net_micros: 0 });
    let buyers: Vec<Buyer> = others.collect();
    let fresh = JudgingCuts { version: 1, as_of_us: NOW_US, cuts: Cuts::of(&buyers, "EUR") };

    let transitions = caught_up(Bench { rules: &rules, cuts: &fresh }, &mut state, NOW_US);

    assert_eq!(transitions, [entered("best", NOW_US, false)]);
    assert_eq!(state.cuts_version, 1);
}

#[test]
fn who_is_no_more_leaves_every_segment() {
    let rules = rules(vec![segment("a", 1, "stats.order_count > 0"), segment("b", 1, "stats.order_count > 1")]);
    let cuts = JudgingCuts::default();
    let mut state = buyer(NOW_US);
    caught_up(Bench { rules: &rules, cuts: &cuts }, &mut state, NOW_US);

    assert_eq!(state.leave_all(NOW_US + 1), [exited("a", NOW_US + 1), exited("b", NOW_US + 1)]);
    assert!(state.memberships.is_empty());
}

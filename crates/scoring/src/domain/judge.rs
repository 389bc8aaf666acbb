//! Who is in which segment.

use std::sync::Arc;

use super::rfm::{Buyer, Cuts};
use super::rule::{Rule, View};
use super::state::{Inputs, Membership, State};

/// A segment's rule with what tells its versions apart.
#[derive(Debug)]
pub(crate) struct Segment {
    /// Which segment.
    pub(crate) segment_id: String,
    /// Version of the rules at which the segment was created.
    pub(crate) created_version: i64,
    /// Version of the rules at which the rule last changed.
    pub(crate) version: i64,
    /// The rule.
    pub(crate) rule: Rule,
}

/// The segments of a tenant, as of a version.
#[derive(Debug, Default)]
pub(crate) struct RuleSet {
    /// Grows with every change; 0 without segments.
    pub(crate) version: i64,
    /// Segments by id.
    pub(crate) segments: Vec<Arc<Segment>>,
}

/// The RFM cuts by which a tenant's people are judged, as of a version.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct JudgingCuts {
    /// Grows with every refresh; 0 before the first.
    pub(crate) version: i64,
    /// The instant that recency is counted to, in microseconds since the Unix epoch.
    pub(crate) as_of_us: i64,
    /// The cuts.
    pub(crate) cuts: Cuts,
}

/// By what a tenant's people are judged.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bench<'a> {
    /// The rules.
    pub(crate) rules: &'a RuleSet,
    /// The cuts.
    pub(crate) cuts: &'a JudgingCuts,
}

/// Somebody came into a segment or left it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Transition {
    /// Came in.
    Entered {
        /// Which segment.
        segment_id: String,
        /// When, in microseconds since the Unix epoch.
        enter_us: i64,
        /// How it came about.
        how: How,
    },
    /// A stay that was told already turned out to have begun earlier.
    Redated {
        /// Which segment.
        segment_id: String,
        /// When the stay began, in microseconds since the Unix epoch.
        enter_us: i64,
        /// When it was told to have begun, in microseconds since the Unix epoch.
        former_us: i64,
        /// How that came about.
        how: How,
    },
    /// Left.
    Exited {
        /// Which segment.
        segment_id: String,
        /// When, in microseconds since the Unix epoch.
        exit_us: i64,
    },
}

/// How an entry or exit came about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum How {
    /// By what the person did or let pass.
    #[default]
    Lived,
    /// By a new or changed rule.
    Ruled,
    /// By events that became the person's in a merge or split.
    Restated,
}

impl How {
    /// Returns how something came about that was told anew or for the first time.
    pub(crate) fn told(restated: bool) -> Self {
        if restated { Self::Restated } else { Self::Lived }
    }
}

/// Why somebody is judged.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Cause {
    /// When it happened: the time of an entry or exit.
    pub(crate) at_us: i64,
    /// How what it causes comes about.
    pub(crate) how: How,
    /// Whether it tells of an order that was placed before one that is known: then another order may have decided.
    pub(crate) is_late_order: bool,
}

impl Bench<'_> {
    /// Brings one person up to date with rules, cuts and the time that passed, before anything new is folded.
    pub(crate) fn catch_up(&self, state: &mut State, now_us: i64, transitions: &mut Vec<Transition>) {
        // More steps than this are not worth their time: then only the answer as of now counts.
        const MAX_STEPS: usize = 400;

        for _ in 0..MAX_STEPS {
            let Some(due_us) = state.due_us.filter(|due_us| *due_us <= now_us) else {
                break;
            };
            let cause = Cause { at_us: due_us, ..Cause::default() };
            // By the rules of before: what a new rule changes is told as backfilled, below.
            let known_version = state.rules_version;
            let is_known = |segment: &Segment| segment.version <= known_version && !segment.rule.time().is_timeless();
            self.judge(state, due_us, cause, is_known, transitions);
            state.due_us = self.next_due_us(state, due_us);
        }

        if state.rules_version < self.rules.version {
            self.forget_deleted(state);
            let known_version = state.rules_version;
            let cause = Cause { at_us: now_us, how: How::Ruled, ..Cause::default() };
            self.judge(state, now_us, cause, |segment| segment.version > known_version, transitions);
            state.rules_version = self.rules.version;
            state.due_us = self.next_due_us(state, now_us);
        }
        if state.cuts_version < self.cuts.version {
            let cause = Cause { at_us: now_us, ..Cause::default() };
            self.judge(state, now_us, cause, Segment::reads_cuts, transitions);
            state.cuts_version = self.cuts.version;
        }
        if state.due_us.is_some_and(|due_us| due_us <= now_us) {
            let cause = Cause { at_us: now_us, ..Cause::default() };
            self.judge(state, now_us, cause, |segment| !segment.rule.time().is_timeless(), transitions);
            state.due_us = self.next_due_us(state, now_us);
        }
    }

    /// Judges one person again by the rules that read what changed.
    pub(crate) fn judge_changed(
        &self,
        state: &mut State,
        changed: Inputs,
        now_us: i64,
        cause: Cause,
        transitions: &mut Vec<Transition>,
    ) {
        self.judge(state, now_us, cause, |segment| segment.rule.inputs() & changed != 0, transitions);
    }

    /// Returns when time alone may next change a membership of one person.
    pub(crate) fn next_due_us(&self, state: &State, now_us: i64) -> Option<i64> {
        let times = self.rules.segments.iter().map(|segment| segment.rule.time());
        times.filter_map(|time| time.next_change_us(state, now_us)).min()
    }

    /// Returns what the rules see of one person.
    pub(crate) fn view<'a>(&'a self, state: &'a State, now_us: i64) -> View<'a> {
        let currency = self.cuts.cuts.currency.as_str();
        let is_ranked = state.stats.order_count > 0 && self.cuts.cuts.buyer_count > 0;
        let buyer = state.buyer(currency).filter(|_| is_ranked);
        let rfm = buyer.map(|buyer| self.cuts.cuts.at(self.cuts.as_of_us).cell(buyer));
        View { state, now_us, rfm, currency }
    }

    fn judge(
        &self,
        state: &mut State,
        now_us: i64,
        cause: Cause,
        concerned: impl Fn(&Segment) -> bool,
        transitions: &mut Vec<Transition>,
    ) {
        let all = self.rules.segments.iter().map(Arc::as_ref);
        let mut segments = all.filter(|segment| concerned(segment)).peekable();
        if segments.peek().is_none() {
            return;
        }
        let view = self.view(state, now_us);
        let answers: Vec<(&Segment, bool)> = segments.map(|segment| (segment, segment.rule.matches(&view))).collect();
        for (segment, matches) in answers {
            match (state.membership(&segment.segment_id), matches) {
                (None, true) => {
                    let decided_us = cause.is_late_order.then(|| self.entry_us(state, segment, now_us)).flatten();
                    let enter_us = decided_us.unwrap_or(cause.at_us);
                    state.enter(segment, enter_us);
                    let segment_id = segment.segment_id.clone();
                    transitions.push(Transition::Entered { segment_id, enter_us, how: cause.how });
                }
                (Some(place), false) => {
                    state.memberships.remove(place);
                    let segment_id = segment.segment_id.clone();
                    transitions.push(Transition::Exited { segment_id, exit_us: cause.at_us });
                }
                (None, false) | (Some(_), true) => {}
            }
        }
    }

    /// Drops memberships in segments that were deleted since; nobody is told.
    fn forget_deleted(&self, state: &mut State) {
        state.memberships.retain(|membership| {
            self.rules.segments.iter().any(|segment| {
                segment.segment_id == membership.segment_id && segment.created_version == membership.created_version
            })
        });
    }
}

impl Segment {
    /// Whether the rule reads what a refresh of the cuts may change.
    pub(crate) fn reads_cuts(&self) -> bool {
        self.rule.reads_cuts()
    }
}

impl State {
    /// Returns what RFM needs to know of the person; none without orders.
    pub(crate) fn buyer(&self, currency: &str) -> Option<Buyer> {
        let last_order_us = self.stats.orders_us?.last_us;
        Some(Buyer { last_order_us, order_count: self.stats.order_count, net_micros: self.stats.net_micros(currency) })
    }

    /// Leaves every segment, as somebody does who is no more; returns the exits.
    pub(crate) fn leave_all(&mut self, exit_us: i64) -> Vec<Transition> {
        let exit = |membership: Membership| Transition::Exited { segment_id: membership.segment_id, exit_us };
        std::mem::take(&mut self.memberships).into_iter().map(exit).collect()
    }

    fn enter(&mut self, segment: &Segment, enter_us: i64) {
        let membership =
            Membership { segment_id: segment.segment_id.clone(), created_version: segment.created_version, enter_us };
        let place = self.memberships.partition_point(|known| known.segment_id < membership.segment_id);
        self.memberships.insert(place, membership);
    }
}

#[cfg(test)]
#[path = "judge_tests.rs"]
mod tests;

//! When time alone may change the answer of a rule.

use crate::domain::state::{Span, State};
use crate::domain::{DAY_US, next_midnight};

/// Instants whose age in days a rule can read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Base {
    /// `stats.days_since_first_order`
    FirstOrder,
    /// `stats.days_since_last_order`
    LastOrder,
    /// `stats.days_since_first_event`
    FirstEvent,
    /// `stats.days_since_last_event`
    LastEvent,
}

/// Every base, in the order of their slots in [`TimeUse`].
pub(crate) const BASES: [Base; 4] = [Base::FirstOrder, Base::LastOrder, Base::FirstEvent, Base::LastEvent];

impl Base {
    /// Returns the name of the variable below `stats`.
    pub(crate) fn variable(self) -> &'static str {
        match self {
            Self::FirstOrder => "days_since_first_order",
            Self::LastOrder => "days_since_last_order",
            Self::FirstEvent => "days_since_first_event",
            Self::LastEvent => "days_since_last_event",
        }
    }

    /// Returns the base that a variable below `stats` counts from.
    pub(crate) fn of_variable(name: &str) -> Option<Self> {
        BASES.into_iter().find(|base| base.variable() == name)
    }

    /// Returns the instant for one person, in microseconds since the Unix epoch; none when it never happened.
    pub(crate) fn instant_us(self, state: &State) -> Option<i64> {
        let first = |span: Option<Span>| span.map(|span| span.first_us);
        let last = |span: Option<Span>| span.map(|span| span.last_us);
        match self {
            Self::FirstOrder => first(state.stats.orders_us),
            Self::LastOrder => last(state.stats.orders_us),
            Self::FirstEvent => first(state.stats.events_us),
            Self::LastEvent => last(state.stats.events_us),
        }
    }
}

/// How a rule uses time.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct TimeUse {
    ages: [Age; 4],
    /// Whether it reads `now`: judged again every midnight (UTC).
    pub(crate) daily: bool,
}

/// How a rule uses the age of one base.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Age {
    /// Days at which its answer may change, ascending, when the age is only ever compared with numbers.
    days: Vec<i64>,
    /// Whether the age is used in another way: each new day may change the answer.
    every_day: bool,
}

impl TimeUse {
    /// Notes that the age of `base` is compared with `number`.
    pub(crate) fn compared(&mut self, base: Base, number: f64) {
        // Beyond a thousand years nothing will change.
        const FAR_DAYS: f64 = 366_000.0;
        if !number.is_finite() || number.abs() > FAR_DAYS {
            return;
        }
        let age = &mut self.ages[base as usize];
        let whole = number.floor() as i64;
        // `age > n` turns at n + 1, `age >= n` at n.
        age.days.extend([whole, whole + 1]);
        age.days.sort_unstable();
        age.days.dedup();
    }

    /// Notes that the age of `base` is used in another way.
    pub(crate) fn used(&mut self, base: Base) {
        self.ages[base as usize].every_day = true;
    }

    /// Whether time alone can ever change the answer.
    pub(crate) fn is_timeless(&self) -> bool {
        !self.daily && self.ages.iter().all(|age| age.days.is_empty() && !age.every_day)
    }

    /// Returns the first instant after `now_us` at which time alone may change the answer for one person.
    pub(crate) fn next_change_us(&self, state: &State, now_us: i64) -> Option<i64> {
        let ages = BASES.into_iter().zip(&self.ages);
        let of_ages = ages.filter_map(|(base, age)| age.next_change_us(base.instant_us(state)?, now_us));
        of_ages.chain(self.daily.then(|| next_midnight(now_us))).min()
    }
}

impl Age {
    fn next_change_us(&self, instant_us: i64, now_us: i64) -> Option<i64> {
        let turn_us = |days: i64| days.checked_mul(DAY_US)?.checked_add(instant_us);
        if self.every_day {
            let today = now_us.checked_sub(instant_us)?.div_euclid(DAY_US);
            return turn_us(today + 1);
        }
        self.days.iter().filter_map(|days| turn_us(*days)).find(|turn_us| *turn_us > now_us)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bought_at(order_us: i64) -> State {
        let mut state = State::new();
        state.stats.orders_us = Some(Span { first_us: order_us, last_us: order_us });
        state
    }

    #[test]
    fn a_comparison_turns_when_the_age_reaches_the_number_or_passes_it() {
        let mut time = TimeUse::default();
        time.compared(Base::LastOrder, 60.0);
        let state = bought_at(5);

        assert_eq!(time.next_change_us(&state, 10), Some(60 * DAY_US + 5));
        assert_eq!(time.next_change_us(&state, 60 * DAY_US + 5), Some(61 * DAY_US + 5));
        assert_eq!(time.next_change_us(&state, 61 * DAY_US + 5), None);
        assert_eq!(time.next_change_us(&State::new(), 10), None);
    }

    #[test]
    fn another_use_turns_with_each_new_day_of_age() {
        let mut time = TimeUse::default();
        time.used(Base::LastOrder);

        assert_eq!(time.next_change_us(&bought_at(5), 3 * DAY_US), Some(3 * DAY_US + 5));
        assert_eq!(time.next_change_us(&bought_at(5), 3 * DAY_US + 5), Some(4 * DAY_US + 5));
    }

    #[test]
    fn absurd_numbers_never_turn() {
        let mut time = TimeUse::default();
        for number in [f64::NAN, f64::INFINITY, 1e300, -1e300] {
            time.compared(Base::LastOrder, number);
        }

        assert!(time.is_timeless());
    }
}

//! How popular a product was, day by day.

/// Days that are kept before the newest day of a product, inclusive.
pub(crate) const KEPT_DAYS: i32 = 400;

/// Half-lives of popularity, in days: what is hot now, and what sells steadily.
pub(crate) const HALF_LIVES: [f64; 2] = [3.0, 30.0];

/// What people did with a product on one UTC day of event time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct DayCounts {
    /// Days since the Unix epoch.
    pub(crate) day: i32,
    /// Views of its page.
    pub(crate) views: u32,
    /// Times it was put into a basket.
    pub(crate) carts: u32,
    /// Orders that contain it.
    pub(crate) purchases: u32,
}

impl DayCounts {
    fn weight(&self) -> f64 {
        f64::from(self.views) + 3.0 * f64::from(self.carts) + 8.0 * f64::from(self.purchases)
    }

    fn is_zero(&self) -> bool {
        self.views == 0 && self.carts == 0 && self.purchases == 0
    }
}

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tally {
    /// A view.
    View,
    /// An addition to a basket.
    Cart,
    /// An order.
    Purchase,
}

/// Counts by day, ascending, without empty days. Sums only, so the order of counting does not matter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct History(Vec<DayCounts>);

/// A decayed sum at every half-life as binary logarithm of its value at day 0, so that values of different days compare.
pub(crate) type Heat = [f64; 2];

impl History {
    pub(crate) fn from_days(days: Vec<DayCounts>) -> Self {
        Self(days)
    }

    pub(crate) fn days(&self) -> &[DayCounts] {
        &self.0
    }

    /// Returns the newest day with a count.
    pub(crate) fn newest(&self) -> Option<i32> {
        self.0.last().map(|counts| counts.day)
    }

    /// Counts one more. A day too old to be kept is left out.
    pub(crate) fn count(&mut self, day: i32, tally: Tally) {
        if self.newest().is_some_and(|newest| day <= newest.saturating_sub(KEPT_DAYS)) {
            return;
        }
        let position = match self.0.binary_search_by_key(&day, |counts| counts.day) {
            Ok(position) => position,
            Err(position) => {
                self.0.insert(position, DayCounts { day, views: 0, carts: 0, purchases: 0 });
                position
            }
        };
        let count = field(&mut self.0[position], tally);
        *count = count.saturating_add(1);
        self.forget_old_days();
    }

    /// Takes one count back; one that is no longer kept is gone already.
    pub(crate) fn uncount(&mut self, day: i32, tally: Tally) {
        let Ok(position) = self.0.binary_search_by_key(&day, |counts| counts.day) else { return };
        let count = field(&mut self.0[position], tally);
        *count = count.saturating_sub(1);
        if self.0[position].is_zero() {
            self.0.remove(position);
        }
    }

    /// Returns purchases and views of the days in `(as_of - days, as_of]`.
    pub(crate) fn recent(&self, as_of: i32, days: i32) -> (u64, u64) {
        let mut purchases = 0;
        let mut views = 0;
        for counts in self.0.iter().filter(|counts| counts.day <= as_of && counts.day > as_of.saturating_sub(days)) {
            purchases += u64::from(counts.purchases);
            views += u64::from(counts.views);
        }
        (purchases, views)
    }

    /// Returns the heat of the days up to `as_of`; minus infinity when there are none.
    pub(crate) fn heat(&self, as_of: i32) -> Heat {
        HALF_LIVES.map(|half_life| {
            let mut sum = 0.0;
            let mut at = 0;
            for counts in self.0.iter().take_while(|counts| counts.day <= as_of) {
                let gap = f64::from(counts.day.saturating_sub(at));
                sum = if sum == 0.0 { 0.0 } else { sum * (-gap / half_life).exp2() };
                sum += counts.weight();
                at = counts.day;
            }
            f64::from(at) / half_life + sum.log2()
        })
    }

    fn forget_old_days(&mut self) {
        let Some(newest) = self.newest() else { return };
        let oldest_kept = newest.saturating_sub(KEPT_DAYS);
        let forgotten = self.0.partition_point(|counts| counts.day <= oldest_kept);
        self.0.drain(..forgotten);
    }
}

/// Returns popularity at the day `as_of`: weighted actions a day, the mean of both half-lives.
pub(crate) fn popularity(heat: Heat, as_of: i32) -> f64 {
    let mut sum = 0.0;
    for (logarithm, half_life) in heat.into_iter().zip(HALF_LIVES) {
        let decayed = (logarithm - f64::from(as_of) / half_life).exp2();
        sum += 0.5 * decayed * std::f64::consts::LN_2 / half_life;
    }
    sum
}

fn field(counts: &mut DayCounts, tally: Tally) -> &mut u32 {
    match tally {
        Tally::View => &mut counts.views,
        Tally::Cart => &mut counts.carts,
        Tally::Purchase => &mut counts.purchases,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(days: &[(i32, u32)]) -> History {
        let mut history = History::default();
        for &(day, purchases) in days {
            for _ in 0..purchases {
                history.count(day, Tally::Purchase);
            }
        }
        history
    }

    #[test]
    fn popularity_halves_with_age_and_never_looks_ahead() {
        let history = of(&[(20_000, 4), (20_100, 50)]);

        let then = popularity(history.heat(20_000), 20_000);
        let three_days_on = popularity(history.heat(20_003), 20_003);
        let long_after = popularity(history.heat(20_400), 20_400);

        assert!(then > three_days_on && three_days_on > then / 2.0);
        assert!(popularity(history.heat(20_100), 20_100) > then && long_after > 0.0);
        assert_eq!(popularity(history.heat(19_999), 19_999), 0.0);
    }

    #[test]
    fn the_heat_of_a_day_gives_the_popularity_of_any_later_day() {
        let history = of(&[(19_990, 2), (20_000, 1)]);

        let early = popularity(history.heat(20_000), 20_050);
        let late = popularity(history.heat(20_050), 20_050);

        assert!((early - late).abs() < 1e-12);
    }

    #[test]
    fn only_the_newest_days_are_kept_whatever_the_order() {
        let forward = of(&[(1, 1), (2, 1), (401, 1), (402, 2)]);
        let backward = of(&[(402, 2), (401, 1), (2, 1), (1, 1)]);

        assert_eq!(forward, backward);
        assert_eq!(forward.days().len(), 2);
        assert_eq!(forward.recent(402, 30), (3, 0));
        assert_eq!(forward.recent(401, 30), (1, 0));
    }

    #[test]
    fn a_count_taken_back_leaves_nothing() {
        let mut history = of(&[(7, 1)]);

        history.uncount(7, Tally::Purchase);
        history.uncount(8, Tally::View);

        assert_eq!(history, History::default());
    }
}

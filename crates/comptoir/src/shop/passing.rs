//! How time passes while a world is lived through.

use chrono::{DateTime, Days, NaiveTime, Utc};
use kit::Error;
use simulator::{Day, Delivery, World};

use super::Stage;

/// How time passes on a stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// In jumps of a day: all that fell due is met at its end. Quick; but what is told late finds decided what it would have
    /// changed, and of two services with something due on the same day either may come first.
    Daily,
    /// In order: nothing is decided of an instant before everything that happened up to then was told, and what falls due is
    /// met one instant after the other, in whichever service it is. So two runs decide alike.
    InOrder,
}

/// How long time goes on in order after the end of a world, so that what its last hours set off is decided too.
const AFTERMATH: Days = Days::new(1);

/// The passing of time in a world.
pub struct Passing {
    /// By day, up to when everything was told at its end; empty at the daily pace.
    told_until: Vec<DateTime<Utc>>,
}

impl Passing {
    /// Returns how time passes in a world at a pace.
    pub fn of(world: &World, pace: Pace) -> Self {
        let told_until = match pace {
            Pace::Daily => Vec::new(),
            Pace::InOrder => told_until(world),
        };
        Self { told_until }
    }

    /// Ends a day, of which all that arrived was posted: lets happen what is to be decided by now.
    pub async fn end_day(&self, stage: &impl Stage, number: usize, day: &Day) -> Result<(), Error> {
        let midnight = end_of(day);
        stage.set_intake(midnight);
        stage.settle().await?;
        match self.told_until.get(number) {
            None => {
                stage.set_timers(midnight);
                stage.settle().await
            }
            Some(until) => pass(stage, *until).await,
        }
    }

    /// Ends the world: nothing more is told. In order, time goes on for another day.
    pub async fn end(&self, stage: &impl Stage, world: &World) -> Result<(), Error> {
        if self.told_until.is_empty() {
            return Ok(());
        }
        let until = world.config().end() + AFTERMATH;
        stage.set_intake(until);
        pass(stage, until).await
    }
}

/// Returns the midnight at which a day ends.
pub fn end_of(day: &Day) -> DateTime<Utc> {
    (day.date + Days::new(1)).and_time(NaiveTime::MIN).and_utc()
}

/// Lets time pass until `until`, from one timer to the next, in whichever service it is due.
async fn pass(stage: &impl Stage, until: DateTime<Utc>) -> Result<(), Error> {
    while let Some(due) = stage.next_due().await?.filter(|due| *due < until) {
        stage.set_timers(due);
        stage.settle().await?;
    }
    stage.set_timers(until);
    stage.settle().await
}

/// Returns, for each day of a world, the last midnight before which nothing happened that is told later.
fn told_until(world: &World) -> Vec<DateTime<Utc>> {
    let days: Vec<(DateTime<Utc>, Option<DateTime<Utc>>)> =
        world.days().map(|day| (end_of(&day), day.deliveries.iter().filter_map(earliest).min())).collect();
    let mut untold: Option<DateTime<Utc>> = None;
    let mut told = Vec::with_capacity(days.len());
    for (midnight, earliest) in days.into_iter().rev() {
        let until = untold.map_or(midnight, |untold| untold.min(midnight));
        told.push(until.date_naive().and_time(NaiveTime::MIN).and_utc());
        untold = untold.into_iter().chain(earliest).min();
    }
    told.reverse();
    told
}

/// Returns when the first event of a delivery happened.
fn earliest(delivery: &Delivery) -> Option<DateTime<Utc>> {
    let events = delivery.body["batch"].as_array()?.iter();
    events.filter_map(|event| event["timestamp"].as_str()?.parse().ok()).min()
}

#[cfg(test)]
mod tests {
    use simulator::{Noise, WorldConfig};

    use super::*;

    fn world(noise: Noise) -> World {
        World::new(WorldConfig { people: 60, days: 12, noise, ..WorldConfig::default() })
    }

    #[test]
    fn nothing_that_is_told_later_happened_before_what_may_be_decided() {
        let world = world(Noise { late: 0.2, ..Noise::default() });
        let told = told_until(&world);

        let days: Vec<Day> = world.days().collect();
        assert_eq!(told.len(), days.len());
        assert!(told.is_sorted());
        for (number, until) in told.iter().enumerate() {
            assert!(*until <= end_of(&days[number]));
            let later = days[number + 1..].iter().flat_map(|day| &day.deliveries);
            assert!(later.filter_map(earliest).all(|time| time >= *until), "by the end of day {number}");
        }
        assert_eq!(told.last(), days.last().map(end_of).as_ref());
    }

    #[test]
    fn without_delays_a_day_may_be_decided_at_its_end_but_for_visits_around_midnight() {
        let world = world(Noise { late: 0.0, duplicate: 0.0, ..Noise::default() });

        let told = told_until(&world);

        let held_back = world.days().zip(&told).filter(|(day, until)| **until < end_of(day) - Days::new(1)).count();
        assert_eq!(held_back, 0, "{told:?}");
    }
}

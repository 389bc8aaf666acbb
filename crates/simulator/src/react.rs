//! How people answer to messages.

use chrono::{DateTime, Duration, Timelike, Utc};
use serde::Serialize;

use crate::dice::Dice;
use crate::person::Responsiveness;
use crate::world::World;

/// What somebody does with one message. Times are counted from its arrival; a click follows an opening.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Reaction {
    /// When it is opened, if it is.
    pub opens: Option<Duration>,
    /// When a link in it is followed, if one is.
    pub clicks: Option<Duration>,
    /// True when the person asks to be left alone.
    pub unsubscribes: bool,
}

impl World {
    /// What `who` (a true person id, user id or clean e-mail address) does with a message that arrives at `time`, having
    /// got `recent` others in the seven days before. `message` names the message: the same question gives the same
    /// answer. Somebody unknown does nothing.
    ///
    /// Messages are opened more often when they arrive shortly before the person's best hour, and less the more of them
    /// there were; beyond the person's patience each one may be the last.
    pub fn react(&self, who: &str, time: DateTime<Utc>, message: &str, recent: u32) -> Reaction {
        let Some(person) = self.person(who) else {
            return Reaction::default();
        };
        let purpose = format!("react {} {message}", person.person_id);
        let mut dice = Dice::new(self.config().seed, &purpose, time.timestamp_micros() as u64);
        answer(&mut dice, &person.responsiveness, time, recent)
    }
}

fn answer(dice: &mut Dice, person: &Responsiveness, time: DateTime<Utc>, recent: u32) -> Reaction {
    let hours_to_best = (person.best_hour + 24 - time.hour()) % 24;
    let timing = 1.0 - 0.5 * f64::from(hours_to_best) / 23.0;
    let weariness = 1.0 / (1.0 + f64::from(recent) / person.patience);
    let excess = (f64::from(recent) - person.patience).max(0.0);
    let unsubscribes = dice.chance(0.002 + 0.02 * excess.min(10.0));
    let opens = dice.chance(person.open * timing * weariness).then(|| {
        let wait_minutes = dice.wait(1.0 / (20.0 + 45.0 * f64::from(hours_to_best))).min(5_000.0);
        Duration::seconds(30 + (wait_minutes * 60.0) as i64)
    });
    let clicks =
        opens.filter(|_| dice.chance(person.click)).map(|opened| opened + Duration::seconds(dice.between(4, 240)));
    Reaction { opens, clicks, unsubscribes }
}

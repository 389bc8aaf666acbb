//! A simulated shop on a running platform: set up as a merchant would, then lived through day by day.

mod live;
mod mail;
mod passing;
mod setup;

pub use live::{Lived, Stage, live};
pub use mail::{Links, links};
pub use passing::{Pace, Passing, end_of};
pub use setup::{Shop, set_up};

use crate::platform::{Platform, next_due_us};
use chrono::{DateTime, Utc};
use kit::Error;

impl Stage for Platform {
    fn set_intake(&self, time: DateTime<Utc>) {
        self.clocks().intake.set(time);
    }

    fn set_timers(&self, time: DateTime<Utc>) {
        self.clocks().timers.set(time);
    }

    async fn settle(&self) -> Result<(), Error> {
        self.settled().await
    }

    async fn next_due(&self) -> Result<Option<DateTime<Utc>>, Error> {
        let next_us = next_due_us(self.databases()).await?;
        Ok(next_us.and_then(DateTime::from_timestamp_micros))
    }
}

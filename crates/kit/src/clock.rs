use std::{
    fmt,
    path::{Path, PathBuf},
    sync::{Arc, Weak},
    time::Duration,
};

use chrono::{DateTime, Utc};
use tokio::sync::watch;

use crate::Error;

/// How often a file clock reads its file.
const FILE_POLL: Duration = Duration::from_millis(10);

/// The one source of "now", in microseconds. Cloning shares the clock.
///
/// Timers and `received_time` come from here and never from the wall clock, so that tests and demonstrations can run a year in
/// seconds. Deadlines of calls and lifetimes of credentials are about the real world and stay on real time.
#[derive(Clone)]
pub struct Clock(Source);

#[derive(Clone)]
enum Source {
    System,
    Virtual(Arc<Virtual>),
}

/// A time that somebody else moves: a test, or the writer of a file.
struct Virtual {
    now_us: watch::Sender<i64>,
    /// Where somebody else writes the time.
    file: Option<PathBuf>,
}

impl Clock {
    /// Returns the wall clock.
    pub fn system() -> Self {
        Self(Source::System)
    }

    /// Returns a clock that stands at `start` until [`set`](Self::set) or [`advance`](Self::advance) moves it.
    pub fn manual(start: DateTime<Utc>) -> Self {
        Self(Source::Virtual(Arc::new(Virtual::at(start.timestamp_micros(), None))))
    }

    /// Returns a clock that shows the time written in `path`: RFC 3339, or microseconds since the Unix epoch.
    ///
    /// Separate processes share a virtual time this way. Whoever asks for the time is told what the file says at that moment, so
    /// that a request sent after a change of the file never meets the time before it; sleepers look every 10 ms. What does not
    /// parse is skipped (a half-written file), and the clock never goes back. Fails when the file cannot be read or parsed at
    /// the start.
    pub fn file(path: impl Into<PathBuf>) -> Result<Self, Error> {
        let path = path.into();
        let start_us = read_time_file(&path).map_err(|problem| {
            Error::invalid("CLOCK_FILE_UNREADABLE", format!("clock file {}: {problem}", path.display()))
        })?;
        let clock = Arc::new(Virtual::at(start_us, Some(path)));

        let follower = Arc::downgrade(&clock);
        std::thread::Builder::new()
            .name("file-clock".into())
            .spawn(move || follow_file(&follower))
            .map_err(Error::internal)?;

        Ok(Self(Source::Virtual(clock)))
    }

    /// Returns the current time, cut to microseconds.
    pub fn now(&self) -> DateTime<Utc> {
        DateTime::from_timestamp_micros(self.now_us()).expect("a clock only holds times that chrono can show")
    }

    /// Returns the current time in microseconds since the Unix epoch.
    pub fn now_us(&self) -> i64 {
        match &self.0 {
            Source::System => Utc::now().timestamp_micros(),
            Source::Virtual(clock) => {
                clock.look();
                *clock.now_us.borrow()
            }
        }
    }

    /// Moves a manual clock to `time`. A clock never goes back: an earlier time changes nothing.
    ///
    /// # Panics
    /// On the system clock, which nobody can move.
    pub fn set(&self, time: DateTime<Utc>) {
        self.movable().move_to(time.timestamp_micros());
    }

    /// Moves a manual clock forward by `step`.
    ///
    /// # Panics
    /// On the system clock, which nobody can move.
    pub fn advance(&self, step: Duration) {
        let step_us = micros(step);
        self.movable().now_us.send_modify(|now_us| *now_us = now_us.saturating_add(step_us));
    }

    /// Waits until this clock has passed `duration` from now. On a virtual clock that is when somebody moves it far enough.
    pub async fn sleep(&self, duration: Duration) {
        match &self.0 {
            Source::System => tokio::time::sleep(duration).await,
            Source::Virtual(_) => {
                let due_us = self.now_us().saturating_add(micros(duration));
                self.sleep_until_us(due_us).await;
            }
        }
    }

    /// Waits until this clock shows `due_us` (microseconds since the Unix epoch) or later.
    pub async fn sleep_until_us(&self, due_us: i64) {
        match &self.0 {
            Source::System => {
                let left_us = u64::try_from(due_us.saturating_sub(self.now_us())).unwrap_or(0);
                tokio::time::sleep(Duration::from_micros(left_us)).await;
            }
            Source::Virtual(clock) => {
                let mut moves = clock.now_us.subscribe();
                moves.wait_for(|now_us| *now_us >= due_us).await.expect("the sender lives as long as this clock");
            }
        }
    }

    /// Tells whether somebody other than the world moves this clock.
    pub fn is_virtual(&self) -> bool {
        matches!(self.0, Source::Virtual(_))
    }

    fn movable(&self) -> &Virtual {
        match &self.0 {
            Source::Virtual(clock) => clock,
            Source::System => {
                panic!("the system clock cannot be moved; build the service with Clock::manual")
            }
        }
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if self.is_virtual() { "virtual" } else { "system" };
        write!(formatter, "Clock({kind} {})", self.now().to_rfc3339())
    }
}

impl Virtual {
    fn at(now_us: i64, file: Option<PathBuf>) -> Self {
        Self { now_us: watch::Sender::new(now_us), file }
    }

    /// Moves to the time in the file, if there is one.
    fn look(&self) {
        if let Some(time_us) = self.file.as_deref().and_then(|path| read_time_file(path).ok()) {
            self.move_to(time_us);
        }
    }

    fn move_to(&self, time_us: i64) {
        self.now_us.send_if_modified(|now_us| {
            let moves = time_us > *now_us;
            if moves {
                *now_us = time_us;
            }
            moves
        });
    }
}

/// Runs on a thread of its own until the last clone of the clock is gone.
fn follow_file(clock: &Weak<Virtual>) {
    loop {
        std::thread::sleep(FILE_POLL);
        let Some(clock) = clock.upgrade() else { return };
        clock.look();
    }
}

fn read_time_file(path: &Path) -> Result<i64, String> {
    let text = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
    let text = text.trim();
    if let Ok(time_us) = text.parse::<i64>() {
        return DateTime::from_timestamp_micros(time_us)
            .map(|_| time_us)
            .ok_or_else(|| "the number of microseconds is out of range".to_owned());
    }
    DateTime::parse_from_rfc3339(text)
        .map(|time| time.timestamp_micros())
        .map_err(|_| "neither RFC 3339 nor microseconds".to_owned())
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    fn noon() -> DateTime<Utc> {
        "2025-06-01T12:00:00Z".parse().unwrap()
    }

    #[test]
    fn a_manual_clock_moves_only_forward() {
        let clock = Clock::manual(noon());

        clock.advance(Duration::from_secs(60));
        clock.set(noon());

        assert_eq!(clock.now(), noon() + chrono::Duration::minutes(1));
    }

    #[tokio::test]
    async fn a_sleeper_wakes_when_the_manual_clock_passes_its_time() {
        let clock = Clock::manual(noon());
        let sleeper = clock.clone();
        let mut sleep = Box::pin(sleeper.sleep(Duration::from_secs(3600)));
        assert!(sleep.as_mut().now_or_never().is_none());

        clock.advance(Duration::from_secs(3599));
        assert!(sleep.as_mut().now_or_never().is_none());
        clock.advance(Duration::from_secs(1));

        sleep.await;
    }

    #[tokio::test]
    async fn a_file_clock_follows_its_file_and_skips_nonsense() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("now");
        std::fs::write(&path, "2025-06-01T12:00:00Z\n").unwrap();
        let clock = Clock::file(&path).unwrap();
        assert_eq!(clock.now(), noon());

        std::fs::write(&path, "half a da").unwrap();
        std::fs::write(&path, (noon().timestamp_micros() + 5_000_000).to_string()).unwrap();
        assert_eq!(clock.now(), noon() + chrono::Duration::seconds(5), "told at once");

        std::fs::write(&path, (noon().timestamp_micros() + 9_000_000).to_string()).unwrap();
        clock.sleep_until_us(noon().timestamp_micros() + 9_000_000).await;
        assert!(Clock::file(folder.path().join("absent")).is_err());
    }
}

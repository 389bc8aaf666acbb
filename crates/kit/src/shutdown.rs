//! Background tasks and the orderly end of a process.

use std::{
    borrow::Cow,
    error::Error as StdError,
    future::Future,
    panic::AssertUnwindSafe,
    sync::{Arc, OnceLock},
    time::Duration,
};

use futures::FutureExt;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::status::chain;

/// The life of a process: who is told to stop, who is waited for, and whether it ends well. Cloning shares it.
///
/// A background task that fails or panics takes the whole process down with a failing exit: a service that only seems to live is
/// worse than one that is restarted.
#[derive(Clone, Debug, Default)]
pub struct Shutdown {
    /// Cancelled when the process should stop.
    pub token: CancellationToken,
    /// Every background task, to be waited for.
    pub tracker: TaskTracker,
    failure: Arc<OnceLock<String>>,
}

/// What a background task may end with.
pub trait TaskOutcome {
    /// Returns why the task failed, if it did.
    fn failure(self) -> Option<String>;
}

impl TaskOutcome for () {
    fn failure(self) -> Option<String> {
        None
    }
}

impl<E: Into<Box<dyn StdError + Send + Sync>>> TaskOutcome for Result<(), E> {
    fn failure(self) -> Option<String> {
        self.err().map(|error| chain(error.into().as_ref()))
    }
}

impl Shutdown {
    /// Returns a life that has just begun.
    pub fn new() -> Self {
        Self::default()
    }

    /// Runs `task` in the background under `name`. When it fails or panics before shutdown, shutdown begins and the process fails.
    pub fn spawn<F>(&self, name: impl Into<Cow<'static, str>>, task: F)
    where
        F: Future + Send + 'static,
        F::Output: TaskOutcome + Send,
    {
        let name = name.into();
        let life = self.clone();
        self.tracker.spawn(async move {
            let failure = match AssertUnwindSafe(task).catch_unwind().await {
                Ok(outcome) => outcome.failure(),
                Err(panic) => Some(panic_message(panic.as_ref())),
            };
            let Some(failure) = failure else { return };
            if life.token.is_cancelled() {
                tracing::warn!(task.name = %name, error.cause = %failure, "task {name} failed while stopping");
                return;
            }
            life.fail(format!("task {name}: {failure}"));
        });
    }

    /// Begins shutdown because of `failure`; the process will exit with a failure.
    pub fn fail(&self, failure: impl Into<String>) {
        let failure = failure.into();
        tracing::error!(error.cause = %failure, "stopping the process: {failure}");
        let _ = self.failure.set(failure);
        self.token.cancel();
    }

    /// Begins shutdown.
    pub fn begin(&self) {
        self.token.cancel();
    }

    /// Waits until shutdown begins.
    pub async fn cancelled(&self) {
        self.token.cancelled().await;
    }

    /// Tells whether shutdown has begun.
    pub fn is_cancelled(&self) -> bool {
        self.token.is_cancelled()
    }

    /// Returns why the process failed, if it did.
    pub fn failure(&self) -> Option<&str> {
        self.failure.get().map(String::as_str)
    }

    /// Begins shutdown and waits for every task, at most for `timeout`. Returns whether all ended in time.
    pub async fn drain(&self, timeout: Duration) -> bool {
        self.begin();
        self.tracker.close();
        tokio::time::timeout(timeout, self.tracker.wait()).await.is_ok()
    }
}

/// Returns the text of a caught panic.
pub(crate) fn panic_message(panic: &(dyn std::any::Any + Send)) -> String {
    let text =
        panic.downcast_ref::<&'static str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    format!("panicked: {}", text.unwrap_or("without a message"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_failing_task_stops_the_process() {
        let shutdown = Shutdown::new();

        shutdown.spawn("follower", async { Err::<(), _>("the disk is gone") });
        shutdown.cancelled().await;

        assert_eq!(shutdown.failure(), Some("task follower: the disk is gone"));
    }

    #[tokio::test]
    async fn a_panicking_task_stops_the_process() {
        let shutdown = Shutdown::new();

        shutdown.spawn("follower", async { assert!(std::hint::black_box(false), "boom") });
        shutdown.cancelled().await;

        assert_eq!(shutdown.failure(), Some("task follower: panicked: boom"));
    }

    #[tokio::test]
    async fn draining_waits_for_tasks_and_gives_up_on_the_stubborn() {
        let shutdown = Shutdown::new();
        let token = shutdown.token.clone();
        shutdown.spawn("polite", async move { token.cancelled().await });
        assert!(shutdown.drain(Duration::from_secs(5)).await);
        assert_eq!(shutdown.failure(), None);

        let stubborn = Shutdown::new();
        stubborn.spawn("stubborn", std::future::pending::<()>());
        assert!(!stubborn.drain(Duration::from_millis(1)).await);
    }
}

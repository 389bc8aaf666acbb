//! Learning of what other replicas appended, and of lags.

use std::sync::{Arc, Weak};
use std::time::Duration;

use store::Error;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::log::Inner;
use crate::store::{followers, partitions};

/// Shortest and longest pause between two looks at the ends of partitions.
const SHORTEST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_millis(250);
/// A look may take at most a twentieth of the time.
const PAUSE_PER_LOOK: u32 = 20;
/// How often the lag metric is brought up to date.
const LAG_PERIOD: Duration = Duration::from_secs(2);

/// Looks at the ends of partitions until the log is gone or `ending` is cancelled.
///
/// Appends of this process wake their streams by themselves; this is for those of other replicas. The pause doubles
/// while nothing happens and is short again after news.
pub(crate) async fn watch(log: Weak<Inner>, ending: CancellationToken) {
    let mut pause = SHORTEST_PAUSE;
    let mut lag_due = Instant::now();
    loop {
        if ending.is_cancelled() {
            return;
        }
        let look_began = Instant::now();
        let Some(inner) = log.upgrade() else { return };
        let has_news = match refresh(&inner, &mut lag_due).await {
            Ok(has_news) => has_news,
            Err(error) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    log.name = inner.name,
                    "cannot look at the log"
                );
                false
            }
        };
        let heads = Arc::clone(&inner.heads);
        drop(inner);

        pause = if has_news { SHORTEST_PAUSE } else { (pause * 2).min(LONGEST_PAUSE) };
        let pause_for_cost = (look_began.elapsed() * PAUSE_PER_LOOK).min(Duration::from_secs(5));
        tokio::select! {
            () = tokio::time::sleep(pause.max(pause_for_cost)) => {}
            () = moved_here(&heads, &mut pause) => {}
            () = ending.cancelled() => return,
        }
    }
}

/// Never ends: notes that this replica has work, so that the next pause is short.
async fn moved_here(heads: &crate::heads::Heads, pause: &mut Duration) {
    loop {
        heads.any_moved().await;
        *pause = SHORTEST_PAUSE;
    }
}

async fn refresh(log: &Inner, lag_due: &mut Instant) -> Result<bool, Error> {
    let mut has_news = false;
    for (partition, end) in partitions::list(&log.db, log.name).await? {
        has_news |= log.heads.advance(&partition, end);
    }
    if Instant::now() >= *lag_due {
        *lag_due = Instant::now() + LAG_PERIOD;
        show_lags(log).await?;
    }
    Ok(has_news)
}

/// Brings the lag metric up to date.
pub(crate) async fn show_lags(log: &Inner) -> Result<(), Error> {
    let mut shown: Option<(String, u64)> = None;
    for lag in followers::lags(&log.db, log.name).await? {
        match &mut shown {
            Some((follower, records)) if *follower == lag.follower => *records += lag.records,
            _ => {
                if let Some((follower, records)) = shown.replace((lag.follower, lag.records)) {
                    log.metrics.set_lag(&follower, records);
                }
            }
        }
    }
    if let Some((follower, records)) = shown {
        log.metrics.set_lag(&follower, records);
    }
    Ok(())
}

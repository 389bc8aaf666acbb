//! What goes on in the background: the deduplication window is swept, what waits for consent is looked after, and
//! readiness follows the store.

use std::sync::Arc;
use std::time::Duration;

use kit::server::ReadyHandle;
use kit::shutdown::Shutdown;
use store::{Db, Error};

use crate::app::App;
use crate::store::seen::{self, SLICES};
use crate::store::sources;

/// One slice a second sweeps all of them in about 70 minutes. Real time: sweeping frees space, and nothing depends on
/// when.
const SWEEP_PAUSE: Duration = Duration::from_secs(1);
/// Real time as well, but by the service's clock an event expires.
const LANE_PAUSE: Duration = Duration::from_secs(1);
const PROBE_PAUSE: Duration = Duration::from_secs(2);

/// Starts the background tasks.
pub(crate) fn start(app: &Arc<App>, dedupe_window_us: i64, ready: ReadyHandle, shutdown: &Shutdown) {
    let life = shutdown.token.clone();
    let sweeping = Arc::clone(app);
    shutdown.spawn("ingestion-sweep", async move {
        life.run_until_cancelled(sweep_for_ever(&sweeping, dedupe_window_us)).await;
    });

    let life = shutdown.token.clone();
    let keeping = Arc::clone(app);
    shutdown.spawn("ingestion-consent-lane", async move {
        life.run_until_cancelled(keep_lane_for_ever(&keeping)).await;
    });

    let life = shutdown.token.clone();
    let db = app.db.clone();
    shutdown.spawn("ingestion-readiness", async move {
        life.run_until_cancelled(probe_for_ever(&db, &ready)).await;
    });
}

async fn sweep_for_ever(app: &App, dedupe_window_us: i64) {
    // Anywhere: processes that restart often must not sweep the first slices only.
    let mut slice = rand::random::<u16>() % SLICES;
    loop {
        tokio::time::sleep(SWEEP_PAUSE).await;
        if let Err(error) = sweep(app, slice, dedupe_window_us).await {
            tracing::warn!(error = &error as &dyn std::error::Error, "the deduplication window was not swept");
            continue;
        }
        slice = (slice + 1) % SLICES;
    }
}

async fn keep_lane_for_ever(app: &App) {
    loop {
        match app.lane_keeper.look().await {
            Ok(true) => continue,
            Ok(false) => {}
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "what waits for consent was not looked after");
            }
        }
        tokio::time::sleep(LANE_PAUSE).await;
    }
}

async fn sweep(app: &App, slice: u16, dedupe_window_us: i64) -> Result<(), Error> {
    let cutoff_us = app.clock.now_us().saturating_sub(dedupe_window_us);
    for tenant in sources::list_tenants(&app.db).await? {
        let removed = seen::sweep(&app.db, &tenant, slice, cutoff_us).await?;
        app.metrics.swept_messages.inc_by(removed);
    }
    Ok(())
}

/// Ready means that a transaction can be had: without one, nothing can be acknowledged.
async fn probe_for_ever(db: &Db, ready: &ReadyHandle) {
    loop {
        let writable = can_write(db).await;
        if let Err(error) = &writable {
            tracing::warn!(error = error as &dyn std::error::Error, "the store cannot be written to");
        }
        ready.set(writable.is_ok());
        tokio::time::sleep(PROBE_PAUSE).await;
    }
}

async fn can_write(db: &Db) -> Result<(), Error> {
    db.begin().await?.rollback().await
}

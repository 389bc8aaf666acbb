//! What goes on in the background: the deduplication window is merged and swept, what waits for consent is looked after, dead
//! letters that are too old go, those that wait are counted, and readiness follows the store.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use kit::TenantId;
use kit::server::ReadyHandle;
use kit::shutdown::Shutdown;
use store::Error;

use crate::app::App;
use crate::intake::GoneThrough;
use crate::store::{letter_care, seen, sources, write_probes};

/// Real time: sweeping frees space, and nothing depends on when.
const SWEEP_PAUSE: Duration = Duration::from_secs(60);
/// Real time as well, but by the service's clock an event expires.
const LANE_PAUSE: Duration = Duration::from_secs(1);
const PROBE_PAUSE: Duration = Duration::from_secs(1);
const SLOWEST_COMMIT: Duration = Duration::from_secs(60);
/// Counting looks at all of them.
const LETTERS_PAUSE: Duration = Duration::from_secs(60);
/// Dead letters removed in one transaction.
const EXPIRED_AT_ONCE: i64 = 500;

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
    let settling = Arc::clone(app);
    shutdown.spawn("ingestion-consent-policies", async move {
        life.run_until_cancelled(settle_policies_for_ever(&settling)).await;
    });

    let life = shutdown.token.clone();
    let caring = Arc::clone(app);
    shutdown.spawn("ingestion-dead-letters", async move {
        life.run_until_cancelled(care_for_ever(&caring)).await;
    });

    let life = shutdown.token.clone();
    let probing = Arc::clone(app);
    shutdown.spawn("ingestion-readiness", async move {
        life.run_until_cancelled(probe_for_ever(&probing, &ready)).await;
    });
}

/// Merges when a tenant has enough to merge, and looks after all of them now and then.
async fn sweep_for_ever(app: &App, dedupe_window_us: i64) {
    let mut next_sweep = tokio::time::Instant::now();
    loop {
        let outcome = tokio::select! {
            tenants = app.merger.waiting() => merge(app, tenants, dedupe_window_us).await,
            () = tokio::time::sleep_until(next_sweep) => {
                next_sweep += SWEEP_PAUSE;
                sweep(app, dedupe_window_us).await
            }
        };
        if let Err(error) = outcome {
            tracing::warn!(error = &error as &dyn std::error::Error, "the deduplication window was not looked after");
            // What did not work waits for the next sweep or the next message.
            tokio::time::sleep(PROBE_PAUSE).await;
        }
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

async fn settle_policies_for_ever(app: &App) {
    let mut gone_through = GoneThrough::default();
    loop {
        if let Err(error) = app.lane_keeper.settle_policies(&mut gone_through).await {
            tracing::warn!(error = &error as &dyn std::error::Error, "what waits was not decided by its new policy");
        }
        tokio::time::sleep(LANE_PAUSE).await;
    }
}

/// Returns how long after a change of a policy events may still come to wait by the one before, in microseconds: as long
/// as replicas believe what they read, and as what they read by it may take to be committed.
pub(crate) fn stale_policy_us(source_cache_ttl: Duration) -> i64 {
    i64::try_from((source_cache_ttl + SLOWEST_COMMIT).as_micros()).unwrap_or(i64::MAX)
}

async fn merge(app: &App, tenants: BTreeSet<TenantId>, dedupe_window_us: i64) -> Result<(), Error> {
    let cutoff_us = app.clock.now_us().saturating_sub(dedupe_window_us);
    for tenant in tenants {
        app.metrics.swept_messages.inc_by(app.merger.tend(&tenant, cutoff_us).await?);
    }
    Ok(())
}

async fn sweep(app: &App, dedupe_window_us: i64) -> Result<(), Error> {
    let cutoff_us = app.clock.now_us().saturating_sub(dedupe_window_us);
    for tenant in seen::list_tenants(&app.db).await? {
        app.metrics.swept_messages.inc_by(app.merger.expire(&tenant, cutoff_us).await?);
        app.metrics.swept_messages.inc_by(app.merger.tend(&tenant, cutoff_us).await?);
    }
    Ok(())
}

async fn care_for_ever(app: &App) {
    loop {
        if let Err(error) = care(app).await {
            tracing::warn!(error = &error as &dyn std::error::Error, "dead letters were not cared for");
        }
        tokio::time::sleep(LETTERS_PAUSE).await;
    }
}

/// Removes the dead letters that are too old, never without a count, and counts those that wait.
async fn care(app: &App) -> Result<(), Error> {
    let now_us = app.clock.now_us();
    if let Some(life_us) = app.dead_letter_life_us {
        let cutoff_us = now_us.saturating_sub(life_us);
        for tenant in sources::list_tenants(&app.db).await? {
            expire(app, &tenant, cutoff_us).await?;
        }
    }
    let waiting = letter_care::count(&app.db).await?;
    let age_us = waiting.oldest_us.map_or(0, |oldest_us| now_us.saturating_sub(oldest_us).max(0));
    app.metrics.dead_letters.set(waiting.letters);
    app.metrics.unread_dead_letters.set(waiting.unread);
    app.metrics.oldest_dead_letter.set(age_us / 1_000_000);
    Ok(())
}

async fn expire(app: &App, tenant: &TenantId, cutoff_us: i64) -> Result<(), Error> {
    loop {
        let expired = letter_care::expire(&app.db, tenant, cutoff_us, EXPIRED_AT_ONCE).await?;
        if expired.is_empty() {
            return Ok(());
        }
        let mut unread: BTreeMap<&str, u64> = BTreeMap::new();
        for letter in &expired {
            app.metrics.count_expired(letter.was_read);
            if !letter.was_read {
                *unread.entry(&letter.source_id).or_default() += 1;
            }
        }
        for (source_id, letters) in unread {
            tracing::warn!(tenant.id = %tenant, source.id = source_id, letters, "dead letters expired that nobody has read");
        }
    }
}

/// Ready means that a transaction can be had: without one, nothing can be acknowledged.
async fn probe_for_ever(app: &App, ready: &ReadyHandle) {
    loop {
        let writable = match tokio::time::timeout(app.slow_store, can_write(app)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(Error::unavailable("the store does not answer in time")),
        };
        if let Err(error) = &writable {
            tracing::warn!(error = error as &dyn std::error::Error, "the store cannot be written to");
        }
        ready.set(writable.is_ok());
        tokio::time::sleep(PROBE_PAUSE).await;
    }
}

async fn can_write(app: &App) -> Result<(), Error> {
    app.intake.require_pace()?;
    if app.intake.is_in_doubt() {
        // A transaction that writes nothing succeeds on a full disk.
        write_probes::write(&app.db).await?;
        app.intake.reassure();
        return Ok(());
    }
    app.db.begin().await?.rollback().await
}

//! What happens without an event: time passes, rules change, cuts move.
//!
//! Every replica runs a keeper. Two that find the same work do it one after the other, under the shard's lock, and the
//! second finds it done.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use ::store::Error;
use kit::TenantId;
use kit::shutdown::Shutdown;

use super::Engine;
use super::work::Work;
use crate::domain::DAY_US;
use crate::store::profiles::Found;
use crate::store::shards::Freshness;
use crate::store::{profiles, shards};

/// People judged in one transaction.
const CHUNK: u32 = 500;

/// How often to look for what another replica has left to do, in real time.
const LOOK: Duration = Duration::from_secs(1);

/// Pause after a failure.
const PAUSE: Duration = Duration::from_millis(500);

/// Least time between two refreshes of a tenant's cuts while orders keep coming.
const REFRESH_EVERY: Duration = Duration::from_secs(5);

/// Starts the keeper's tasks.
pub(crate) fn spawn(engine: &Engine, shutdown: &Shutdown) {
    let (keeper, stop) = (engine.clone(), shutdown.token.clone());
    shutdown.spawn("scoring judge", async move {
        tokio::select! {
            () = keep_judged(&keeper) => {}
            () = stop.cancelled() => {}
        }
    });
    let (keeper, stop) = (engine.clone(), shutdown.token.clone());
    shutdown.spawn("scoring cuts", async move {
        tokio::select! {
            () = keep_cut(&keeper) => {}
            () = stop.cancelled() => {}
        }
    });
}

/// Judges whoever is due and whoever a changed rule or cut concerns, for ever.
async fn keep_judged(engine: &Engine) {
    loop {
        match judge_some(engine).await {
            Ok(true) => {}
            Ok(false) => wait(engine).await,
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "could not judge people, trying again");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

/// Waits until somebody is due or there may be something else to do.
async fn wait(engine: &Engine) {
    let due_us = engine.next_look_us.load(Ordering::Acquire);
    tokio::select! {
        () = engine.clock.sleep_until_us(due_us), if due_us < i64::MAX => {}
        () = engine.wake.notified() => {}
        () = tokio::time::sleep(LOOK) => {}
    }
}

/// Does one piece of work; returns whether there was any.
pub(crate) async fn judge_some(engine: &Engine) -> Result<bool, Error> {
    if let Some((tenant_id, partition)) = shards::behind(&engine.db).await? {
        pass(engine, &shards::tenant(&tenant_id)?, partition_number(partition)?).await?;
        return Ok(true);
    }
    // Before the look, so that whoever becomes due meanwhile wakes the keeper.
    engine.next_look_us.store(i64::MAX, Ordering::Release);
    let first_due = profiles::first_due(&engine.db).await?;
    let Some((tenant_id, partition, due_us)) = first_due else { return Ok(false) };
    if due_us > engine.clock.now_us() {
        engine.next_look_us.store(due_us, Ordering::Release);
        return Ok(false);
    }
    judge_due(engine, &shards::tenant(&tenant_id)?, partition_number(partition)?).await?;
    Ok(true)
}

/// Judges people of a shard whose time has come, as of that time.
async fn judge_due(engine: &Engine, tenant: &TenantId, partition: u32) -> Result<(), Error> {
    let mut tx = engine.db.begin().await?;
    let mut work = Work::open(engine, &mut tx, tenant, partition).await?;
    let people = profiles::due(&mut tx, tenant, partition, engine.clock.now_us(), CHUNK).await?;
    bring_up_to_date(&mut work, people);
    work.save(&mut tx).await?;
    tx.commit().await
}

/// Judges the next people of a shard by changed rules and cuts.
async fn pass(engine: &Engine, tenant: &TenantId, partition: u32) -> Result<(), Error> {
    let mut tx = engine.db.begin().await?;
    let mut work = Work::open(engine, &mut tx, tenant, partition).await?;
    let (rules_version, cuts_version) = (work.bench.rules.version, work.bench.cuts.version);
    let mut shard = work.shard.clone();
    if (shard.pass_rules, shard.pass_cuts) != (rules_version, cuts_version) {
        shard.pass_rules = rules_version;
        shard.pass_cuts = cuts_version;
        shard.pass_after.clear();
    }

    let by_rules = shard.judged_rules < rules_version;
    let by_cuts = shard.judged_cuts < cuts_version && work.bench.reads_cuts();
    let people = if by_rules || by_cuts {
        // Moved cuts only concern buyers.
        let min_orders = u64::from(!by_rules);
        profiles::after(&mut tx, tenant, partition, &shard.pass_after, min_orders, CHUNK).await?
    } else {
        Vec::new()
    };
    match people.last() {
        Some((profile_id, _)) if people.len() == CHUNK as usize => shard.pass_after = profile_id.clone(),
        _ => {
            shard.judged_rules = rules_version;
            shard.judged_cuts = cuts_version;
            shard.pass_after.clear();
        }
    }
    bring_up_to_date(&mut work, people);
    work.save(&mut tx).await?;
    shards::save_pass(&mut tx, tenant, partition, &shard).await?;
    tx.commit().await
}

fn bring_up_to_date(work: &mut Work, people: Vec<Found>) {
    for (profile_id, state) in people {
        work.bring_up_to_date(profile_id, state);
    }
}

fn partition_number(partition: i64) -> Result<u32, Error> {
    u32::try_from(partition).map_err(|_| Error::Damaged("a stored partition number".into()))
}

/// What is remembered of a tenant between two looks.
struct Seen {
    order_changes: i64,
    changed: Instant,
    refreshed: Option<(Instant, Duration)>,
}

/// Refreshes the cuts by which people are judged, for ever.
///
/// At once for the first ones; then when orders have changed and either rest for a moment or make up more than a
/// twentieth of the buyers, and each midnight (UTC) because recency has moved.
async fn keep_cut(engine: &Engine) {
    // On a virtual clock a day may pass in a blink.
    let look = if engine.clock.is_virtual() { LOOK / 20 } else { LOOK };
    let mut seen: BTreeMap<TenantId, Seen> = BTreeMap::new();
    loop {
        tokio::time::sleep(look).await;
        if let Err(error) = refresh_stale(engine, &mut seen).await {
            tracing::warn!(error = &error as &dyn std::error::Error, "could not refresh RFM cuts, trying again");
            tokio::time::sleep(PAUSE).await;
        }
    }
}

async fn refresh_stale(engine: &Engine, seen: &mut BTreeMap<TenantId, Seen>) -> Result<(), Error> {
    for fresh in shards::freshness(&engine.db).await? {
        let memory = seen.entry(fresh.tenant.clone()).or_insert_with(|| Seen {
            order_changes: fresh.order_changes,
            changed: Instant::now(),
            refreshed: None,
        });
        if memory.order_changes != fresh.order_changes {
            memory.order_changes = fresh.order_changes;
            memory.changed = Instant::now();
        }
        if !is_stale(engine, &fresh, memory).await? {
            continue;
        }
        let started = Instant::now();
        refresh_cuts(engine, &fresh.tenant).await?;
        memory.refreshed = Some((Instant::now(), started.elapsed()));
    }
    Ok(())
}

async fn is_stale(engine: &Engine, fresh: &Freshness, memory: &Seen) -> Result<bool, Error> {
    let changes = fresh.order_changes - fresh.cuts_order_changes;
    if fresh.cuts_version == 0 {
        return Ok(changes > 0);
    }
    let bench = engine.bench(&fresh.tenant).await?;
    if !bench.reads_cuts() {
        return Ok(false);
    }
    // Never more than a twentieth of a core.
    let since_refresh = memory.refreshed.map_or(Duration::MAX, |(ended, _)| ended.elapsed());
    if memory.refreshed.is_some_and(|(_, took)| since_refresh < took * 20) {
        return Ok(false);
    }
    if engine.clock.now_us().div_euclid(DAY_US) != fresh.cuts_as_of_us.div_euclid(DAY_US) {
        return Ok(true);
    }
    let rests = memory.changed.elapsed() >= LOOK;
    let buyers = i64::try_from(bench.cuts.cuts.buyer_count).unwrap_or(i64::MAX);
    Ok(changes > 0 && (rests || changes > buyers / 20 && since_refresh >= REFRESH_EVERY))
}

/// Cuts anew as of now, and has everyone concerned judged again.
pub(crate) async fn refresh_cuts(engine: &Engine, tenant: &TenantId) -> Result<(), Error> {
    let known = engine.bench(tenant).await?.cuts;
    // Read first: changes after it count as not taken in.
    let order_changes = shards::order_changes(&engine.db, tenant).await?;
    let as_of_us = engine.clock.now_us();
    let cuts = super::ranks::compute(&engine.db, tenant).await?;
    let cuts = crate::domain::judge::JudgingCuts { version: known.version + 1, as_of_us, cuts };

    let mut tx = engine.db.begin().await?;
    shards::save_cuts(&mut tx, tenant, &cuts, order_changes).await?;
    tx.commit().await?;
    engine.wake_keeper();
    Ok(())
}

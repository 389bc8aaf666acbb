//! What happens without an event: time passes, rules change, cuts move.
//!
//! Every replica runs a keeper. Two that find the same work do it one after the other, under the shard's lock, and the
//! second finds it done.

use std::sync::atomic::Ordering;
use std::time::Duration;

use ::store::{Error, Tx};
use kit::TenantId;
use kit::shutdown::Shutdown;

use super::Engine;
use super::work::Work;
use crate::domain::DAY_US;
use crate::store::profiles::Found;
use crate::store::{profiles, shards};

/// People judged in one transaction, of as many shards as they are in: a commit costs more than a few people.
const CHUNK: u32 = 500;

/// How often to look for what another replica has left to do, in real time.
const LOOK: Duration = Duration::from_secs(1);

/// Pause after a failure.
const PAUSE: Duration = Duration::from_millis(500);

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
    if let Some(tenant_id) = shards::behind(&engine.db).await? {
        pass(engine, &shards::tenant(&tenant_id)?).await?;
        return Ok(true);
    }
    // Before the look, so that whoever becomes due meanwhile wakes the keeper.
    engine.next_look_us.store(i64::MAX, Ordering::Release);
    let Some((tenant_id, due_us)) = profiles::first_due(&engine.db).await? else { return Ok(false) };
    if due_us > engine.clock.now_us() {
        engine.next_look_us.store(due_us, Ordering::Release);
        return Ok(false);
    }
    judge_due(engine, &shards::tenant(&tenant_id)?).await?;
    Ok(true)
}

/// Judges people of a tenant whose time has come, as of that time.
async fn judge_due(engine: &Engine, tenant: &TenantId) -> Result<(), Error> {
    let now_us = engine.clock.now_us();
    let partitions = profiles::due_partitions(&engine.db, tenant, now_us, CHUNK).await?;
    let mut tx = engine.db.begin().await?;
    let mut left = CHUNK;
    // In the order in which everybody takes the locks of several shards.
    for partition in partitions {
        let mut work = Work::open(engine, &mut tx, tenant, partition_number(partition)?).await?;
        let people = profiles::due(&mut tx, tenant, partition_number(partition)?, now_us, left).await?;
        left = left.saturating_sub(people.len() as u32);
        bring_up_to_date(&mut work, people);
        work.save(&mut tx).await?;
        if left == 0 {
            break;
        }
    }
    tx.commit().await
}

/// Judges the next people of a tenant by changed rules and cuts.
async fn pass(engine: &Engine, tenant: &TenantId) -> Result<(), Error> {
    let partitions = shards::behind_of(&engine.db, tenant).await?;
    let mut tx = engine.db.begin().await?;
    let mut left = CHUNK;
    for partition in partitions {
        left = pass_shard(engine, &mut tx, tenant, partition_number(partition)?, left).await?;
        if left == 0 {
            break;
        }
    }
    tx.commit().await
}

/// Judges the next people of one shard, at most `limit`; returns how many of `limit` are left.
async fn pass_shard(engine: &Engine, tx: &mut Tx, tenant: &TenantId, partition: u32, limit: u32) -> Result<u32, Error> {
    let mut work = Work::open(engine, tx, tenant, partition).await?;
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
        profiles::after(tx, tenant, partition, &shard.pass_after, min_orders, limit).await?
    } else {
        Vec::new()
    };
    let judged = people.len() as u32;
    match people.last() {
        Some((profile_id, _)) if judged == limit => shard.pass_after = profile_id.clone(),
        _ => {
            shard.judged_rules = rules_version;
            shard.judged_cuts = cuts_version;
            shard.pass_after.clear();
        }
    }
    bring_up_to_date(&mut work, people);
    work.save(tx).await?;
    shards::save_pass(tx, tenant, partition, &shard).await?;
    Ok(limit - judged)
}

fn bring_up_to_date(work: &mut Work, people: Vec<Found>) {
    for (profile_id, state) in people {
        work.bring_up_to_date(profile_id, state);
    }
}

fn partition_number(partition: i64) -> Result<u32, Error> {
    u32::try_from(partition).map_err(|_| Error::Damaged("a stored partition number".into()))
}

/// Refreshes the cuts by which people are judged once they are stale, for ever.
///
/// When that is follows from the tenant's clock and data alone ([`Freshness::is_stale`]), so that the same history gives the
/// same entries and exits however it was cut into batches.
async fn keep_cut(engine: &Engine) {
    loop {
        if let Err(error) = refresh_stale(engine).await {
            tracing::warn!(error = &error as &dyn std::error::Error, "could not refresh RFM cuts, trying again");
        }
        tokio::select! {
            // On a virtual clock a day may pass in a blink.
            () = engine.clock.sleep_until_us((engine.clock.now_us().div_euclid(DAY_US) + 1) * DAY_US) => {}
            () = tokio::time::sleep(LOOK) => {}
        }
    }
}

async fn refresh_stale(engine: &Engine) -> Result<(), Error> {
    for fresh in shards::freshness(&engine.db).await? {
        if fresh.is_stale(engine.clock.now_us()) {
            refresh_cuts(engine, &fresh.tenant).await?;
        }
    }
    Ok(())
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

//! The locks that serialise changes of people, and by what a tenant's people are judged.

use kit::TenantId;
use store::{Db, Error, Tx};

use super::blob::{pack_cuts, unpack_cuts};
use crate::domain::judge::JudgingCuts;
use crate::domain::next_midnight;

const LOCK: &str = "
    INSERT INTO shards (tenant_id, partition, revision, order_changes, judged_rules, judged_cuts,
                        pass_rules, pass_cuts, pass_after)
    VALUES ($1, $2, 1, 0, 0, 0, 0, 0, '')
    ON CONFLICT (tenant_id, partition) DO UPDATE SET revision = shards.revision + 1
    RETURNING revision, judged_rules, judged_cuts, pass_rules, pass_cuts, pass_after";
const COUNT_CHANGES: &str = "
    UPDATE shards
       SET order_changes = order_changes + $3
     WHERE tenant_id = $1 AND partition = $2";
const SAVE_PASS: &str = "
    UPDATE shards
       SET judged_rules = $3, judged_cuts = $4, pass_rules = $5, pass_cuts = $6, pass_after = $7
     WHERE tenant_id = $1 AND partition = $2";
const PARTITIONS: &str = "
    SELECT partition
      FROM shards
     WHERE tenant_id = $1
     ORDER BY partition";
const BEHIND: &str = "
    SELECT shards.tenant_id
      FROM shards
      JOIN benches ON benches.tenant_id = shards.tenant_id
     WHERE shards.judged_rules < benches.rules_version OR shards.judged_cuts < benches.cuts_version
     ORDER BY shards.tenant_id
     LIMIT 1";
const BEHIND_OF: &str = "
    SELECT shards.partition
      FROM shards
      JOIN benches ON benches.tenant_id = shards.tenant_id
     WHERE shards.tenant_id = $1
       AND (shards.judged_rules < benches.rules_version OR shards.judged_cuts < benches.cuts_version)
     ORDER BY shards.partition";
const VERSIONS: &str = "
    SELECT rules_version, cuts_version
      FROM benches
     WHERE tenant_id = $1";
const NEXT_RULES: &str = "
    INSERT INTO benches (tenant_id, rules_version, reads_cuts, cuts_version, cuts_as_of_us, cuts_order_changes, cuts)
    VALUES ($1, 1, 0, 0, 0, 0, $2)
    ON CONFLICT (tenant_id) DO UPDATE SET rules_version = benches.rules_version + 1
    RETURNING rules_version";
const SAVE_READS_CUTS: &str = "
    UPDATE benches
       SET reads_cuts = $2
     WHERE tenant_id = $1";
const CUTS: &str = "
    SELECT cuts_version, cuts_as_of_us, cuts
      FROM benches
     WHERE tenant_id = $1";
/// Does nothing when another replica was faster.
const SAVE_CUTS: &str = "
    INSERT INTO benches (tenant_id, rules_version, reads_cuts, cuts_version, cuts_as_of_us, cuts_order_changes, cuts)
    VALUES ($1, 0, 0, $2, $3, $4, $5)
    ON CONFLICT (tenant_id) DO UPDATE
       SET cuts_version = excluded.cuts_version, cuts_as_of_us = excluded.cuts_as_of_us,
           cuts_order_changes = excluded.cuts_order_changes, cuts = excluded.cuts
     WHERE benches.cuts_version = excluded.cuts_version - 1";
const FRESHNESS: &str = "
    SELECT shards.tenant_id, CAST(SUM(shards.order_changes) AS BIGINT),
           MAX(benches.cuts_order_changes), MAX(benches.cuts_as_of_us)
      FROM shards
      JOIN benches ON benches.tenant_id = shards.tenant_id
     WHERE benches.reads_cuts = 1
     GROUP BY shards.tenant_id
     ORDER BY shards.tenant_id";
const CHANGES: &str = "
    SELECT CAST(COALESCE(SUM(order_changes), 0) AS BIGINT)
      FROM shards
     WHERE tenant_id = $1";

/// A shard whose lock is held.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub(crate) struct Shard {
    /// Greater by one for each holder of the lock.
    pub(crate) revision: i64,
    /// Version of the rules by which everyone in the shard has been judged.
    pub(crate) judged_rules: i64,
    /// Version of the cuts by which everyone in the shard has been judged.
    pub(crate) judged_cuts: i64,
    /// Version of the rules of the pass under way.
    pub(crate) pass_rules: i64,
    /// Version of the cuts of the pass under way.
    pub(crate) pass_cuts: i64,
    /// Last person that the pass has judged.
    pub(crate) pass_after: String,
}

/// How long moved ranks may go unnoticed, by the tenant's clock.
const REFRESH_US: i64 = 5 * 60 * 1_000_000;

/// How fresh the cuts are of a tenant with rules that read them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Freshness {
    /// Which tenant.
    pub(crate) tenant: TenantId,
    /// Changes of orders so far.
    pub(crate) order_changes: i64,
    /// Changes of orders that the cuts take in.
    pub(crate) cuts_order_changes: i64,
    /// The instant that the cuts count recency to, in microseconds since the Unix epoch.
    pub(crate) cuts_as_of_us: i64,
}

impl Freshness {
    /// Whether to cut anew: at midnight (UTC), because recency has moved, and five minutes after the last time if orders have
    /// changed.
    pub(crate) fn is_stale(&self, now_us: i64) -> bool {
        now_us >= self.stale_us()
    }

    /// Returns from when on to cut anew.
    pub(crate) fn stale_us(&self) -> i64 {
        let midnight_us = next_midnight(self.cuts_as_of_us);
        let is_changed = self.order_changes != self.cuts_order_changes;
        if is_changed { midnight_us.min(self.cuts_as_of_us.saturating_add(REFRESH_US)) } else { midnight_us }
    }
}

/// Takes the lock of a shard until the transaction ends: nobody else changes its people meanwhile.
pub(crate) async fn lock(tx: &mut Tx, tenant: &TenantId, partition: u32) -> Result<Shard, Error> {
    Ok(store::within!(tx, conn => {
        sqlx::query_as(LOCK).bind(tenant.as_str()).bind(i64::from(partition)).fetch_one(&mut *conn).await
    })?)
}

/// Takes the locks of all shards of a tenant, in the order in which everybody takes them.
pub(crate) async fn lock_all(tx: &mut Tx, tenant: &TenantId) -> Result<(), Error> {
    let partitions: Vec<i64> = store::within!(tx, conn => {
        sqlx::query_scalar(PARTITIONS).bind(tenant.as_str()).fetch_all(&mut *conn).await
    })?;
    for partition in partitions.into_iter().filter_map(|partition| u32::try_from(partition).ok()) {
        lock(tx, tenant, partition).await?;
    }
    Ok(())
}

/// Counts changes of orders in a shard whose lock is held.
pub(crate) async fn count_changes(tx: &mut Tx, tenant: &TenantId, partition: u32, changes: i64) -> Result<(), Error> {
    store::within!(tx, conn => {
        sqlx::query(COUNT_CHANGES)
            .bind(tenant.as_str())
            .bind(i64::from(partition))
            .bind(changes)
            .execute(&mut *conn)
            .await
            .map(|_| ())
    })?;
    Ok(())
}

/// Writes down how far judging everyone has come, in a shard whose lock is held.
pub(crate) async fn save_pass(tx: &mut Tx, tenant: &TenantId, partition: u32, shard: &Shard) -> Result<(), Error> {
    store::within!(tx, conn => {
        sqlx::query(SAVE_PASS)
            .bind(tenant.as_str())
            .bind(i64::from(partition))
            .bind(shard.judged_rules)
            .bind(shard.judged_cuts)
            .bind(shard.pass_rules)
            .bind(shard.pass_cuts)
            .bind(&shard.pass_after)
            .execute(&mut *conn)
            .await
            .map(|_| ())
    })?;
    Ok(())
}

/// Returns a tenant some of whose people are to be judged again.
pub(crate) async fn behind(db: &Db) -> Result<Option<String>, Error> {
    Ok(store::on!(db, pool => sqlx::query_scalar(BEHIND).fetch_optional(pool).await)?)
}

/// Returns the shards of a tenant whose people are to be judged again.
pub(crate) async fn behind_of(db: &Db, tenant: &TenantId) -> Result<Vec<i64>, Error> {
    Ok(store::on!(db, pool => sqlx::query_scalar(BEHIND_OF).bind(tenant.as_str()).fetch_all(pool).await)?)
}

/// Returns the versions of rules and cuts; 0 before the first.
pub(crate) async fn versions(tx: &mut Tx, tenant: &TenantId) -> Result<(i64, i64), Error> {
    let found: Option<(i64, i64)> = store::within!(tx, conn => {
        sqlx::query_as(VERSIONS).bind(tenant.as_str()).fetch_optional(&mut *conn).await
    })?;
    Ok(found.unwrap_or_default())
}

/// Returns the versions of rules and cuts as committed; 0 before the first.
pub(crate) async fn committed_versions(db: &Db, tenant: &TenantId) -> Result<(i64, i64), Error> {
    let found: Option<(i64, i64)> = store::on!(db, pool => {
        sqlx::query_as(VERSIONS).bind(tenant.as_str()).fetch_optional(pool).await
    })?;
    Ok(found.unwrap_or_default())
}

/// Makes the next version of the rules and returns it; serialises changes of a tenant's rules.
pub(crate) async fn next_rules_version(tx: &mut Tx, tenant: &TenantId) -> Result<i64, Error> {
    let none = pack_cuts(&JudgingCuts::default().cuts);
    Ok(store::within!(tx, conn => {
        sqlx::query_scalar(NEXT_RULES).bind(tenant.as_str()).bind(none).fetch_one(&mut *conn).await
    })?)
}

/// Writes down whether some rule reads what a refresh of the cuts may change.
pub(crate) async fn save_reads_cuts(tx: &mut Tx, tenant: &TenantId, reads_cuts: bool) -> Result<(), Error> {
    store::within!(tx, conn => {
        sqlx::query(SAVE_READS_CUTS)
            .bind(tenant.as_str())
            .bind(i64::from(reads_cuts))
            .execute(&mut *conn)
            .await
            .map(|_| ())
    })?;
    Ok(())
}

type CutsRow = (i64, i64, Vec<u8>);

/// Returns the cuts by which people are judged.
pub(crate) async fn cuts(db: &Db, tenant: &TenantId) -> Result<JudgingCuts, Error> {
    unpack(store::on!(db, pool => {
        sqlx::query_as::<_, CutsRow>(CUTS).bind(tenant.as_str()).fetch_optional(pool).await
    })?)
}

/// Returns the cuts by which people are judged, as the transaction sees them.
pub(crate) async fn cuts_in(tx: &mut Tx, tenant: &TenantId) -> Result<JudgingCuts, Error> {
    unpack(store::within!(tx, conn => {
        sqlx::query_as::<_, CutsRow>(CUTS).bind(tenant.as_str()).fetch_optional(&mut *conn).await
    })?)
}

fn unpack(row: Option<CutsRow>) -> Result<JudgingCuts, Error> {
    let Some((version, as_of_us, bytes)) = row else { return Ok(JudgingCuts::default()) };
    Ok(JudgingCuts { version, as_of_us, cuts: unpack_cuts(&bytes)? })
}

/// Writes new cuts, unless another replica has already written this version.
pub(crate) async fn save_cuts(
    tx: &mut Tx,
    tenant: &TenantId,
    cuts: &JudgingCuts,
    order_changes: i64,
) -> Result<(), Error> {
    store::within!(tx, conn => {
        sqlx::query(SAVE_CUTS)
            .bind(tenant.as_str())
            .bind(cuts.version)
            .bind(cuts.as_of_us)
            .bind(order_changes)
            .bind(pack_cuts(&cuts.cuts))
            .execute(&mut *conn)
            .await
            .map(|_| ())
    })?;
    Ok(())
}

/// Returns how fresh the cuts are of each tenant with rules that read them.
pub(crate) async fn freshness(db: &Db) -> Result<Vec<Freshness>, Error> {
    let rows: Vec<(String, i64, i64, i64)> = store::on!(db, pool => sqlx::query_as(FRESHNESS).fetch_all(pool).await)?;
    let fresh = |(tenant_id, order_changes, cuts_order_changes, cuts_as_of_us): (String, i64, i64, i64)| {
        Ok(Freshness { tenant: self::tenant(&tenant_id)?, order_changes, cuts_order_changes, cuts_as_of_us })
    };
    rows.into_iter().map(fresh).collect()
}

/// Returns how often orders of a tenant's people have changed.
pub(crate) async fn order_changes(db: &Db, tenant: &TenantId) -> Result<i64, Error> {
    Ok(store::on!(db, pool => sqlx::query_scalar(CHANGES).bind(tenant.as_str()).fetch_one(pool).await)?)
}

/// Reads a stored tenant id; it was checked when it came in.
pub(crate) fn tenant(tenant_id: &str) -> Result<TenantId, Error> {
    TenantId::try_from(tenant_id).map_err(|_| super::damaged("tenant id"))
}

/// Every statement that stands as a constant, to be prepared by a test on both engines.
#[cfg(test)]
pub(crate) const STATEMENTS: [&str; 13] = [
    LOCK,
    COUNT_CHANGES,
    SAVE_PASS,
    PARTITIONS,
    BEHIND,
    BEHIND_OF,
    VERSIONS,
    NEXT_RULES,
    SAVE_READS_CUTS,
    CUTS,
    SAVE_CUTS,
    FRESHNESS,
    CHANGES,
];

//! Who folds which unit.
//!
//! A lease names its owner; it holds as long as the owner's membership is renewed, one row for all its leases. Every
//! change of owner raises the epoch, and every commit checks owner and epoch: a replica that was taken for dead can
//! wake up and try, but not commit.

use sqlx::QueryBuilder;
use store::{Db, Error, Tx};

use super::{signed, unsigned};
use crate::follower::Unit;

/// Stored as partition where a unit is a whole tenant.
const WHOLE_TENANT: i64 = -1;

/// Names the leases of one follower on one log.
#[derive(Debug, Clone)]
pub(crate) struct Scope {
    pub(crate) follower: String,
    pub(crate) log: String,
    /// Names this replica, never used before.
    pub(crate) owner: String,
}

/// A unit with its holder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Lease {
    pub(crate) unit: Unit,
    pub(crate) owner: String,
    pub(crate) epoch: u64,
}

const RENEW: &str = "
    INSERT INTO log_members (follower, log, owner, expire_time_us)
    VALUES ($1, $2, $3, $4)
    ON CONFLICT (follower, log, owner) DO UPDATE SET expire_time_us = excluded.expire_time_us";
const LIVING: &str = "
    SELECT owner
      FROM log_members
     WHERE follower = $1 AND log = $2 AND expire_time_us > $3
     ORDER BY owner";
const BURY: &str = "
    DELETE FROM log_members
     WHERE follower = $1 AND log = $2 AND expire_time_us < $3";
const LEASES: &str = "
    SELECT tenant_id, partition, owner, epoch
      FROM log_leases
     WHERE follower = $1 AND log = $2";
const RELEASE: &str = "
    UPDATE log_leases
       SET owner = ''
     WHERE follower = $1 AND log = $2 AND tenant_id = $3 AND partition = $4 AND owner = $5";
const RELEASE_ALL: &str = "
    UPDATE log_leases
       SET owner = ''
     WHERE follower = $1 AND log = $2 AND owner = $3";
const LEAVE: &str = "
    DELETE FROM log_members
     WHERE follower = $1 AND log = $2 AND owner = $3";

impl Scope {
    /// Says that this replica lives until `expire_time_us`, and forgets those dead since long before `now_us`.
    pub(crate) async fn renew(&self, db: &Db, now_us: i64, expire_time_us: i64) -> Result<(), Error> {
        const REMEMBER_DEAD_US: i64 = 3_600_000_000;
        let mut tx = db.begin().await?;
        store::within!(tx, conn => {
            sqlx::query(RENEW)
                .bind(&self.follower)
                .bind(&self.log)
                .bind(&self.owner)
                .bind(expire_time_us)
                .execute(&mut *conn)
                .await?;
            sqlx::query(BURY)
                .bind(&self.follower)
                .bind(&self.log)
                .bind(now_us - REMEMBER_DEAD_US)
                .execute(&mut *conn)
                .await
                .map(|_| ())
        })?;
        tx.commit().await
    }

    /// Returns the replicas that live.
    pub(crate) async fn living(&self, db: &Db, now_us: i64) -> Result<Vec<String>, Error> {
        Ok(store::on!(db, pool => {
            sqlx::query_scalar(LIVING).bind(&self.follower).bind(&self.log).bind(now_us).fetch_all(pool).await
        })?)
    }

    /// Returns all leases, also those that nobody holds.
    pub(crate) async fn list(&self, db: &Db) -> Result<Vec<Lease>, Error> {
        let rows: Vec<(String, i64, String, i64)> = store::on!(db, pool => {
            sqlx::query_as(LEASES).bind(&self.follower).bind(&self.log).fetch_all(pool).await
        })?;
        let lease = |(tenant_id, partition, owner, epoch): (String, i64, String, i64)| {
            Ok(Lease { unit: unit(&tenant_id, partition)?, owner, epoch: unsigned(epoch) })
        };
        rows.into_iter().map(lease).collect()
    }

    /// Takes those of `units` that nobody living holds; returns what was taken.
    pub(crate) async fn take(&self, db: &Db, units: &[Unit], now_us: i64) -> Result<Vec<Lease>, Error> {
        const COLUMNS: usize = 6;
        let mut taken = Vec::new();
        let mut tx = db.begin().await?;
        for chunk in store::chunks(units, COLUMNS) {
            let rows: Vec<(String, i64, i64)> = store::within!(tx, conn => {
                let mut query =
                    QueryBuilder::new("INSERT INTO log_leases (follower, log, tenant_id, partition, owner, epoch) ");
                query.push_values(chunk, |mut row, unit| {
                    row.push_bind(self.follower.clone())
                        .push_bind(self.log.clone())
                        .push_bind(unit.tenant.to_string())
                        .push_bind(stored_partition(unit))
                        .push_bind(self.owner.clone())
                        .push_bind(1_i64);
                });
                query.push(
                    " ON CONFLICT (follower, log, tenant_id, partition)
                      DO UPDATE SET owner = excluded.owner, epoch = log_leases.epoch + 1
                      WHERE NOT EXISTS (
                            SELECT 1
                              FROM log_members AS members
                             WHERE members.follower = log_leases.follower AND members.log = log_leases.log
                               AND members.owner = log_leases.owner AND members.expire_time_us > ",
                );
                query.push_bind(now_us);
                query.push(") RETURNING tenant_id, partition, epoch");
                query.build_query_as().fetch_all(&mut *conn).await
            })?;
            for (tenant_id, partition, epoch) in rows {
                let unit = unit(&tenant_id, partition)?;
                taken.push(Lease { unit, owner: self.owner.clone(), epoch: unsigned(epoch) });
            }
        }
        tx.commit().await?;
        Ok(taken)
    }

    /// Fails with [`Error::Fenced`] when one of `held` is no longer ours; otherwise all are ours until `tx` ends.
    ///
    /// The update changes nothing but locks the leases: nobody takes them over between this check and the commit.
    pub(crate) async fn fence(&self, tx: &mut Tx, held: &[(&Unit, u64)]) -> Result<(), Error> {
        const COLUMNS: usize = 3;
        for chunk in store::chunks(held, COLUMNS) {
            let ours = store::within!(tx, conn => {
                let mut query = QueryBuilder::new("UPDATE log_leases SET owner = owner WHERE follower = ");
                query.push_bind(self.follower.clone());
                query.push(" AND log = ").push_bind(self.log.clone());
                query.push(" AND owner = ").push_bind(self.owner.clone());
                query.push(" AND (tenant_id, partition, epoch) IN (");
                query.push_values(chunk, |mut row, (unit, epoch)| {
                    row.push_bind(unit.tenant.to_string()).push_bind(stored_partition(unit)).push_bind(signed(*epoch));
                });
                query.push(")");
                query.build().execute(&mut *conn).await.map(|done| done.rows_affected())
            })?;
            if ours != chunk.len() as u64 {
                return Err(Error::Fenced(format!("{} lost units of log {}", self.follower, self.log)));
            }
        }
        Ok(())
    }

    /// Gives `unit` up, so that another replica may take it at once.
    pub(crate) async fn release(&self, db: &Db, unit: &Unit) -> Result<(), Error> {
        let mut tx = db.begin().await?;
        store::within!(tx, conn => {
            sqlx::query(RELEASE)
                .bind(&self.follower)
                .bind(&self.log)
                .bind(unit.tenant.as_str())
                .bind(stored_partition(unit))
                .bind(&self.owner)
                .execute(&mut *conn)
                .await
                .map(|_| ())
        })?;
        tx.commit().await
    }

    /// Gives everything up and leaves.
    pub(crate) async fn leave(&self, db: &Db) -> Result<(), Error> {
        let mut tx = db.begin().await?;
        for statement in [RELEASE_ALL, LEAVE] {
            store::within!(tx, conn => {
                sqlx::query(statement)
                    .bind(&self.follower)
                    .bind(&self.log)
                    .bind(&self.owner)
                    .execute(&mut *conn)
                    .await
                    .map(|_| ())
            })?;
        }
        tx.commit().await
    }
}

fn stored_partition(unit: &Unit) -> i64 {
    unit.partition.map_or(WHOLE_TENANT, i64::from)
}

fn unit(tenant_id: &str, partition: i64) -> Result<Unit, Error> {
    let tenant = tenant_id.try_into().map_err(|_| Error::Damaged("a stored tenant id".into()))?;
    if partition == WHOLE_TENANT {
        return Ok(Unit { tenant, partition: None });
    }
    let partition = u32::try_from(partition).map_err(|_| Error::Damaged("a stored partition number".into()))?;
    Ok(Unit { tenant, partition: Some(partition) })
}

#[cfg(test)]
mod tests {
    use store::testing::databases;

    use super::*;

    const HOUR_US: i64 = 3_600_000_000;

    fn scope(owner: &str) -> Scope {
        Scope { follower: "test".into(), log: "events".into(), owner: owner.into() }
    }

    fn unit(partition: u32) -> Unit {
        Unit { tenant: "shop".try_into().unwrap(), partition: Some(partition) }
    }

    #[tokio::test]
    async fn a_living_owner_keeps_its_units_and_a_dead_one_loses_them_with_its_right_to_commit() {
        for db in databases(&[&crate::MIGRATIONS]).await {
            let (slow, quick) = (scope("slow"), scope("quick"));
            slow.renew(&db, 0, 10).await.unwrap();
            quick.renew(&db, 0, HOUR_US).await.unwrap();
            let taken = slow.take(&db, &[unit(0), unit(1)], 5).await.unwrap();
            assert_eq!(taken.iter().map(|lease| lease.epoch).collect::<Vec<_>>(), [1, 1]);
            assert!(quick.take(&db, &[unit(0)], 9).await.unwrap().is_empty());

            // Time passes without a sign of life.
            let stolen = quick.take(&db, &[unit(0)], 11).await.unwrap();
            assert_eq!(stolen[0].epoch, 2);
            slow.renew(&db, 12, HOUR_US).await.unwrap();

            let mut tx = db.begin().await.unwrap();
            slow.fence(&mut tx, &[(&unit(1), 1)]).await.unwrap();
            for lost in [vec![(&unit(0), 1)], vec![(&unit(1), 1), (&unit(0), 1)], vec![(&unit(0), 2)]] {
                assert!(matches!(slow.fence(&mut tx, &lost).await, Err(Error::Fenced(_))));
            }
            quick.fence(&mut tx, &[(&unit(0), 2)]).await.unwrap();
        }
    }

    #[tokio::test]
    async fn a_lease_that_was_checked_cannot_be_taken_before_the_commit() {
        for db in databases(&[&crate::MIGRATIONS]).await {
            let (slow, quick) = (scope("slow"), scope("quick"));
            slow.renew(&db, 0, 10).await.unwrap();
            quick.renew(&db, 0, HOUR_US).await.unwrap();
            slow.take(&db, &[unit(0)], 5).await.unwrap();

            let mut tx = db.begin().await.unwrap();
            slow.fence(&mut tx, &[(&unit(0), 1)]).await.unwrap();
            let thief_db = db.handle();
            let theft = tokio::spawn(async move { quick.take(&thief_db, &[unit(0)], 11).await });
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            assert!(!theft.is_finished(), "{}: taken between check and commit", db.engine());
            tx.commit().await.unwrap();

            assert_eq!(theft.await.unwrap().unwrap()[0].epoch, 2);
        }
    }

    #[tokio::test]
    async fn what_is_released_is_free_at_once() {
        for db in databases(&[&crate::MIGRATIONS]).await {
            let (leaving, coming) = (scope("leaving"), scope("coming"));
            leaving.renew(&db, 0, HOUR_US).await.unwrap();
            leaving.take(&db, &[unit(0), unit(1)], 0).await.unwrap();

            leaving.release(&db, &unit(0)).await.unwrap();
            assert_eq!(coming.take(&db, &[unit(0), unit(1)], 1).await.unwrap().len(), 1);
            leaving.leave(&db).await.unwrap();
            assert_eq!(coming.take(&db, &[unit(1)], 1).await.unwrap()[0].epoch, 2);

            assert!(coming.living(&db, 1).await.unwrap().is_empty());
        }
    }
}

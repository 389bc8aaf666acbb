//! Merged runs of the deduplication window: their rows, their blocks of entries, their indexes.

use kit::TenantId;
use sqlx::QueryBuilder;
use store::{Db, Error, Tx};

const INSERT_RUN: &str = "
    INSERT INTO seen_runs (tenant_id, run_id, level, state, ids, newest_us, touch_us)
    VALUES ($1, $2, $3, $4, 0, 0, $5)";
const TOUCH_RUN: &str = "
    UPDATE seen_runs
       SET touch_us = $3
     WHERE tenant_id = $1 AND run_id = $2";
const FINISH_RUN: &str = "
    UPDATE seen_runs
       SET state = $3, ids = $5, newest_us = $6
     WHERE tenant_id = $1 AND run_id = $2 AND state = $4";
const MOVE_RUN: &str = "
    UPDATE seen_runs
       SET state = $3
     WHERE tenant_id = $1 AND run_id = $2 AND state = $4";
const LIST_RUNS: &str = "
    SELECT run_id, level, state, ids, newest_us, touch_us
      FROM seen_runs
     WHERE tenant_id = $1
     ORDER BY run_id";
const DELETE_RUN: &str = "
    DELETE FROM seen_runs
     WHERE tenant_id = $1 AND run_id = $2";
const READ_BLOCKS: &str = "
    SELECT block, entries
      FROM seen_blocks
     WHERE tenant_id = $1 AND run_id = $2 AND block >= $3 AND block < $4
     ORDER BY block";
const FIND_BLOCKS: &str = "
    SELECT block, entries
      FROM seen_blocks
     WHERE tenant_id = ";
const LAST_BLOCK: &str = "
    SELECT COALESCE(MAX(block), -1)
      FROM seen_blocks
     WHERE tenant_id = $1 AND run_id = $2";
const DELETE_BLOCKS: &str = "
    DELETE FROM seen_blocks
     WHERE tenant_id = $1 AND run_id = $2 AND block > $3";
const INSERT_PART: &str = "
    INSERT INTO seen_indexes (tenant_id, run_id, part, bytes)
    VALUES ($1, $2, $3, $4)";
const READ_PARTS: &str = "
    SELECT bytes
      FROM seen_indexes
     WHERE tenant_id = $1 AND run_id = $2
     ORDER BY part";
const DELETE_PARTS: &str = "
    DELETE FROM seen_indexes
     WHERE tenant_id = $1 AND run_id = $2";

/// What a run is good for. The numbers are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// Being written; nobody reads it.
    Building = 0,
    /// Part of the window.
    Live = 1,
    /// Replaced, expired or given up; goes in the background.
    Garbage = 2,
}

/// A run without its entries.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RunRow {
    pub(crate) run_id: i64,
    /// 1 for merged batches, one more than the runs that it was merged from.
    pub(crate) level: i64,
    pub(crate) state: State,
    pub(crate) ids: i64,
    /// When the newest of its messages was received.
    pub(crate) newest_us: i64,
    /// When it was last worked on, in real time.
    pub(crate) touch_us: i64,
}

type Row = (i64, i64, i64, i64, i64, i64);

fn run((run_id, level, state, ids, newest_us, touch_us): Row) -> Result<RunRow, Error> {
    let state = match state {
        0 => State::Building,
        1 => State::Live,
        2 => State::Garbage,
        _ => return Err(Error::Damaged(format!("the state of the seen run {run_id}"))),
    };
    Ok(RunRow { run_id, level, state, ids, newest_us, touch_us })
}

/// Lists the runs of a tenant, oldest first.
pub(crate) async fn list(db: &Db, tenant: &TenantId) -> Result<Vec<RunRow>, Error> {
    let rows: Vec<Row> = store::on!(db, pool => {
        sqlx::query_as(LIST_RUNS).bind(tenant.as_str()).fetch_all(pool).await
    })?;
    rows.into_iter().map(run).collect()
}

/// Lists the runs of a tenant as a transaction sees them, oldest first.
pub(crate) async fn list_in(tx: &mut Tx, tenant: &TenantId) -> Result<Vec<RunRow>, Error> {
    let rows: Vec<Row> = store::within!(tx, conn => {
        sqlx::query_as(LIST_RUNS).bind(tenant.as_str()).fetch_all(&mut *conn).await
    })?;
    rows.into_iter().map(run).collect()
}

/// Begins a run.
pub(crate) async fn insert(
    tx: &mut Tx,
    tenant: &TenantId,
    run_id: i64,
    level: i64,
    touch_us: i64,
) -> Result<(), Error> {
    store::within!(tx, conn => {
        sqlx::query(INSERT_RUN)
            .bind(tenant.as_str())
            .bind(run_id)
            .bind(level)
            .bind(State::Building as i64)
            .bind(touch_us)
            .execute(&mut *conn)
            .await
            .map(|_| ())
    })?;
    Ok(())
}

/// Says that a run is being worked on.
pub(crate) async fn touch(tx: &mut Tx, tenant: &TenantId, run_id: i64, touch_us: i64) -> Result<(), Error> {
    store::within!(tx, conn => {
        let query = sqlx::query(TOUCH_RUN).bind(tenant.as_str()).bind(run_id).bind(touch_us);
        query.execute(&mut *conn).await.map(|_| ())
    })?;
    Ok(())
}

/// Makes a run that was built part of the window. Returns whether it was still there to be finished.
pub(crate) async fn finish(
    tx: &mut Tx,
    tenant: &TenantId,
    run_id: i64,
    (ids, newest_us): (i64, i64),
) -> Result<bool, Error> {
    let moved = store::within!(tx, conn => {
        sqlx::query(FINISH_RUN)
            .bind(tenant.as_str())
            .bind(run_id)
            .bind(State::Live as i64)
            .bind(State::Building as i64)
            .bind(ids)
            .bind(newest_us)
            .execute(&mut *conn)
            .await
            .map(|done| done.rows_affected() == 1)
    })?;
    Ok(moved)
}

/// Gives a run up that is in the state `from`. Returns whether it was.
pub(crate) async fn give_up(tx: &mut Tx, tenant: &TenantId, run_id: i64, from: State) -> Result<bool, Error> {
    let moved = store::within!(tx, conn => {
        sqlx::query(MOVE_RUN)
            .bind(tenant.as_str())
            .bind(run_id)
            .bind(State::Garbage as i64)
            .bind(from as i64)
            .execute(&mut *conn)
            .await
            .map(|done| done.rows_affected() == 1)
    })?;
    Ok(moved)
}

/// Writes blocks of a run, numbered from `first`.
pub(crate) async fn insert_blocks(
    tx: &mut Tx,
    tenant: &TenantId,
    run_id: i64,
    first: i64,
    blocks: Vec<Vec<u8>>,
) -> Result<(), Error> {
    let rows: Vec<(i64, Vec<u8>)> = (first..).zip(blocks).collect();
    for chunk in store::chunks(&rows, 4) {
        store::within!(tx, conn => {
            let mut query = QueryBuilder::new("INSERT INTO seen_blocks (tenant_id, run_id, block, entries) ");
            query.push_values(chunk, |mut row, (block, entries)| {
                row.push_bind(tenant.as_str()).push_bind(run_id).push_bind(*block).push_bind(entries.as_slice());
            });
            query.build().execute(&mut *conn).await.map(|_| ())
        })?;
    }
    Ok(())
}

/// Reads `count` blocks of a run from `first` on.
pub(crate) async fn read_blocks(
    db: &Db,
    tenant: &TenantId,
    run_id: i64,
    first: i64,
    count: i64,
) -> Result<Vec<(i64, Vec<u8>)>, Error> {
    let blocks = store::on!(db, pool => {
        let query = sqlx::query_as(READ_BLOCKS).bind(tenant.as_str()).bind(run_id).bind(first).bind(first + count);
        query.fetch_all(pool).await
    })?;
    Ok(blocks)
}

/// Reads single blocks of a run, in no order.
pub(crate) async fn find_blocks(
    tx: &mut Tx,
    tenant: &TenantId,
    run_id: i64,
    blocks: &[i64],
) -> Result<Vec<(i64, Vec<u8>)>, Error> {
    let mut found = Vec::with_capacity(blocks.len());
    for chunk in store::chunks(blocks, 1) {
        let rows: Vec<(i64, Vec<u8>)> = store::within!(tx, conn => {
            let mut query = QueryBuilder::new(FIND_BLOCKS);
            query.push_bind(tenant.as_str()).push(" AND run_id = ").push_bind(run_id).push(" AND block IN (");
            let mut list = query.separated(", ");
            for block in chunk {
                list.push_bind(*block);
            }
            query.push(")");
            query.build_query_as().fetch_all(&mut *conn).await
        })?;
        found.extend(rows);
    }
    Ok(found)
}

/// Most bytes in one part of an index: PostgreSQL and SQLite take more, but not gladly.
pub(crate) const PART_BYTES: usize = 1 << 20;

/// Writes parts of the index of a run, numbered from `first`.
pub(crate) async fn insert_parts(
    tx: &mut Tx,
    tenant: &TenantId,
    run_id: i64,
    first: usize,
    bytes: &[u8],
) -> Result<(), Error> {
    for (part, bytes) in bytes.chunks(PART_BYTES).enumerate() {
        let part = (first + part) as i64;
        store::within!(tx, conn => {
            let query = sqlx::query(INSERT_PART).bind(tenant.as_str()).bind(run_id).bind(part).bind(bytes);
            query.execute(&mut *conn).await.map(|_| ())
        })?;
    }
    Ok(())
}

/// Reads the index of a run.
pub(crate) async fn read_parts(tx: &mut Tx, tenant: &TenantId, run_id: i64) -> Result<Vec<u8>, Error> {
    let parts: Vec<Vec<u8>> = store::within!(tx, conn => {
        sqlx::query_scalar(READ_PARTS).bind(tenant.as_str()).bind(run_id).fetch_all(&mut *conn).await
    })?;
    Ok(parts.concat())
}

/// Removes `count` blocks at the end of a run that was given up, and with the last of them the run. Returns whether it
/// is gone.
pub(crate) async fn remove_some(db: &Db, tenant: &TenantId, run_id: i64, count: i64) -> Result<bool, Error> {
    let mut tx = db.begin().await?;
    let last: i64 = store::within!(tx, conn => {
        sqlx::query_scalar(LAST_BLOCK).bind(tenant.as_str()).bind(run_id).fetch_one(&mut *conn).await
    })?;
    store::within!(tx, conn => {
        let query = sqlx::query(DELETE_BLOCKS).bind(tenant.as_str()).bind(run_id).bind(last - count);
        query.execute(&mut *conn).await.map(|_| ())
    })?;
    let gone = last < count;
    if gone {
        for statement in [DELETE_PARTS, DELETE_RUN] {
            store::within!(tx, conn => {
                sqlx::query(statement).bind(tenant.as_str()).bind(run_id).execute(&mut *conn).await.map(|_| ())
            })?;
        }
    }
    tx.commit().await?;
    Ok(gone)
}

/// Every whole statement, for the test that prepares them.
#[cfg(test)]
pub(crate) const STATEMENTS: &[&str] = &[
    INSERT_RUN,
    TOUCH_RUN,
    FINISH_RUN,
    MOVE_RUN,
    LIST_RUNS,
    DELETE_RUN,
    READ_BLOCKS,
    LAST_BLOCK,
    DELETE_BLOCKS,
    INSERT_PART,
    READ_PARTS,
    DELETE_PARTS,
];

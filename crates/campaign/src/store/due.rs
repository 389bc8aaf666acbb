//! Messages whose next step is due, and that step.

use std::collections::{HashMap, HashSet};

use ::store::{Db, Error, Tx, chunks, on, within};
use kit::TenantId;
use sqlx::QueryBuilder;

use super::messages::{Row, change, pack_gates, pack_texts, select};
use crate::domain::{
    gates::Past,
    message::{Message, State},
};

const NEXT: &str = "
    SELECT MIN(fire_us)
      FROM messages
     WHERE tenant_id = $1 AND state = $2";
const IN_DOUBT: &str = "
    UPDATE messages
       SET state = 6
     WHERE tenant_id = $1 AND state = 20";
const PAST: &str = "
    SELECT profile_id, campaign_id, as_of_us
      FROM messages
     WHERE state IN (2, 3, 6, 20) AND as_of_us > ";
const HAND: &str = "
    ON CONFLICT (tenant_id, message_id) DO UPDATE
       SET state = 20, products = excluded.products, links = excluded.links, address_hash = excluded.address_hash
     WHERE messages.state = 2";
const PUT_OFF: &str = "
    UPDATE messages
       SET state = $3, reason = $4, fire_us = $5, gates = $6, attempts = $7, products = $8
     WHERE tenant_id = $1 AND message_id = $2 AND state = 2";
/// Opens and clicks may have come before: they are left as they are.
const SETTLE: &str = "
    ON CONFLICT (tenant_id, message_id) DO UPDATE
       SET state = excluded.state, reason = excluded.reason, fire_us = excluded.fire_us, gates = excluded.gates,
           attempts = excluded.attempts, send_us = excluded.send_us
     WHERE messages.state = 20";

/// Returns scheduled messages that are due, earliest first. On PostgreSQL they are locked, and rows that a follower is
/// writing are left for the next time, so that neither waits for the other.
pub(crate) async fn scheduled(tx: &mut Tx, tenant: &TenantId, now_us: i64, limit: i64) -> Result<Vec<Message>, Error> {
    let locking = match tx.connection() {
        ::store::Connection::Sqlite(_) => "",
        ::store::Connection::Postgres(_) => " FOR UPDATE SKIP LOCKED",
    };
    let rows: Vec<Row> = within!(tx, conn => {
        let mut query = select(tenant);
        query.push(" AND state = ").push_bind(State::Scheduled.number());
        query.push(" AND fire_us <= ").push_bind(now_us);
        query.push(" ORDER BY fire_us, message_id LIMIT ").push_bind(limit).push(locking);
        query.build_query_as().fetch_all(&mut *conn).await
    })?;
    rows.into_iter().map(Message::try_from).collect()
}

/// Returns queued messages that are due, earliest first.
pub(crate) async fn queued(db: &Db, tenant: &TenantId, now_us: i64, limit: i64) -> Result<Vec<Message>, Error> {
    let rows: Vec<Row> = on!(*db, pool => {
        let mut query = select(tenant);
        query.push(" AND state = ").push_bind(State::Queued.number());
        query.push(" AND fire_us <= ").push_bind(now_us);
        query.push(" ORDER BY fire_us, message_id LIMIT ").push_bind(limit);
        query.build_query_as().fetch_all(pool).await
    })?;
    rows.into_iter().map(Message::try_from).collect()
}

/// Returns when the next step of the messages in a state is due.
pub(crate) async fn next_us(db: &Db, tenant: &TenantId, state: State) -> Result<Option<i64>, Error> {
    Ok(on!(*db, pool => {
        sqlx::query_scalar(NEXT).bind(tenant.as_str()).bind(state.number()).fetch_one(pool).await
    })?)
}

/// Says of the messages that a former owner was handing over that nobody knows whether they arrived. Returns how many.
pub(crate) async fn put_in_doubt(tx: &mut Tx, tenant: &TenantId) -> Result<u64, Error> {
    Ok(within!(tx, conn => {
        sqlx::query(IN_DOUBT).bind(tenant.as_str()).execute(&mut *conn).await.map(|done| done.rows_affected())
    })?)
}

/// Returns the messages to these people that left or will, decided for an instant after `since_us`.
pub(crate) async fn past(
    tx: &mut Tx,
    tenant: &TenantId,
    profile_ids: &[&str],
    since_us: i64,
) -> Result<HashMap<String, Vec<Past>>, Error> {
    let mut found: HashMap<String, Vec<Past>> = HashMap::new();
    for chunk in chunks(profile_ids, 1) {
        let rows: Vec<(String, String, i64)> = within!(tx, conn => {
            let mut query = QueryBuilder::new(PAST);
            query.push_bind(since_us).push(" AND tenant_id = ").push_bind(tenant.as_str()).push(" AND profile_id IN (");
            let mut ids = query.separated(", ");
            for profile_id in chunk {
                ids.push_bind(*profile_id);
            }
            query.push(")");
            query.build_query_as().fetch_all(&mut *conn).await
        })?;
        for (profile_id, campaign_id, as_of_us) in rows {
            found.entry(profile_id).or_default().push(Past { campaign_id, as_of_us });
        }
    }
    Ok(found)
}

/// Says that queued messages are being handed over. Returns those that were still queued and due.
pub(crate) async fn hand(
    tx: &mut Tx,
    tenant: &TenantId,
    handed: &[&Message],
    now_us: i64,
) -> Result<HashSet<String>, Error> {
    change(tx, tenant, handed, HAND, Some(now_us)).await
}

/// Writes that a queued message waits, or stays unsent after all.
pub(crate) async fn put_off(tx: &mut Tx, tenant: &TenantId, message: &Message) -> Result<(), Error> {
    within!(tx, conn => {
        sqlx::query(PUT_OFF)
            .bind(tenant.as_str())
            .bind(&message.message_id)
            .bind(message.state.number())
            .bind(i64::from(message.reason))
            .bind(message.fire_us)
            .bind(pack_gates(&message.gates))
            .bind(i64::from(message.attempts))
            .bind(pack_texts(&message.product_ids))
            .execute(&mut *conn)
            .await
            .map(|_| ())
    })?;
    Ok(())
}

/// Writes what became of messages that were handed over. Returns those that were still in that state.
pub(crate) async fn settle(tx: &mut Tx, tenant: &TenantId, settled: &[&Message]) -> Result<HashSet<String>, Error> {
    change(tx, tenant, settled, SETTLE, None).await
}

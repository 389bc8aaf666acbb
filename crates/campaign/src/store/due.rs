//! Messages whose next step is due, and that step.

use std::collections::HashMap;

use ::store::{Db, Error, Tx, on, rows_per_statement, within};
use kit::TenantId;
use sqlx::QueryBuilder;

use super::messages::{Row, pack_gates, pack_texts, select};
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
    UPDATE messages
       SET state = 20, products = $3, links = $4, address_hash = $5
     WHERE tenant_id = $1 AND message_id = $2 AND state = 2 AND fire_us <= $6";
const PUT_OFF: &str = "
    UPDATE messages
       SET state = $3, reason = $4, fire_us = $5, gates = $6, attempts = $7, products = $8
     WHERE tenant_id = $1 AND message_id = $2 AND state = 2";
const SETTLE: &str = "
    UPDATE messages
       SET state = $3, reason = $4, fire_us = $5, gates = $6, attempts = $7, send_us = $8
     WHERE tenant_id = $1 AND message_id = $2 AND state = 20";

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
    for chunk in profile_ids.chunks(rows_per_statement(1)) {
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

/// Says that a queued message is being handed over. Returns false when it is not queued, or not due, any more.
pub(crate) async fn hand(tx: &mut Tx, tenant: &TenantId, message: &Message, now_us: i64) -> Result<bool, Error> {
    let changed = within!(tx, conn => {
        sqlx::query(HAND)
            .bind(tenant.as_str())
            .bind(&message.message_id)
            .bind(pack_texts(&message.product_ids))
            .bind(pack_texts(&message.links))
            .bind(message.address_hash.as_slice())
            .bind(now_us)
            .execute(&mut *conn)
            .await
            .map(|done| done.rows_affected())
    })?;
    Ok(changed == 1)
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

/// Writes what became of a message that was handed over. Returns false when it is not in that state any more.
pub(crate) async fn settle(tx: &mut Tx, tenant: &TenantId, message: &Message) -> Result<bool, Error> {
    let changed = within!(tx, conn => {
        sqlx::query(SETTLE)
            .bind(tenant.as_str())
            .bind(&message.message_id)
            .bind(message.state.number())
            .bind(i64::from(message.reason))
            .bind(message.fire_us)
            .bind(pack_gates(&message.gates))
            .bind(i64::from(message.attempts))
            .bind(message.send_us)
            .execute(&mut *conn)
            .await
            .map(|done| done.rows_affected())
    })?;
    Ok(changed == 1)
}

//! Messages: rows that live from the trigger to the last click.

use std::collections::HashSet;

use ::store::{Db, Error, Tx, chunks, on, within};
use kit::TenantId;
use prost::Message as _;
use proto::campaign::v1::Gate;
use sqlx::QueryBuilder;

use crate::domain::message::{EMAIL, Message, State};

/// Every column but the tenant, in the order in which rows are written.
pub(crate) const COLUMNS: &str = "message_id, campaign_id, profile_id, channel, state, reason, purpose, cause, trigger_text,
       trigger_us, due_us, fire_us, decide_us, as_of_us, send_us, open_us, click_us, unsubscribe_us, attempts, traceparent,
       gates, products, links, address_hash";
const PARAMETERS: usize = 25;

/// The earliest telling of a cause counts, whichever was read first, and is whose message it is.
const IF_EARLIER: &str = "
    ON CONFLICT (tenant_id, message_id) DO UPDATE
       SET profile_id = excluded.profile_id, trigger_us = excluded.trigger_us, due_us = excluded.due_us,
           fire_us = excluded.fire_us
     WHERE messages.state = 1 AND excluded.due_us < messages.due_us";
/// Of what is told again, the same telling moves the message too; what it was put off to stays.
const IF_NOT_LATER: &str = "
    ON CONFLICT (tenant_id, message_id) DO UPDATE
       SET profile_id = excluded.profile_id, trigger_us = excluded.trigger_us, due_us = excluded.due_us,
           fire_us = CASE WHEN excluded.due_us < messages.due_us THEN excluded.fire_us ELSE messages.fire_us END
     WHERE messages.state = 1 AND excluded.due_us <= messages.due_us";
const DECIDED: &str = "
    ON CONFLICT (tenant_id, message_id) DO UPDATE
       SET profile_id = excluded.profile_id, state = excluded.state, reason = excluded.reason, fire_us = excluded.fire_us,
           decide_us = excluded.decide_us, as_of_us = excluded.as_of_us, attempts = excluded.attempts, gates = excluded.gates";
const CANCEL: &str = "DELETE FROM messages WHERE state = 1 AND tenant_id = ";
const MOVE_ONE: &str = "
    UPDATE messages
       SET profile_id = $3
     WHERE tenant_id = $1 AND message_id = $2 AND state = 1 AND trigger_us >= $4";
const SET_OFF_AT: &str = "
    SELECT message_id, state
      FROM messages
     WHERE tenant_id = $1 AND profile_id = $2 AND campaign_id = $3 AND trigger_us = $4";
const MOVE_ALL: &str = "
    UPDATE messages
       SET profile_id = $3
     WHERE tenant_id = $1 AND profile_id = $2";
const ERASE_PENDING: &str = "
    UPDATE messages
       SET state = 4, reason = $3, decide_us = $4
     WHERE tenant_id = $1 AND profile_id = $2 AND state IN (1, 2)";
const ERASE: &str = "
    UPDATE messages
       SET profile_id = '', cause = '', products = '[]', links = '[]', traceparent = '', trigger_text = ''
     WHERE tenant_id = $1 AND profile_id = $2";

/// Schedules messages that are not known yet. A cause that is known sets off nothing again; told to have been earlier, it
/// draws what is still scheduled forward; told again (`restated`), it gives it to whoever has the cause now.
pub(crate) async fn schedule(
    tx: &mut Tx,
    tenant: &TenantId,
    messages: &[&Message],
    restated: bool,
) -> Result<(), Error> {
    write(tx, tenant, messages, if restated { IF_NOT_LATER } else { IF_EARLIER }).await
}

/// A message that is known, as far as it matters to one that may take its place.
#[derive(Debug, sqlx::FromRow)]
pub(crate) struct Known {
    pub(crate) message_id: String,
    state: i64,
}

impl Known {
    /// Whether nothing is decided about it.
    pub(crate) fn is_scheduled(&self) -> bool {
        self.state == State::Scheduled.number()
    }
}

/// Returns what the campaign and the person of `message` have of messages that something at `trigger_us` has set off.
pub(crate) async fn set_off_at(
    tx: &mut Tx,
    tenant: &TenantId,
    message: &Message,
    trigger_us: i64,
) -> Result<Vec<Known>, Error> {
    Ok(within!(tx, conn => {
        sqlx::query_as(SET_OFF_AT)
            .bind(tenant.as_str())
            .bind(&message.profile_id)
            .bind(&message.campaign_id)
            .bind(trigger_us)
            .fetch_all(&mut *conn)
            .await
    })?)
}

/// Writes what was decided about messages that were read in this transaction.
pub(crate) async fn save_decided(tx: &mut Tx, tenant: &TenantId, messages: &[&Message]) -> Result<(), Error> {
    write(tx, tenant, messages, DECIDED).await
}

/// Writes rows, or changes those that are there as `conflict` says.
async fn write(tx: &mut Tx, tenant: &TenantId, messages: &[&Message], conflict: &'static str) -> Result<(), Error> {
    for chunk in chunks(messages, PARAMETERS) {
        within!(tx, conn => {
            let mut insert = insert(tenant, chunk);
            insert.push(conflict);
            insert.build().execute(&mut *conn).await.map(|_| ())
        })?;
    }
    Ok(())
}

/// Changes rows that are in the state that `conflict` wants and, where given, due by `due_by_us`; returns the ids of those
/// changed.
pub(super) async fn change(
    tx: &mut Tx,
    tenant: &TenantId,
    messages: &[&Message],
    conflict: &'static str,
    due_by_us: Option<i64>,
) -> Result<HashSet<String>, Error> {
    let mut changed = HashSet::with_capacity(messages.len());
    for chunk in chunks(messages, PARAMETERS) {
        let ids: Vec<String> = within!(tx, conn => {
            let mut insert = insert(tenant, chunk);
            insert.push(conflict);
            if let Some(due_by_us) = due_by_us {
                insert.push(" AND messages.fire_us <= ").push_bind(due_by_us);
            }
            insert.push(" RETURNING message_id");
            insert.build_query_scalar().fetch_all(&mut *conn).await
        })?;
        changed.extend(ids);
    }
    Ok(changed)
}

/// Begins an INSERT of whole rows.
fn insert<'q, DB: sqlx::Database>(tenant: &'q TenantId, messages: &[&'q Message]) -> QueryBuilder<DB>
where
    &'q str: sqlx::Encode<'q, DB> + sqlx::Type<DB>,
    &'q [u8]: sqlx::Encode<'q, DB> + sqlx::Type<DB>,
    String: sqlx::Encode<'q, DB> + sqlx::Type<DB>,
    Vec<u8>: sqlx::Encode<'q, DB> + sqlx::Type<DB>,
    i64: sqlx::Encode<'q, DB> + sqlx::Type<DB>,
{
    let mut insert = QueryBuilder::new("INSERT INTO messages (tenant_id, ");
    insert.push(COLUMNS).push(") ");
    insert.push_values(messages, |mut row, message| {
        row.push_bind(tenant.as_str())
            .push_bind(message.message_id.as_str())
            .push_bind(message.campaign_id.as_str())
            .push_bind(message.profile_id.as_str())
            .push_bind(i64::from(EMAIL))
            .push_bind(message.state.number())
            .push_bind(i64::from(message.reason))
            .push_bind(message.purpose.as_str())
            .push_bind(message.cause.as_str())
            .push_bind(message.trigger_text.as_str())
            .push_bind(message.trigger_us)
            .push_bind(message.due_us)
            .push_bind(message.fire_us)
            .push_bind(message.decide_us)
            .push_bind(message.as_of_us)
            .push_bind(message.send_us)
            .push_bind(message.open_us)
            .push_bind(message.click_us)
            .push_bind(message.unsubscribe_us)
            .push_bind(i64::from(message.attempts))
            .push_bind(message.traceparent.as_str())
            .push_bind(pack_gates(&message.gates))
            .push_bind(pack_texts(&message.product_ids))
            .push_bind(pack_texts(&message.links))
            .push_bind(message.address_hash.as_slice());
    });
    insert
}

/// Takes back messages that are still scheduled: what set them off was moved by something later.
pub(crate) async fn cancel(tx: &mut Tx, tenant: &TenantId, message_ids: &[&str]) -> Result<(), Error> {
    for chunk in chunks(message_ids, 1) {
        within!(tx, conn => {
            let mut delete = QueryBuilder::new(CANCEL);
            delete.push_bind(tenant.as_str()).push(" AND message_id IN (");
            let mut ids = delete.separated(", ");
            for message_id in chunk {
                ids.push_bind(*message_id);
            }
            delete.push(")");
            delete.build().execute(&mut *conn).await.map(|_| ())
        })?;
    }
    Ok(())
}

/// Gives a scheduled message to the profile that has its cause now, unless another telling at an earlier time counts.
pub(crate) async fn move_one(
    tx: &mut Tx,
    tenant: &TenantId,
    message_id: &str,
    profile_id: &str,
    time_us: i64,
) -> Result<(), Error> {
    within!(tx, conn => {
        sqlx::query(MOVE_ONE)
            .bind(tenant.as_str())
            .bind(message_id)
            .bind(profile_id)
            .bind(time_us)
            .execute(&mut *conn)
            .await
            .map(|_| ())
    })?;
    Ok(())
}

/// Gives all messages of a profile, past and scheduled, to another.
pub(crate) async fn move_all(tx: &mut Tx, tenant: &TenantId, from: &str, to: &str) -> Result<(), Error> {
    within!(tx, conn => {
        sqlx::query(MOVE_ALL).bind(tenant.as_str()).bind(from).bind(to).execute(&mut *conn).await.map(|_| ())
    })?;
    Ok(())
}

/// Withholds what waits for an erased person, and takes the person out of what was.
pub(crate) async fn erase(
    tx: &mut Tx,
    tenant: &TenantId,
    profile_id: &str,
    reason: i32,
    now_us: i64,
) -> Result<(), Error> {
    within!(tx, conn => {
        sqlx::query(ERASE_PENDING)
            .bind(tenant.as_str())
            .bind(profile_id)
            .bind(i64::from(reason))
            .bind(now_us)
            .execute(&mut *conn)
            .await?;
        sqlx::query(ERASE).bind(tenant.as_str()).bind(profile_id).execute(&mut *conn).await.map(|_| ())
    })?;
    Ok(())
}

/// Returns one message.
pub(crate) async fn find(db: &Db, tenant: &TenantId, message_id: &str) -> Result<Option<Message>, Error> {
    let row: Option<Row> = on!(*db, pool => {
        let mut select = select(tenant);
        select.push(" AND message_id = ").push_bind(message_id);
        select.build_query_as().fetch_optional(pool).await
    })?;
    row.map(Message::try_from).transpose()
}

/// Begins a SELECT of whole rows of a tenant.
pub(crate) fn select<'q, DB: sqlx::Database>(tenant: &'q TenantId) -> QueryBuilder<DB>
where
    &'q str: sqlx::Encode<'q, DB> + sqlx::Type<DB>,
{
    let mut select = QueryBuilder::new("SELECT ");
    select.push(COLUMNS).push(" FROM messages WHERE tenant_id = ").push_bind(tenant.as_str());
    select
}

/// Gates as they are stored.
#[derive(Clone, PartialEq, prost::Message)]
struct Gates {
    #[prost(message, repeated, tag = "1")]
    gates: Vec<Gate>,
}

pub(crate) fn pack_gates(gates: &[Gate]) -> Vec<u8> {
    Gates { gates: gates.to_vec() }.encode_to_vec()
}

pub(crate) fn pack_texts(texts: &[String]) -> String {
    serde_json::to_string(texts).expect("a list of texts is plain data")
}

/// A stored row.
#[derive(sqlx::FromRow)]
pub(crate) struct Row {
    message_id: String,
    campaign_id: String,
    profile_id: String,
    state: i64,
    reason: i64,
    purpose: String,
    cause: String,
    trigger_text: String,
    trigger_us: i64,
    due_us: i64,
    fire_us: i64,
    decide_us: i64,
    as_of_us: i64,
    send_us: i64,
    open_us: i64,
    click_us: i64,
    unsubscribe_us: i64,
    attempts: i64,
    traceparent: String,
    gates: Vec<u8>,
    products: String,
    links: String,
    address_hash: Vec<u8>,
}

impl TryFrom<Row> for Message {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self, Error> {
        let damaged = || Error::Damaged(format!("the stored message {}", row.message_id));
        let texts = |json: &str| serde_json::from_str::<Vec<String>>(json).map_err(|_| damaged());
        Ok(Self {
            state: State::from_number(row.state).ok_or_else(damaged)?,
            gates: Gates::decode(row.gates.as_slice()).map_err(|_| damaged())?.gates,
            product_ids: texts(&row.products)?,
            links: texts(&row.links)?,
            reason: i32::try_from(row.reason).map_err(|_| damaged())?,
            attempts: i32::try_from(row.attempts).map_err(|_| damaged())?,
            message_id: row.message_id,
            campaign_id: row.campaign_id,
            profile_id: row.profile_id,
            purpose: row.purpose,
            cause: row.cause,
            trigger_text: row.trigger_text,
            trigger_us: row.trigger_us,
            due_us: row.due_us,
            fire_us: row.fire_us,
            decide_us: row.decide_us,
            as_of_us: row.as_of_us,
            send_us: row.send_us,
            open_us: row.open_us,
            click_us: row.click_us,
            unsubscribe_us: row.unsubscribe_us,
            traceparent: row.traceparent,
            address_hash: row.address_hash,
        })
    }
}

//! Messages as they are asked for.

use ::store::{Db, Error, Tx, on, within};
use kit::TenantId;

use super::messages::{Row, select};
use crate::domain::message::{Message, State};

/// What to list.
#[derive(Debug, Default)]
pub(crate) struct Filter {
    pub(crate) campaign_id: String,
    pub(crate) profile_id: String,
    pub(crate) states: Vec<State>,
    /// 0 for any.
    pub(crate) reason: i32,
}

/// A place in a list: the decision time and id of the last message before it.
pub(crate) type Place = (i64, String);

/// One line of a summary: campaign, state, reason, how many.
pub(crate) type Count = (String, State, i32, u64);

const COUNT: &str = "
    SELECT campaign_id, state, reason, COUNT(*)
      FROM messages
     WHERE tenant_id = $1
     GROUP BY campaign_id, state, reason
     ORDER BY campaign_id, state, reason";
const REACTIONS: &str = "
    SELECT CAST(COALESCE(SUM(CASE WHEN open_us <> 0 THEN 1 ELSE 0 END), 0) AS BIGINT),
           CAST(COALESCE(SUM(CASE WHEN click_us <> 0 THEN 1 ELSE 0 END), 0) AS BIGINT),
           COUNT(DISTINCT CASE WHEN unsubscribe_us <> 0 THEN profile_id END)
      FROM messages
     WHERE tenant_id = $1";
const OPENED: &str = "
    UPDATE messages
       SET open_us = $3
     WHERE tenant_id = $1 AND message_id = $2 AND open_us = 0";
const CLICKED: &str = "
    UPDATE messages
       SET click_us = $3
     WHERE tenant_id = $1 AND message_id = $2 AND click_us = 0";
const UNSUBSCRIBED: &str = "
    UPDATE messages
       SET unsubscribe_us = $3
     WHERE tenant_id = $1 AND message_id = $2 AND unsubscribe_us = 0";

/// What a person did with a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reaction {
    Opened,
    Clicked,
    Unsubscribed,
}

/// Returns up to `limit` messages after a place, newest decision first.
pub(crate) async fn list(
    db: &Db,
    tenant: &TenantId,
    filter: &Filter,
    after: Option<&Place>,
    limit: i64,
) -> Result<Vec<Message>, Error> {
    let rows: Vec<Row> = on!(*db, pool => {
        let mut query = select(tenant);
        if !filter.campaign_id.is_empty() {
            query.push(" AND campaign_id = ").push_bind(filter.campaign_id.as_str());
        }
        if !filter.profile_id.is_empty() {
            query.push(" AND profile_id = ").push_bind(filter.profile_id.as_str());
        }
        if !filter.states.is_empty() {
            query.push(" AND state IN (");
            let mut states = query.separated(", ");
            for state in &filter.states {
                states.push_bind(state.number());
            }
            query.push(")");
        }
        if filter.reason != 0 {
            query.push(" AND reason = ").push_bind(i64::from(filter.reason));
        }
        if let Some((decide_us, message_id)) = after {
            query.push(" AND (decide_us, message_id) < (").push_bind(*decide_us);
            query.push(", ").push_bind(message_id.as_str()).push(")");
        }
        query.push(" ORDER BY decide_us DESC, message_id DESC LIMIT ").push_bind(limit);
        query.build_query_as().fetch_all(pool).await
    })?;
    rows.into_iter().map(Message::try_from).collect()
}

/// Counts messages per campaign, state and reason.
pub(crate) async fn count(db: &Db, tenant: &TenantId) -> Result<Vec<Count>, Error> {
    let rows: Vec<(String, i64, i64, i64)> = on!(*db, pool => {
        sqlx::query_as(COUNT).bind(tenant.as_str()).fetch_all(pool).await
    })?;
    let damaged = || Error::Damaged("the stored state of a message".into());
    rows.into_iter()
        .map(|(campaign_id, state, reason, count)| {
            let state = State::from_number(state).ok_or_else(damaged)?;
            Ok((campaign_id, state, i32::try_from(reason).map_err(|_| damaged())?, u64::try_from(count).unwrap_or(0)))
        })
        .collect()
}

/// Counts messages opened and clicked, and people who unsubscribed.
pub(crate) async fn reactions(db: &Db, tenant: &TenantId) -> Result<(u64, u64, u64), Error> {
    let (opened, clicked, unsubscribed): (i64, i64, i64) = on!(*db, pool => {
        sqlx::query_as(REACTIONS).bind(tenant.as_str()).fetch_one(pool).await
    })?;
    let count = |count: i64| u64::try_from(count).unwrap_or(0);
    Ok((count(opened), count(clicked), count(unsubscribed)))
}

/// Notes the first reaction of a kind; returns whether it was the first.
pub(crate) async fn react(
    tx: &mut Tx,
    tenant: &TenantId,
    message_id: &str,
    reaction: Reaction,
    now_us: i64,
) -> Result<bool, Error> {
    let statement = match reaction {
        Reaction::Opened => OPENED,
        Reaction::Clicked => CLICKED,
        Reaction::Unsubscribed => UNSUBSCRIBED,
    };
    let changed = within!(tx, conn => {
        sqlx::query(statement)
            .bind(tenant.as_str())
            .bind(message_id)
            .bind(now_us)
            .execute(&mut *conn)
            .await
            .map(|done| done.rows_affected())
    })?;
    Ok(changed == 1)
}

//! What people decided about a tenant's identifiers.

use std::collections::HashMap;

use kit::TenantId;
use store::{Error, Tx};

use super::{
    key_bytes, key_from,
    rows::{From, read},
};
use crate::domain::{canon::Separations, identifier::Key};

const SEPARATIONS: &str = "
    SELECT first_key, second_key
      FROM separations
     WHERE tenant_id = $1";

const BLOCKED: &str = "
    SELECT identifier_key, blocked
      FROM blocked_identifiers
     WHERE tenant_id = $1";

const SEPARATE: &str = "
    INSERT INTO separations (tenant_id, first_key, second_key, reason, subject, decide_time_us)
    VALUES ($1, $2, $3, $4, $5, $6)
    ON CONFLICT (tenant_id, first_key, second_key) DO NOTHING";

const BLOCK: &str = "
    INSERT INTO blocked_identifiers (tenant_id, identifier_key, blocked, reason, subject, decide_time_us)
    VALUES ($1, $2, $3, $4, $5, $6)
    ON CONFLICT (tenant_id, identifier_key) DO UPDATE SET
        blocked = excluded.blocked,
        reason = excluded.reason,
        subject = excluded.subject,
        decide_time_us = excluded.decide_time_us";

/// Who decided, why, and when.
#[derive(Debug, Clone)]
pub(crate) struct Decision<'d> {
    pub(crate) reason: &'d str,
    pub(crate) subject: &'d str,
    pub(crate) decide_time_us: i64,
}

/// Returns what was decided: the separations, and what was blocked (true) or freed (false).
pub(crate) async fn load_decisions(
    mut from: From<'_>,
    tenant: &TenantId,
) -> Result<(Separations, HashMap<Key, bool>), Error> {
    let pairs: Vec<(Vec<u8>, Vec<u8>)> =
        read!(&mut from, executor => sqlx::query_as(SEPARATIONS).bind(tenant.as_str()).fetch_all(executor).await)?;
    let blocked: Vec<(Vec<u8>, i64)> =
        read!(&mut from, executor => sqlx::query_as(BLOCKED).bind(tenant.as_str()).fetch_all(executor).await)?;

    let mut separations = Separations::default();
    for (first, second) in pairs {
        separations.add(key_from(&first)?, key_from(&second)?);
    }
    let mut overrides = HashMap::new();
    for (key, blocked) in blocked {
        overrides.insert(key_from(&key)?, blocked != 0);
    }
    Ok((separations, overrides))
}

/// Keeps that two identifiers are different people; the first decision stays.
pub(crate) async fn separate(
    tx: &mut Tx,
    tenant: &TenantId,
    first: Key,
    second: Key,
    decision: &Decision<'_>,
) -> Result<(), Error> {
    store::within!(tx, connection => {
        sqlx::query(SEPARATE)
            .bind(tenant.as_str())
            .bind(key_bytes(first.min(second)))
            .bind(key_bytes(first.max(second)))
            .bind(decision.reason)
            .bind(decision.subject)
            .bind(decision.decide_time_us)
            .execute(&mut *connection)
            .await
            .map(|_| ())
    })?;
    Ok(())
}

/// Keeps whether an identifier is blocked; the last decision counts.
pub(crate) async fn block(
    tx: &mut Tx,
    tenant: &TenantId,
    key: Key,
    blocked: bool,
    decision: &Decision<'_>,
) -> Result<(), Error> {
    store::within!(tx, connection => {
        sqlx::query(BLOCK)
            .bind(tenant.as_str())
            .bind(key_bytes(key))
            .bind(i64::from(blocked))
            .bind(decision.reason)
            .bind(decision.subject)
            .bind(decision.decide_time_us)
            .execute(&mut *connection)
            .await
            .map(|_| ())
    })?;
    Ok(())
}
